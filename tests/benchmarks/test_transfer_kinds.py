"""Worked reflections are counted by words that only they have, in the lessons of every task."""

from __future__ import annotations

import itertools

import pytest

from rrr_core.tasks import load_task


@pytest.mark.parametrize("name", ["countdown", "apigen"])
def test_the_lessons_worked_reflections_are_counted_and_no_others(name: str) -> None:
    from transfer_kinds import is_worked

    counted: dict[bool, int] = {True: 0, False: 0}
    for turns in itertools.islice(load_task(name).warmup("train", 2000, 0), 400):
        texts = [turn["content"] for turn in turns]
        for asked, text in itertools.pairwise(texts):
            if asked == "Wrong. Reflect on what went wrong.":
                is_short = text.endswith("I must do better.") or text.startswith(
                    ("I made a mis", "I should", "My answer")
                )
                assert is_worked(text) is not is_short, text
                counted[is_worked(text)] += 1
    assert min(counted.values()) > 20


def test_a_cell_is_described_with_intervals_and_numbers() -> None:
    from transfer_kinds import Kinds

    cell = Kinds("countdown", "apigen", worked=40, worked_passed=20, other=60, other_passed=0)
    assert cell.describe() == (
        "40.0 [30.9, 49.8] worked of 100; right after them 50.0 [35.2, 64.8], after the others 0.0 [0.0, 6.0]"
    )
    assert "after the others –" in Kinds("a", "b", 1, 1, 0, 0).describe()
