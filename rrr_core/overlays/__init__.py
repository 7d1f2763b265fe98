"""Overlays: what their authors import besides `rrr_core` and `rrr_core.errors`, and those that ship with the core.

`noisy`, `agreement`, `model-judge`, `think` and `shots` are modules of this folder, written as a separate package would
write them (`docs/overlays.md`); `plugins/rrr_person_judge` is one. The core treats them all alike.
"""

from rrr_core.config.option import option
from rrr_core.overlays.options import read_options
from rrr_core.overlays.pairs import pair_key
from rrr_core.overlays.showing import page_parts, prompt_of
from rrr_core.progress import pause_progress
from rrr_core.text import one_line, plain

__all__ = [
    "one_line",
    "option",
    "page_parts",
    "pair_key",
    "pause_progress",
    "plain",
    "prompt_of",
    "read_options",
]
