"""Scaffolding: a new task's package, created from a template and updated to later versions of it.

copier renders and merges the template from the folder `rrr_core/template`, which holds every version of it.
"""

from rrr_core.scaffolding.answers import ANSWERS, LICENSES, Answers, check_line, check_name
from rrr_core.scaffolding.reward_package import RewardPackage, reward_package
from rrr_core.scaffolding.template import require_copier
from rrr_core.scaffolding.updating import Update, update_plugin
from rrr_core.scaffolding.writing import check_folder, write_plugin

__all__ = [
    "ANSWERS",
    "LICENSES",
    "Answers",
    "RewardPackage",
    "Update",
    "check_folder",
    "check_line",
    "check_name",
    "require_copier",
    "reward_package",
    "update_plugin",
    "write_plugin",
]
