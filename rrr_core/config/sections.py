"""The sections of a configuration file and the settings dataclass behind each."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

SECTIONS: Mapping[str, str] = {
    "task": "rrr_core.tasks.settings:TaskSettings",
    "model": "rrr_core.generation:ModelSettings",
    "mine": "rrr_core.mining:MineSettings",
    "train": "rrr_core.training.settings:TrainSettings",
    "eval": "rrr_core.evaluation:EvalSettings",
    "forgetting": "rrr_core.evaluation.forgetting.settings:ForgettingSettings",
    "verify": "rrr_core.verification.settings:VerifySettings",
    "probe": "rrr_core.probing.settings:ProbeSettings",
    "cluster": "rrr_core.cluster.settings:ClusterSettings",
    "launch": "rrr_core.launch:LaunchSettings",
    "warmup": "rrr_core.training.warmup_settings:WarmupSettings",
}
"""Section of the TOML file → its settings dataclass. None of these modules imports torch."""


def section_class(section: str) -> type[Any]:
    """The settings dataclass of a section."""
    module, _, name = SECTIONS[section].partition(":")
    loaded: type[Any] = getattr(importlib.import_module(module), name)
    return loaded
