"""A reward function for verifiers 0.4 without its task set: what the core gives it is what verifiers would."""

from __future__ import annotations

import verifiers.v1 as vf

from rrr_core import from_reward
from rrr_core.rewards import SHAPES

ROW = {"prompt": "2 + 3?", "answer": "5"}


async def right(task, trace) -> float:
    return float(trace.last_reply == task.answer)


def test_every_attribute_that_the_core_gives_a_trace_is_one_of_verifiers() -> None:
    given = vars(SHAPES["verifiers"].arguments(ROW, "5")["trace"])
    assert set(given) <= {name for name in dir(vf.Trace) if not name.startswith("_")}


def test_a_plain_function_is_marked_and_judges() -> None:
    verify = from_reward(vf.reward(right))
    assert verify(row=ROW, answer=" 5\n").is_passed
    assert verify(row=ROW, answer="6").is_failed
