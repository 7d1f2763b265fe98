"""What a reward function did instead of giving a number, in the words of its author's file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rrr_core.rewards import BadReward
from rrr_core.scaffolding.reward_source import RewardSource
from rrr_core.tasks.blame import describe_exception

TEXT_TAKEN_FOR_MESSAGES = ("string indices must be", "'str' object has no attribute")
MESSAGES_TAKEN_FOR_TEXT = ("'list'", "list indices must be")
"""Parts of Python's messages where one is used as the other."""


def described(error: BaseException, source: RewardSource, row: Mapping[str, Any]) -> str:
    """`it raised KeyError at rewards.py:5: 'gold'`, with what the completions were where that may be the reason."""
    if isinstance(error, BadReward):
        return str(error)
    said = describe_exception(error, source.module.partition(".")[0])
    hint = _hint(said, source, row) if isinstance(error, TypeError | AttributeError) else ""
    return f"it raised {said}{hint}"


def _hint(said: str, source: RewardSource, row: Mapping[str, Any]) -> str:
    if source.shape.name not in ("trl", "rubric"):
        return ""
    given = source.shape.arguments(row, "")
    completion = given["completion"] if "completion" in given else given["completions"][0]
    if isinstance(completion, str) and any(part in said for part in TEXT_TAKEN_FOR_MESSAGES):
        return ". Completions are texts here, as the prompts are; where 'prompt' is a list of messages, they are, too"
    if isinstance(completion, list) and any(part in said for part in MESSAGES_TAKEN_FOR_TEXT):
        return ". Completions are lists of messages here; where the column 'prompt' is a text, they are, too"
    return ""
