"""A stage's manifest as the page shows it, and what the page reads in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rrr_core.report.places import Places


def without_this_page(stage: str, manifest: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """A manifest as the page shows it: no place of this machine, nor that the page itself is still being written."""
    shown = dict(manifest)
    if stage == "run":
        shown["stages"] = {name: each for name, each in shown.get("stages", {}).items() if name != "report"}
    shortened: dict[str, Any] = places.without_any(shown)
    return shortened


def samples_per_step(manifests: Mapping[str, Mapping[str, Any]]) -> int | None:
    """The reflections of a training step, as the training's manifest or the run's has it.

    >>> samples_per_step({"train": {"identity": {"settings": {"batch_size": 256}}}})
    256
    """
    for stage, key in (("train", "settings"), ("run", "train")):
        settings = (manifests.get(stage, {}).get("identity") or {}).get(key)
        size = settings.get("batch_size") if isinstance(settings, Mapping) else None
        if isinstance(size, int) and size > 0:
            return size
    return None
