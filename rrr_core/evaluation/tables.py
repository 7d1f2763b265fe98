"""A comparison as rows of text, ready to print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rrr_core.evaluation.figures import WAYS
from rrr_core.text import percent


def table(comparison: Mapping[str, Any]) -> list[dict[str, str]]:
    """The paper's table, one row per mode: heading → cell, with a first- and a second-try column for each model.

    A cell is a percentage with its 95% interval, `34.9 (32.8–37.0)`, or `–` if nothing was measured.
    """
    return [
        {"mode": mode}
        | {
            f"{label} {heading}": percentage(figures["modes"].get(mode, {}).get(name))
            for label, figures in comparison["figures"].items()
            for name, heading in (("first_try", "1st"), ("second_try", "2nd"))
        }
        for mode in _modes(comparison)
    ]


def control_table(comparison: Mapping[str, Any]) -> list[dict[str, str]]:
    """The second try beside its controls, one row per mode and model: heading → cell."""
    return [
        {"mode": mode, "model": label}
        | {way.short: percentage(figures["modes"][mode].get(way.key)) for way in WAYS if way.key != "first_try"}
        for mode in _modes(comparison)
        for label, figures in comparison["figures"].items()
        if mode in figures["modes"]
    ]


def percentage(proportion: Mapping[str, Any] | None) -> str:
    """A proportion as a percentage with its interval.

    >>> percentage({"value": 0.349, "low": 0.328, "high": 0.3702})
    '34.9 (32.8–37.0)'
    """
    if proportion is None:
        return "–"
    value, low, high = (percent(proportion[name]) for name in ("value", "low", "high"))
    return f"{value} ({low}–{high})"


def _modes(comparison: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(mode for figures in comparison["figures"].values() for mode in figures["modes"]))
