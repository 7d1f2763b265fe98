"""A task that acts in steps, for the tests of several rooms: find a number by guesses; and a script that plays it."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Any

from rrr_core.hookspecs import Row, Step, final, hookimpl, observed, trusted
from rrr_core.tasks import Task
from rrr_core.verdicts import Verdict, failed, passed
from tests.fakes import Conversation, task_of

ASKED = "Find my number from 0 to {most}. Write `guess N`, or `answer N` once you know it."
"""The prompt of a row."""
HELP = "Write `guess N` or `answer N`."
"""What follows an action that is neither."""


def bisection_task(size: int = 20, span: int = 8, is_trusted: bool = True) -> Task:
    """A task of `size` rows `{"number": n, "most": span - 1}` whose hidden number is from 0 to `most`.

    `guess 3` is followed by `higher`, `lower` or `found`; `answer 5` ends the course. What is judged, such as `5 after
    3`, is not what the model wrote. At `crash` the step raises, at `answer crash` the verifier.
    """
    mark = trusted if is_trusted else lambda hook: hook

    @hookimpl
    def rrr_load_dataset(split: str) -> Iterator[Row]:
        for index in range(size):
            yield {"number": (index * 5 + (split == "test")) % span, "most": span - 1}

    @hookimpl
    def rrr_prompt(row: Row) -> str:
        return ASKED.format(most=row["most"])

    @hookimpl
    @mark
    def rrr_step(row: Row, state: Any, action: str) -> Step:
        guesses = state or []
        if action == "crash":
            raise ZeroDivisionError("of the step")
        kind, _, number = action.partition(" ")
        if kind == "answer":
            return final(f"{number} after {', '.join(map(str, guesses)) or 'nothing'}")
        if kind != "guess" or not re.fullmatch(r"[0-9]{1,4}", number):
            return observed(HELP, guesses)
        guess, hidden = int(number), row["number"]
        return observed("found" if guess == hidden else "higher" if guess < hidden else "lower", [*guesses, guess])

    @hookimpl
    @mark
    def rrr_verify(row: Row, answer: str) -> Verdict:
        if answer.startswith("crash"):
            raise ZeroDivisionError("of the verifier")
        return passed() if answer.split()[0] == str(row["number"]) else failed("wrong number", answer)

    return task_of("bisection", rrr_load_dataset, rrr_prompt, rrr_step, rrr_verify)


def bisecting(conversation: Conversation, chance: random.Random) -> str:
    """Bisects, but is careless: it answers too early, or idles, more often in a first try than after a reflection.

    On any other request, such as to reflect, it says one of ten things.
    """
    first = ASKED.partition("{")[0]
    asked = [place for place, message in enumerate(conversation) if message["content"].startswith(first)]
    course = conversation[asked[-1] :]
    most = re.search(r"\d+ ?\.", course[0]["content"])
    assert most is not None
    low, high = 0, int(most[0].rstrip(" ."))
    for action, observation in zip(course[1::2], course[2::2], strict=False):
        said, number = observation["content"], int(re.sub(r"\D", "", action["content"]) or -1)
        if said not in ("higher", "lower", "found", HELP):
            return f"I was careless {chance.randrange(10)}."
        low = number if said == "found" else number + 1 if said == "higher" else low
        high = number if said == "found" else number - 1 if said == "lower" else high
    middle, careless = (low + high) // 2, 0.25 if len(asked) == 1 else 0.1
    if chance.random() < careless:
        return "hm" if chance.random() < 0.4 else f"answer {chance.randint(low, high)}"
    return f"answer {low}" if low == high else f"guess {middle}"
