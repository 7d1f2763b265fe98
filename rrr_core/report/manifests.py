"""A stage's manifest as the page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def without_this_page(stage: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest as the page shows it: no place of this machine, nor that the page itself is still being written."""
    shown = dict(manifest)
    if stage == "run":
        shown["stages"] = {name: each for name, each in shown.get("stages", {}).items() if name != "report"}
    shortened: dict[str, Any] = _without_places(shown)
    return shortened


def _without_places(value: Any) -> Any:
    """A value whose absolute paths begin at their last folder but one.

    >>> _without_places({"model": "/home/me/site-packages/rrr_countdown/model", "name": "Qwen/Qwen3-0.6B"})
    {'model': '…/rrr_countdown/model', 'name': 'Qwen/Qwen3-0.6B'}
    """
    if isinstance(value, Mapping):
        return {key: _without_places(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_places(inner) for inner in value]
    if isinstance(value, str) and value.startswith("/") and value.count("/") > 2 and "\n" not in value:
        return "…/" + "/".join(value.rstrip("/").split("/")[-2:])
    return value
