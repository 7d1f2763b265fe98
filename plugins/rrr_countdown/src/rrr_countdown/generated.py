"""Countdown rows made from a seed: always solvable, every split disjoint from the others by content."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rrr_core.row_files import bucket_of

SPLIT_SHARES = {"warmup": 70, "train": 20, "test": 10}
"""Percentage of all possible rows that each split may draw from."""

MOST_MISSES = 20_000
"""Consecutive tries without a new row after which a split counts as exhausted."""


@dataclass(frozen=True)
class Recipe:
    """What generated rows look like.

    `numbers` is the inclusive range of how many numbers a row has, `largest` the largest of them,
    `operators` those that the solution may use, `seed` the order in which rows appear.
    """

    numbers: tuple[int, int] = (3, 3)
    largest: int = 50
    operators: str = "+-"
    seed: int = 0


def split_of(nums: list[int], target: int) -> str:
    """The one split that a row belongs to, whatever the seed and the order of its numbers.

    The content is hashed, so rows of different splits are never equal.
    """
    bucket = bucket_of(f"{sorted(nums)}={target}")
    for split, share in SPLIT_SHARES.items():
        if bucket < share:
            return split
        bucket -= share
    raise AssertionError("the shares of the splits add up to 100")


def random_target(nums: list[int], operators: str, rng: random.Random) -> int | None:
    """A positive whole number up to 999 that `nums` reach when combined at random, or None if this try found none.

    Every step is a whole number, as in the television show.
    """
    values = list(nums)
    rng.shuffle(values)
    while len(values) > 1:
        left = values.pop(rng.randrange(len(values)))
        right = values.pop(rng.randrange(len(values)))
        operator = rng.choice(operators)
        if operator == "/":
            if right == 0 or left % right != 0:
                return None
            values.append(left // right)
        else:
            values.append(left + right if operator == "+" else left - right if operator == "-" else left * right)
    return values[0] if 0 < values[0] <= 999 else None


def generate(split: str, recipe: Recipe) -> Iterator[dict[str, Any]]:
    """Rows `{"nums": [...], "target": n}` of one split, without repeats, in a fixed order.

    Ends when the recipe's rows are nearly exhausted.
    """
    rng = random.Random(f"{recipe.seed}/{split}/{recipe.numbers}/{recipe.largest}/{recipe.operators}")
    seen: set[tuple[int, ...]] = set()
    misses = 0
    while misses < MOST_MISSES:
        misses += 1
        nums = [rng.randint(1, recipe.largest) for _ in range(rng.randint(*recipe.numbers))]
        target = random_target(nums, recipe.operators, rng)
        if target is None:
            continue
        key = (*sorted(nums), target)
        if key in seen or split_of(nums, target) != split:
            continue
        seen.add(key)
        misses = 0
        yield {"nums": nums, "target": target}
