"""A task's author installs few packages, and no torch."""

from __future__ import annotations

import importlib.util
import os
import pkgutil
import subprocess
import sys
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import rrr_core

HEAVY = {"torch", "transformers", "trl", "datasets", "vllm", "peft", "accelerate", "openai", "httpx2", "numpy"}
EXPORTS = ("rrr_core.exports.verifiers", "rrr_core.exports.inspect_ai")
"""Modules only for users of another package."""

LIGHT_ENGINES = ("engine", "engine_spec", "engines", "entries", "finding", "settings", "measured")
"""Modules of the generation room that are imported before an engine is chosen."""


def closure(distribution: str) -> set[str]:
    """Every distribution installed with this one without extras, including itself."""
    found: set[str] = set()
    waiting = [Requirement(distribution)]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found:
            continue
        found.add(name)
        for text in metadata.requires(name) or []:
            needed = Requirement(text)
            extras = requirement.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(needed)
    return found


@pytest.mark.parametrize("distribution", ["rrr-core", "rrr-countdown"])
def test_installing_it_brings_fewer_than_fifteen_packages_and_none_of_the_heavy_ones(distribution: str) -> None:
    brought = closure(distribution)
    assert "click" in brought
    assert len(brought) < 15, sorted(brought)
    assert not brought & HEAVY


@pytest.mark.skipif("RRR_BARE" not in os.environ, reason="torch may be here: not an environment without extras")
def test_an_environment_without_extras_has_no_torch() -> None:
    assert importlib.util.find_spec("torch") is None


def test_only_training_and_the_engines_import_torch() -> None:
    light = [
        module.name
        for module in pkgutil.walk_packages(rrr_core.__path__, "rrr_core.")
        if not module.name.startswith(("rrr_core.training.", "rrr_core.generation.", *EXPORTS))
    ]
    assert "rrr_core.pipeline" in light
    light += [
        f"rrr_core.generation.{name}" for name in ("engine", "engine_spec", "engines", "entries", "finding", "settings")
    ]
    light += ["rrr_core.training.settings", "rrr_core.training.warmup_settings"]
    code = (
        f"import importlib, sys\nfor name in {light!r}:\n    importlib.import_module(name)\n"
        f"loaded = sorted({HEAVY!r} & set(sys.modules))\nassert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
