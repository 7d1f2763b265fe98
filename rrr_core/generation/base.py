"""Earlier names of the engine's base classes, until their last users have moved."""

from __future__ import annotations

from contextlib import AbstractContextManager

from rrr_core.generation.engine import Engine, Sampling, TokenEngine

__all__ = ["Generator", "IdGenerator", "Sampling", "remembering"]

Generator = Engine
IdGenerator = TokenEngine


def remembering(engine: Engine) -> AbstractContextManager[None]:
    """The engine's stretch of prefix caching."""
    return engine.prefix_caching()
