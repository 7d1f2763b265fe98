"""Conversations: the messages a model sees at each step of an episode."""

from __future__ import annotations

from collections.abc import Iterable

from rrr_core.episode import Episode, Segment
from rrr_core.episode.calls import CALLS, calls_to_text
from rrr_core.hookspecs import Model
from rrr_core.tasks import Task


def conversation(segments: Iterable[Segment]) -> list[dict[str, str]]:
    """The chat messages of segments, copied: read segments as given, written ones as the assistant's.

    A thought is in a field of its own, `thought`: the chat template decides whether it is shown. So are calls, as JSON,
    in `calls`: the chat template writes them in its family's form.
    """
    messages: list[dict[str, str]] = []
    for segment in segments:
        if segment.is_read:
            messages += [dict(message) for message in segment.messages]
        else:
            reply = {"role": "assistant", "content": segment.text}
            if segment.thought:
                reply["thought"] = segment.thought
            if segment.calls:
                reply[CALLS] = calls_to_text(segment.calls)
            messages.append(reply)
    return messages


def reflection_request(task: Task, episode: Episode, model: Model) -> Segment:
    """The prompt that asks what went wrong with the episode's last answer."""
    return _from_user(task.reflection_prompt(episode.row, episode.segments[-1].answer, model))


def retry_request(task: Task, episode: Episode, model: Model) -> Segment:
    """The prompt that asks the model to try the row again."""
    return _from_user(task.retry_prompt(episode.row, model))


def reflection_conversation(task: Task, episode: Episode, model: Model) -> list[dict[str, str]]:
    """What a reflection is sampled from: an episode that ends in a failed answer, and the request to reflect."""
    return conversation(episode.extended(reflection_request(task, episode, model)).segments)


def retry_conversation(task: Task, episode: Episode, model: Model) -> list[dict[str, str]]:
    """What a retry is sampled from: an episode, and the request to try its row again.

    After a reflection this is the method's retry. Right after the failed answer it is the control that shows what
    reflecting adds.
    """
    return conversation(episode.extended(retry_request(task, episode, model)).segments)


def with_reflection(task: Task, episode: Episode, reflection: str, model: Model, thought: str = "") -> Episode:
    """An episode that ends in a failed answer, extended by the request to reflect and a given reflection."""
    written = Segment("reflection", text=reflection, thought=thought)
    return episode.extended(reflection_request(task, episode, model), written)


def _from_user(text: str) -> Segment:
    return Segment("prompt", ({"role": "user", "content": text},))
