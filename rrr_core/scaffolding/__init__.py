"""Scaffolding: the package of a new task, written from a template, and brought up to a later version of it.

The template is rendered and merged by copier, from the folder `rrr_core/template`, which holds each of its versions.
"""

from rrr_core.scaffolding.answers import ANSWERS, LICENSES, Answers, check_line, check_name
from rrr_core.scaffolding.template import require_copier
from rrr_core.scaffolding.updating import Update, update_plugin
from rrr_core.scaffolding.writing import check_folder, write_plugin

__all__ = [
    "ANSWERS",
    "LICENSES",
    "Answers",
    "Update",
    "check_folder",
    "check_line",
    "check_name",
    "require_copier",
    "update_plugin",
    "write_plugin",
]
