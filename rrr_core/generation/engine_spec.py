"""What is known about an engine before it is opened."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

POLICY = "the policy itself"
"""The `beside` of an engine that trains its own network: the policy writes its own rollouts."""


@dataclass(frozen=True, kw_only=True)
class EngineSpec:
    """How to open an engine, and which settings it takes. The module that holds it imports nothing heavy."""

    open: str
    """`module:function`, imported when the engine is opened: a function of ModelSettings that gives an Engine."""
    takes: Collection[str] = ()
    """The fields of ModelSettings it acts on, besides `model`. Setting any other is an error."""
    needs: Collection[str] = ()
    """Those of them that are required."""
    beside: str | None = None
    """`module:function` of a policy, which is a TokenEngine with a `network`, and of ModelSettings.

    It gives the TokenEngine that writes the policy's rollouts during training. None: it cannot be trained with.
    """
