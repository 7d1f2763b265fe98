"""A right answer to a row, found by search: for display and for measuring leaks, never shown to a model."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache

from rrr_countdown.equations import CLOSING, OPENING

MOST_NUMBERS = 6
MOST_STEPS = 100_000
"""Combinations tried before the search gives up: well under a second."""

Term = tuple[str, int]
"""An expression's text and how strongly it binds: 1 for a sum, 2 for a product, 3 for a number."""


@lru_cache(maxsize=65_536)
def gold_answer(nums: tuple[int, ...], target: int) -> str | None:
    """`<answer>…</answer>` with an equation that uses every number once, or None if none is known.

    Plus and minus alone are tried first, so the simplest answer is returned.

    >>> gold_answer((44, 19, 35), 28)
    '<answer>44+19-35</answer>'
    """
    if not 1 <= len(nums) <= MOST_NUMBERS:
        return None
    text = signed_sum(nums, target) or Search(nums).reach(Fraction(target))
    return f"{OPENING}{text}{CLOSING}" if text else None


def signed_sum(nums: Sequence[int], target: int) -> str | None:
    """The numbers added and subtracted, the fewest minuses and the positive numbers first."""
    choices = sorted(itertools.product((1, -1), repeat=len(nums)), key=lambda signs: signs.count(-1))
    for signs in choices:
        if 1 in signs and sum(n * sign for n, sign in zip(nums, signs, strict=True)) == target:
            ordered = sorted(zip(nums, signs, strict=True), key=lambda pair: -pair[1])
            return "".join(f"{'+' if sign > 0 else '-'}{n}" for n, sign in ordered).removeprefix("+")
    return None


class Search:
    """Goal-directed search: split the numbers in two, list the smaller part's values, search the rest for what is left.

    A set of numbers is a bit mask over their positions.
    """

    def __init__(self, nums: Sequence[int]) -> None:
        self.nums = nums
        self.steps = 0
        self.listed: dict[int, dict[Fraction, Term]] = {}
        self.unreachable: set[tuple[int, Fraction]] = set()

    def reach(self, target: Fraction) -> str | None:
        """An equation's left side with that value, or None if there is none or the search gave up."""
        term = self.find((1 << len(self.nums)) - 1, target)
        return term[0] if term else None

    def find(self, mask: int, wanted: Fraction) -> Term | None:
        """An expression of a set's numbers with the wanted value, or None."""
        if mask.bit_count() <= 3:
            return self.values(mask).get(wanted)
        if (mask, wanted) in self.unreachable:
            return None
        for small, large in parts(mask):
            for have, term in self.values(small).items():
                if not have and not wanted:
                    return joined(term, "*", self.sum(large))
                for missing, join in needs(have, wanted):
                    self.steps += 1
                    if self.steps > MOST_STEPS:
                        return None
                    other = self.find(large, missing)
                    if other:
                        return joined(other, join[0], term) if join[1] else joined(term, join[0], other)
        self.unreachable.add((mask, wanted))
        return None

    def sum(self, mask: int) -> Term:
        """The numbers of a set, added."""
        return "+".join(str(n) for place, n in enumerate(self.nums) if mask >> place & 1), 1

    def values(self, mask: int) -> dict[Fraction, Term]:
        """Every value that at most three numbers can make, each with an expression for it."""
        if mask not in self.listed:
            found: dict[Fraction, Term] = {}
            if mask.bit_count() == 1:
                number = self.nums[mask.bit_length() - 1]
                found[Fraction(number)] = (str(number), 3)
            for one, two in parts(mask):
                for (left, left_term), (right, right_term) in itertools.product(
                    self.values(one).items(), self.values(two).items()
                ):
                    found.setdefault(left + right, joined(left_term, "+", right_term))
                    found.setdefault(left - right, joined(left_term, "-", right_term))
                    found.setdefault(right - left, joined(right_term, "-", left_term))
                    found.setdefault(left * right, joined(left_term, "*", right_term))
                    if right:
                        found.setdefault(left / right, joined(left_term, "/", right_term))
                    if left:
                        found.setdefault(right / left, joined(right_term, "/", left_term))
            self.listed[mask] = found
        return self.listed[mask]


def parts(mask: int) -> Iterator[tuple[int, int]]:
    """Every split of a set into two non-empty parts, the smaller first; each split once."""
    part = (mask - 1) & mask
    while part:
        rest = mask ^ part
        if (part.bit_count(), part) <= (rest.bit_count(), rest):
            yield part, rest
        part = (part - 1) & mask


def needs(have: Fraction, wanted: Fraction) -> Iterator[tuple[Fraction, tuple[str, bool]]]:
    """What `have` needs to make `wanted`, with the operator and whether the needed value is on its left."""
    yield wanted - have, ("+", True)
    yield wanted + have, ("-", True)
    yield have - wanted, ("-", False)
    if have:
        yield wanted / have, ("*", True)
        yield wanted * have, ("/", True)
    if wanted and have:
        yield have / wanted, ("/", False)


def joined(left: Term, operator: str, right: Term) -> Term:
    """Two expressions with an operator between, in as few parentheses as keep the value."""
    binding = 1 if operator in "+-" else 2
    left_text = left[0] if left[1] >= binding else f"({left[0]})"
    loose = right[1] < binding or (right[1] == binding and operator in "-/")
    return f"{left_text}{operator}{f'({right[0]})' if loose else right[0]}", binding
