"""Answers with known verdicts, including hostile ones: the input of the conformance checks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rrr_core import Example
from rrr_countdown.equations import INVALID, MISSED, WRONG_NUMBERS

Row = dict[str, Any]

SUM: Row = {"nums": [44, 19, 35], "target": 60}
PAIR: Row = {"nums": [25, 2], "target": 50}
FRACTIONS: Row = {"nums": [3, 3, 8, 8], "target": 24}

PASSING: list[tuple[Row, str, str]] = [
    (SUM, "<answer>44+35-19</answer>", "each number once, and the target"),
    (SUM, "First, 44 + 35 is 79.\n<answer>\n\t(44 + 35) - 19\r\n</answer>\nDone.", "text around it, white space in it"),
    (SUM, "<answer>44+35-19 = 60</answer>", "the target may follow"),
    (SUM, "<answer>-19+(44--35)</answer>", "unary minus"),
    (SUM, "<answer>44−19+35</answer>", "the minus sign of typesetting"),
    (PAIR, "<answer>25 × 2</answer>", "the multiplication sign"),
    (PAIR, "<answer>2·25</answer>", "the multiplication dot"),
    ({"nums": [84, 7], "target": 12}, "<answer>84÷7</answer>", "the division sign"),
    (FRACTIONS, "<answer>8/(3-8/3)</answer>", "exact fractions on the way"),
    ({"nums": [0, 7], "target": 7}, "<answer>0+7</answer>", "zero is a number"),
    ({"nums": [2, 5], "target": -3}, "<answer>2-5=-3</answer>", "a target below zero"),
    (SUM, "<answer>1</answer> No: <answer>44+35-19</answer>", "the last answer counts"),
    (SUM, "<answer>44+35-19</answer> or <answer>44", "the last one is not closed"),
    (SUM, f"<answer>{'(' * 200}44{')' * 200}+35-19</answer>", "200 parentheses"),
]

FAILING: list[tuple[Row, str, str, str]] = [
    (SUM, "<answer>44+19-35</answer>", MISSED, "gives 28"),
    (SUM, "<answer>44/19+35</answer>", MISSED, "gives a fraction"),
    (SUM, "<answer>44+35</answer>", WRONG_NUMBERS, "19 is left out"),
    (SUM, "<answer>44+35-19+19-19</answer>", WRONG_NUMBERS, "19 three times"),
    (SUM, "<answer>60</answer>", WRONG_NUMBERS, "the target alone"),
    (SUM, "<answer></answer>", INVALID, "nothing in it"),
    (SUM, "44+35-19", INVALID, "no answer tags"),
    (SUM, "<answer>44+35-19", INVALID, "never closed"),
    (SUM, "<answer>44+35-19=61</answer>", INVALID, "what follows '=' must be the target"),
    (SUM, "<answer>44+35-</answer>", INVALID, "ends in an operator"),
    (SUM, "<answer>44+(35-19</answer>", INVALID, "unbalanced"),
    (SUM, "<answer>the answer is 44+35-19</answer>", INVALID, "words in it"),
    (SUM, "<answer>44+35-19</answer> <answer>44+35</answer>", WRONG_NUMBERS, "the last answer counts"),
]

EXAMPLES: list[Example] = [
    *(Example(row, answer, "passed", reason=reason) for row, answer, reason in PASSING),
    *(Example(row, answer, "failed", category, reason) for row, answer, category, reason in FAILING),
]


def examples() -> Iterator[Example]:
    """Every answer with a known verdict: the ordinary ones, then the hostile corpus."""
    yield from EXAMPLES
    from rrr_countdown.hostile import CASES  # imported here: it is megabytes of text that most commands never need

    yield from CASES
