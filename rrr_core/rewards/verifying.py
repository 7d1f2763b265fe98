"""A reward function as a verifier: the answer within bounds, the function's number, and a threshold."""

from __future__ import annotations

import importlib
import inspect
import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

from rrr_core.hookspecs import Row, hookimpl
from rrr_core.rewards.loop import run_coroutine
from rrr_core.rewards.shapes import Function, Shape, called, needs, parameters, shape_of, takes_any
from rrr_core.verdicts import Verdict, failed, passed

LOW, LONG, NOT_TEXT = CATEGORIES = ("low reward", "too long", "not text")
"""The error classes, for the manifest."""
LONGEST = 20_000
"""Characters of an answer that a function is given, unless another bound is set."""
SLACK = 1e-9
"""Rewards are often sums of floats: 0.1 + 0.2 + 0.7 reaches 1."""


class NoReward(Exception):
    """The function gave None, which says that it does not apply to the row: there is no verdict."""


class BadReward(Exception):
    """The function gave something that holds no one number; the message says what, and what is expected."""


def from_reward(
    function: Function | str, *, threshold: float = 1.0, shape: str = "", longest: int = LONGEST
) -> Callable[[Row, str], Verdict]:
    """The hook `rrr_verify` that passes an answer whose reward is at least `threshold`.

    An answer of more than `longest` characters, or with lone surrogates, fails before the function sees it. An
    exception of the function, None, NaN and what is no number withhold the verdict. `function` may be
    `"module:function"`, which is imported at the first verdict; it then needs its `shape`. Raises ValueError for a
    function that no verdict can call, and for bounds that are none.
    """
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not math.isfinite(threshold):
        raise ValueError(f"threshold={threshold!r} must be a number")
    if isinstance(longest, bool) or not isinstance(longest, int) or longest < 1:
        raise ValueError(f"longest={longest!r} must be a whole number of characters above 0")
    score = deferred(function, shape) if isinstance(function, str) else scorer(function, shape)

    @hookimpl
    def rrr_verify(row: Row, answer: str) -> Verdict:
        if len(answer) > longest:
            return failed(LONG, f"{len(answer):,} characters, and at most {longest:,} are judged")
        if not _is_text(answer):
            return failed(NOT_TEXT, "lone surrogates, which no tokenizer writes")
        reward = score(row, answer)
        if reward >= threshold - SLACK:
            return passed()
        return failed(LOW, f"a reward of {reward:.6g}, and {threshold:g} passes")

    # A hook is found by its module and name in another process, too.
    rrr_verify.__module__ = sys._getframe(1).f_globals.get("__name__", __name__)
    rrr_verify.__qualname__ = rrr_verify.__name__
    return rrr_verify


def scorer(function: Function, shape: str = "") -> Callable[[Row, str], float]:
    """What gives the function's reward for a row and an answer.

    Raises ValueError as `shape_of`. The scorer raises whatever the function raises, NoReward for None, and BadReward
    for what is no number.
    """
    kind = shape_of(function, shape)
    taken, takes_rest = parameters(function), takes_any(function)
    needed = needs(function)

    def score(row: Row, answer: str) -> float:
        given = kind.arguments(row, answer)
        missing = [name for name in needed if name not in given]
        if missing:
            held = ", ".join(row) or "no column"
            raise LookupError(f"{called(function)} takes {missing[0]!r}, and the row has {held}")
        if not (takes_rest and kind.takes_all):
            given = {name: value for name, value in given.items() if name in taken}
        return _number(function, kind, function(**given))

    return score


def deferred(target: str, shape: str) -> Callable[[Row, str], float]:
    """The scorer of `module:function`, which the first call imports. Raises ValueError without a shape or a name."""
    module, _, name = target.partition(":")
    if not module or not name:
        raise ValueError(f"{target!r} names no function: write module:function")
    if not shape:
        raise ValueError(f"the parameters of {target!r} are not known before it is imported: give its shape")
    made: list[Callable[[Row, str], float]] = []

    def score(row: Row, answer: str) -> float:
        if not made:
            made.append(scorer(getattr(importlib.import_module(module), name), shape))
        return made[0](row, answer)

    return score


def _number(function: Function, shape: Shape, given: Any) -> float:
    """The one number in what a function gives. Raises NoReward or BadReward."""
    if inspect.iscoroutine(given):
        given = run_coroutine(given)
    if shape.name == "trl":
        given = _only(function, given)
    if shape.name == "verl" and isinstance(given, Mapping):
        given = given["score"]  # The rest is for its log.
    values = list(given.values()) if isinstance(given, Mapping) else [given]
    if any(value is None for value in values):
        raise NoReward(f"{called(function)} gave None: it does not apply to this row")
    if any(isinstance(value, str | bytes) for value in values):
        raise BadReward(f"{called(function)} gave a text, not a number")
    try:
        total = math.fsum(float(value) for value in values)
    except TypeError:
        raise BadReward(f"{called(function)} returned {_shown(given)}; a number is expected") from None
    if not math.isfinite(total):
        raise BadReward(f"{called(function)} gave {total}, which is no reward")
    return total


def _only(function: Function, given: Any) -> Any:
    """What a function of TRL's gives for its one completion."""
    try:
        rewards = iter(given)
    except TypeError:
        expected = "a list of one number for each completion is expected"
        raise BadReward(f"{called(function)} returned {_shown(given)}; {expected}") from None
    values = list(rewards)
    if len(values) != 1:
        raise BadReward(f"{called(function)} gave {len(values)} rewards for one completion")
    return values[0]


def _shown(given: Any) -> str:
    return repr(given) if given is None or type(given) in (bool, int, float) else f"a {type(given).__name__}"


def _is_text(answer: str) -> bool:
    try:
        answer.encode()
    except UnicodeEncodeError:
        return False
    return True
