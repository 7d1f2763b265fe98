"""Verification: the judge of mining, training and evaluation, its sandboxed processes, and what confines them.

docs/verification.md says what is enforced where, and what is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rrr_core.verification.judge import Judge
    from rrr_core.verification.settings import VerifySettings

__all__ = ["Judge", "VerifySettings"]


def __getattr__(name: str) -> Any:
    """Import on demand: a nursery needs neither, and each of its imports delays the first verdict."""
    if name == "Judge":
        from rrr_core.verification.judge import Judge

        return Judge
    if name == "VerifySettings":
        from rrr_core.verification.settings import VerifySettings

        return VerifySettings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
