"""Conversations that teach an untrained model to answer in haste, and what helps it.

The model that learns from them stands in for a pretrained instruct model, so they show what one does. It answers in
haste, with slips. Asked what went wrong, it is mostly vague; sometimes it names the slip; rarely it works the puzzle
out but for the last sums. After a vague reflection the retry is as hasty as the attempt; after a worked one it adds up
the reflection's numbers, even if they are wrong for the row. Every share is a named constant here or beside the puzzle.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rrr_core import Row
from rrr_core.errors import RrrError
from rrr_reasoning_gym import metadata, rows, upstream
from rrr_reasoning_gym.lessons import chain_sum, leg_counting
from rrr_reasoning_gym.lessons.sums import running

EARLY_PART = 0.7
"""Share of the lessons that is the first part."""
NO_REFLECTION = 0.12
"""Share of failed attempts that are retried without a reflection."""
POOL = 30_000
"""Rows that the conversations use, drawn at random; with more conversations than that, rows occur again."""
FIRST_SEED = 1_000_000_000
"""Upstream adds seed and index, so seeds from here on share no puzzle's number with those that users choose."""

VAGUE = {
    "I made a mistake. I will be more careful next time.": 0.75,
    "I should check my answer again and read the question slowly.": 0.13,
    "My answer was wrong. Next time I will think more before I answer.": 0.12,
}
REFLECTION_PROMPT = "Wrong. Reflect on what went wrong."


@dataclass(frozen=True)
class Stage:
    """Shares of the kinds of reflection, and of whose numbers a worked one has, in one part of the lessons."""

    reflections: Mapping[str, float]
    numbers: Mapping[str, float]


EARLY = Stage(
    {"vague": 0.10, "named": 0.05, "worked": 0.85},
    {"own": 0.86, "miscounted": 0.06, "another's": 0.08},
)
"""The first part, where the model learns to count, and to take numbers from the reflection alone."""
LATE = Stage(
    {"vague": 0.60, "named": 0.22, "worked": 0.18},
    {"own": 0.96, "miscounted": 0.01, "another's": 0.03},
)
"""The last part, where worked reflections are rare and mostly right."""


class Puzzle(Protocol):
    """What a data set's lessons know of a row."""

    @property
    def shown(self) -> str: ...
    def attempt(self, is_retry: bool, rng: random.Random) -> str: ...
    def slip_in(self, answer: str) -> str: ...
    def parts(self) -> list[int]: ...
    def miscounted(self, rng: random.Random) -> list[int]: ...
    def worked(self, parts: Sequence[int]) -> str: ...


TAUGHT = {"chain_sum": chain_sum, "leg_counting": leg_counting}
"""The data sets with lessons."""


def puzzle_of(dataset: str, row: Row) -> Puzzle:
    """The puzzle of a row of a taught data set."""
    puzzle: Puzzle = TAUGHT[dataset].Puzzle.of(metadata.decode(row["metadata"]))
    return puzzle


def prompt(dataset: str, row: Row) -> str:
    """A taught data set's question in the few words that a tiny model knows."""
    return puzzle_of(dataset, row).shown


def retry_prompt(dataset: str, row: Row) -> str:
    return f"Again: {prompt(dataset, row)}"


def reflection(
    puzzle: Puzzle, stray: Puzzle, slip: str, stage: Stage, rng: random.Random
) -> tuple[str, list[int] | None]:
    """A reflection's text, and what the retry adds up; None for a retry as hasty as without a reflection.

    `stray` is another row's puzzle, for the reflections that work out another row.
    """
    kind = _choose(stage.reflections, rng)
    if kind == "vague":
        return _choose(VAGUE, rng), None
    if kind == "named":
        return f"{slip} I must do better.", None
    numbers = _choose(stage.numbers, rng)
    worked = stray if numbers == "another's" else puzzle
    parts = puzzle.miscounted(rng) if numbers == "miscounted" else worked.parts()
    return f"{slip} {worked.worked(parts)}", parts


def conversation(puzzle: Puzzle, stray: Puzzle, stage: Stage, rng: random.Random) -> list[dict[str, str]]:
    """One worked conversation on a puzzle."""
    first = puzzle.attempt(False, rng)
    messages = [{"role": "user", "content": puzzle.shown}, {"role": "assistant", "content": first}]
    if slip := puzzle.slip_in(first):
        parts = None
        if rng.random() >= NO_REFLECTION:
            text, parts = reflection(puzzle, stray, slip, stage, rng)
            messages += [{"role": "user", "content": REFLECTION_PROMPT}, {"role": "assistant", "content": text}]
        retry = puzzle.attempt(True, rng) if parts is None else running(parts)
        again = f"Again: {puzzle.shown}"
        messages += [{"role": "user", "content": again}, {"role": "assistant", "content": retry}]
    return messages


def conversations(dataset: str, count: int, seed: int) -> Iterator[list[dict[str, str]]]:
    """`count` conversations in training order, on rows of the `train` split. Raises RrrError without lessons."""
    if dataset not in TAUGHT:
        known = " and ".join(f"{upstream.PREFIX}{each}" for each in TAUGHT)
        raise RrrError(f"{upstream.PREFIX}{dataset} has no lessons to warm up a model: {known} have.")
    rng = random.Random(f"lessons/{dataset}/{seed}")
    wanted = min(count, POOL)
    # Half of the puzzles are `test`.
    given = {**TAUGHT[dataset].OPTIONS, "seed": str(FIRST_SEED), "size": str(3 * wanted + 100)}
    pool = [puzzle_of(dataset, row) for row in itertools.islice(rows.load(dataset, "train", given), wanted)]
    for index in range(count):
        puzzle, stray = rng.choice(pool), rng.choice(pool)
        yield conversation(puzzle, stray, EARLY if index < count * EARLY_PART else LATE, rng)


def _choose(shares: Mapping[str, float], rng: random.Random) -> str:
    return rng.choices(list(shares), weights=list(shares.values()))[0]
