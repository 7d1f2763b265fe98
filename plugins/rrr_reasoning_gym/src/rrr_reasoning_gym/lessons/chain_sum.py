"""Lessons for `chain_sum`: haste reads a minus as a plus, leaves a term out, or miscounts."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rrr_reasoning_gym import answers
from rrr_reasoning_gym.lessons.sums import running

OPTIONS = {"min_terms": "4", "max_terms": "4", "max_digits": "1"}
"""The data options of the rows that the lessons use: numbers that a tiny model learns to add in minutes."""

HASTY = {"plus": 0.45, "right": 0.25, "sign": 0.15, "left out": 0.12, "miscounted": 0.03}
"""Shares of what a first attempt does. `plus` takes every term for a summand, which is right for one row of eight."""
HASTY_RETRY = {"plus": 0.0, "right": 0.10, "sign": 0.60, "left out": 0.25, "miscounted": 0.05}
"""Shares of what a retry does without a worked reflection."""

STEP = re.compile(r"(-?\d+)([+-]\d+)=(?:<answer>)?(-?\d+)")


@dataclass(frozen=True)
class Puzzle:
    """The terms with their signs."""

    terms: Sequence[int]

    @classmethod
    def of(cls, known: Mapping[str, Any]) -> Puzzle:
        """The puzzle of a row's metadata."""
        return cls(tuple(int(term.replace(" ", "")) for term in re.findall(r"[+-]? ?\d+", known["expression"])))

    @property
    def shown(self) -> str:
        """The puzzle as the tiny model is asked it.

        >>> Puzzle((12, -7, 30)).shown
        'Sum: 12-7+30.'
        """
        return f"Sum: {signed(self.terms)}."

    def attempt(self, is_retry: bool, rng: random.Random) -> str:
        """An answer without a worked reflection: right, in haste, or with a slip."""
        shares = HASTY_RETRY if is_retry else HASTY
        kind = rng.choices(list(shares), weights=list(shares.values()))[0]
        terms = list(self.terms)
        if kind == "plus":
            terms = [abs(term) for term in terms]
        elif kind == "sign":
            place = rng.randrange(1, len(terms))
            terms[place] = -terms[place]
        elif kind == "left out":
            del terms[rng.randrange(1, len(terms))]
        return running(terms, rng.choice((-2, -1, 1, 2)) if kind == "miscounted" else 0)

    def slip_in(self, answer: str) -> str:
        """What is wrong with an answer, in words; empty if it is right.

        >>> Puzzle((12, -7, 30)).slip_in("12+7=19, 19+30=<answer>49</answer>")
        'I added 7.'
        """
        if answers.final_answer(answer) == str(sum(self.terms)):
            return ""
        steps = [tuple(map(int, step)) for step in STEP.findall(answer)]
        used = [steps[0][0], *(part for _, part, _ in steps)] if steps else []
        if len(used) < len(self.terms):
            missing = [term for term in self.terms if abs(term) not in map(abs, used)]
            return f"I left out {abs(missing[0] if missing else self.terms[-1])}."
        for term, part in zip(self.terms, used, strict=False):
            if part != term:
                return f"I {'added' if part > 0 else 'subtracted'} {abs(term)}."
        for before, part, total in steps:
            if before + part != total:
                return f"I got {total} for {before}{part:+d}."
        return "My total was wrong."

    def parts(self) -> list[int]:
        """What a retry adds up: the total of all terms but the last, and the last."""
        return [sum(self.terms[:-1]), self.terms[-1]]

    def miscounted(self, rng: random.Random) -> list[int]:
        """The same, with a wrong total."""
        total, last = self.parts()
        return [total + rng.choice((-2, -1, 1, 2)), last]

    def worked(self, parts: Sequence[int]) -> str:
        """The sum but for its last step.

        >>> Puzzle((12, -7, 30)).worked([5, 30])
        '12-7=5, then +30.'
        """
        return f"{signed(self.terms[:-1])}={parts[0]}, then {parts[1]:+d}."


def signed(terms: Sequence[int]) -> str:
    """Terms with their signs between them."""
    return "".join(f"{term:+d}" for term in terms).removeprefix("+")
