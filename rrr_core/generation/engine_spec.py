"""What is known of an engine before it is opened."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

POLICY = "the policy itself"
"""The `beside` of an engine whose network is the one that is trained: it writes its own rollouts."""


@dataclass(frozen=True, kw_only=True)
class EngineSpec:
    """How an engine is opened, and what can be set about it. The module that holds it imports nothing heavy."""

    open: str
    """`module:function`, imported when the engine is asked for: a function of ModelSettings that gives an Engine."""
    takes: Collection[str] = ()
    """The fields of ModelSettings that it acts on, `model` apart. Any other that is set is refused."""
    needs: Collection[str] = ()
    """Those of them that must be given."""
    beside: str | None = None
    """`module:function` of a policy, which is a TokenEngine with a `network`, and of ModelSettings.

    It gives the TokenEngine that writes the policy's rollouts while it is trained. None: it is no engine to train with.
    """
