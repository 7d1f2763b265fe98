"""Shares and differences as cells of a table on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def share(figure: Mapping[str, Any] | None) -> str:
    """A proportion in percent with its 95% interval.

    >>> share({"value": 0.123, "low": 0.1, "high": 0.15})
    '12.3 (10.0-15.0)'
    """
    if not figure or figure.get("value") is None:
        return "-"
    return f"{100 * figure['value']:.1f} ({100 * figure['low']:.1f}-{100 * figure['high']:.1f})"


def difference(figure: Mapping[str, Any] | None) -> str:
    """A difference of proportions in points with its 95% interval.

    >>> difference({"value": 0.05, "low": -0.01, "high": 0.11})
    '+5.0 (-1.0 to +11.0)'
    """
    if not figure or figure.get("value") is None:
        return "-"
    return f"{100 * figure['value']:+.1f} ({100 * figure['low']:+.1f} to {100 * figure['high']:+.1f})"


def pair_of(
    pairs: Iterable[Mapping[str, Any]], labels: Sequence[str], mode: str, figure: str
) -> Mapping[str, Any] | None:
    """The paired difference of two models in one figure; None if they were not compared in it."""
    wanted = {"a": labels[0], "b": labels[1], "mode": mode, "figure": figure}
    for pair in pairs:
        if all(pair.get(key) == value for key, value in wanted.items()):
            found: Mapping[str, Any] = pair["difference"]
            return found
    return None
