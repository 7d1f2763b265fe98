"""Conversations: the messages a model sees at each step of an episode."""

from __future__ import annotations

from collections.abc import Sequence

from rrr_core.hookspecs import Message, Model, Row
from rrr_core.tasks import Task


def reflection_conversation(
    task: Task, row: Row, prompt: Sequence[Message], attempt: str, model: Model
) -> list[dict[str, str]]:
    """Prompt, failed attempt, and the request to reflect on it: what the reflection is sampled from."""
    return _answered(prompt, attempt, task.reflection_prompt(row, attempt, model))


def retry_conversation(
    task: Task, row: Row, prompt: Sequence[Message], attempt: str, reflection: str, model: Model
) -> list[dict[str, str]]:
    """The reflection's conversation, the reflection, and the row posed again: what the retry is sampled from."""
    reflected = reflection_conversation(task, row, prompt, attempt, model)
    return _answered(reflected, reflection, task.retry_prompt(row, model))


def retry_without_reflection(
    task: Task, row: Row, prompt: Sequence[Message], attempt: str, model: Model
) -> list[dict[str, str]]:
    """Prompt, failed attempt, and the row posed again at once: the control that tells what reflecting adds."""
    return _answered(prompt, attempt, task.retry_prompt(row, model))


def _answered(conversation: Sequence[Message], answer: str, question: str) -> list[dict[str, str]]:
    """`conversation`, the model's answer to it, and the user's next message; the given messages are copied."""
    return [
        *(dict(message) for message in conversation),
        {"role": "assistant", "content": answer},
        {"role": "user", "content": question},
    ]
