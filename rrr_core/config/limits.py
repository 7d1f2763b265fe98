"""Limits that stages share: of tokens, whose default depends on whether the model thinks, and of what stops a stage."""

from __future__ import annotations

THINKING_TOKENS = 4096
"""Default limit of a text with a thought. Published reasoning models write some hundreds to some thousands of tokens
before a short answer."""


STEPS = 8
"""Default of the most actions in one answer of a task that acts in steps."""
STEPS_HELP = "Most actions in one answer; only for tasks that act in steps."


CUT_OFF_SHARE = 0.05
"""Share of cut-off texts above which it is shown."""


STOPS = ("max_abstain", "max_no_answer")
"""Settings that only say when to stop: they are part of no identity."""


class UnsetLimit(int):
    """A token limit that nobody set: a model that thinks gets `THINKING_TOKENS` instead."""


TOKENS = UnsetLimit(512)
"""Default limit of a text."""


def token_limit(limit: int, thinks: bool) -> int:
    """The limit in use for a model.

    >>> token_limit(TOKENS, thinks=True), token_limit(TOKENS, thinks=False), token_limit(512, thinks=True)
    (4096, 512, 512)
    """
    return THINKING_TOKENS if thinks and isinstance(limit, UnsetLimit) else int(limit)
