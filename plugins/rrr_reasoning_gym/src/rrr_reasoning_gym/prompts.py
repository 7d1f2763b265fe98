"""Every word that a task says to a model: reasoning-gym's own, and few to the tiny family on data sets with lessons."""

from __future__ import annotations

from rrr_core import Model, Row
from rrr_reasoning_gym import answers, lessons

TINY = "rrr-tiny"
"""The family of the models that `rrr warmup` makes from scratch."""


def prompt(dataset: str, row: Row, model: Model) -> str:
    """The one user message with a puzzle."""
    return lessons.prompt(dataset, row) if _is_taught(dataset, model) else answers.prompt(row["question"])


def reflection_prompt(dataset: str, model: Model) -> str | None:
    """The user message that asks what went wrong; None for the core's own."""
    return lessons.REFLECTION_PROMPT if _is_taught(dataset, model) else None


def retry_prompt(dataset: str, row: Row, model: Model) -> str | None:
    """The puzzle again; None where the core repeats the whole prompt."""
    return lessons.retry_prompt(dataset, row) if _is_taught(dataset, model) else None


def _is_taught(dataset: str, model: Model) -> bool:
    return model.family == TINY and dataset in lessons.TAUGHT
