"""Mining: sample tries on rows of the train split and keep the failing ones as the failure set that training uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rrr_core.mining.settings import MineSettings

if TYPE_CHECKING:
    from rrr_core.mining.folder import mine
    from rrr_core.mining.tally import MiningSummary

__all__ = ["MineSettings", "MiningSummary", "mine"]


def __getattr__(name: str) -> Any:
    """Import the rest on demand: the options of a command need the settings alone."""
    if name == "mine":
        from rrr_core.mining.folder import mine

        return mine
    if name == "MiningSummary":
        from rrr_core.mining.tally import MiningSummary

        return MiningSummary
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
