"""Lessons for `leg_counting`: haste gives every animal four legs, or leaves one out."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rrr_reasoning_gym import answers, upstream
from rrr_reasoning_gym.lessons.sums import running

OPTIONS = {"max_animals": "3", "max_instances": "5"}
"""The data options of the rows that the lessons use: numbers that a tiny model learns to add in minutes."""

HASTY = {"four": 0.50, "right": 0.28, "legs": 0.12, "left out": 0.10}
"""Shares of what a first attempt does. `four` gives every animal four legs, `legs` gives one of them a wrong number."""
HASTY_RETRY = {"four": 0.45, "right": 0.08, "legs": 0.30, "left out": 0.17}
"""Shares of what a retry does without a worked reflection."""

FEW = (2, 4, 6, 8)
"""Numbers of legs that come to mind."""
PRODUCT = re.compile(r"(\d+)\*(\d+)=(\d+)")


@dataclass(frozen=True)
class Animals:
    """Some animals of one kind."""

    count: int
    name: str
    """As the question has it, in the plural for more than one."""
    legs: int
    """Of each."""


@dataclass(frozen=True)
class Puzzle:
    """The animals, in the order of the question."""

    animals: Sequence[Animals]

    @classmethod
    def of(cls, known: Mapping[str, Any]) -> Puzzle:
        """The puzzle of a row's metadata."""
        legs = upstream.legs()
        return cls(
            tuple(
                Animals(count, name + ("s" if count > 1 else ""), legs[name])
                for name, count in known["animals"].items()
            )
        )

    @property
    def shown(self) -> str:
        """The puzzle as the tiny model is asked it.

        >>> Puzzle((Animals(12, "ducks", 2), Animals(1, "bee", 6))).shown
        'Legs: 12 ducks, 1 bee.'
        """
        return f"Legs: {', '.join(f'{each.count} {each.name}' for each in self.animals)}."

    def attempt(self, is_retry: bool, rng: random.Random) -> str:
        """An answer without a worked reflection: right, in haste, or with a slip."""
        shares = HASTY_RETRY if is_retry else HASTY
        kind = rng.choices(list(shares), weights=list(shares.values()))[0]
        taken = [(each.count, 4 if kind == "four" else each.legs) for each in self.animals]
        place = rng.randrange(len(taken))
        if kind == "legs":
            count, legs = taken[place]
            taken[place] = (count, rng.choice([few for few in FEW if few != legs]))
        elif kind == "left out":
            del taken[place]
        products = ", ".join(f"{count}*{legs}={count * legs}" for count, legs in taken)
        return f"{products}. {running([count * legs for count, legs in taken])}"

    def slip_in(self, answer: str) -> str:
        """What is wrong with an answer, in words; empty if it is right.

        >>> puzzle = Puzzle((Animals(12, "ducks", 2), Animals(1, "bee", 6)))
        >>> puzzle.slip_in("12*2=24, 1*4=4. 24+4=<answer>28</answer>")
        'I gave bee 4 legs.'
        """
        if answers.final_answer(answer) == str(sum(self.parts())):
            return ""  # animals without legs may be left out
        products = [tuple(map(int, product)) for product in PRODUCT.findall(answer)]
        if len(products) < len(self.animals):
            counts = [count for count, _, _ in products]
            missing = [each for each in self.animals if each.count not in counts] or list(self.animals[-1:])
            return f"I left out {missing[0].name}."
        for each, (_, legs, product) in zip(self.animals, products, strict=False):
            if legs != each.legs:
                return f"I gave {each.name} {legs} legs."
            if product != each.count * each.legs:
                return f"I got {product} for {each.count}*{each.legs}."
        return "My total was wrong."

    def parts(self) -> list[int]:
        """What a retry adds up: the legs of each kind of animal."""
        return [each.count * each.legs for each in self.animals]

    def miscounted(self, rng: random.Random) -> list[int]:
        """The same, with one of them wrong."""
        parts = self.parts()
        parts[rng.randrange(len(parts))] += rng.choice((2, 4, 10))
        return parts

    def worked(self, parts: Sequence[int]) -> str:
        """The legs of each kind of animal, without the total.

        >>> Puzzle((Animals(12, "ducks", 2), Animals(1, "bee", 6))).worked([24, 6])
        'ducks 12*2=24, bee 1*6=6.'
        """
        return (
            ", ".join(
                f"{each.name} {each.count}*{each.legs}={part}" for each, part in zip(self.animals, parts, strict=True)
            )
            + "."
        )
