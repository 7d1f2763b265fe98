"""Answers with known verdicts, hostile ones included: the food of the conformance checks."""

from __future__ import annotations

from typing import Any

from rrr_core.hookspecs import Example
from rrr_countdown.equations import INVALID, MISSED, WRONG_NUMBERS

Row = dict[str, Any]

SUM: Row = {"nums": [44, 19, 35], "target": 60}
PAIR: Row = {"nums": [25, 2], "target": 50}
FRACTIONS: Row = {"nums": [3, 3, 8, 8], "target": 24}
POWER: Row = {"nums": [2, 3, 1], "target": 9}

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

HOSTILE: list[tuple[Row, str, str, str]] = [
    (POWER, "2**3+1", INVALID, "a power"),
    (POWER, "3^2*1", INVALID, "a power"),
    ({"nums": [7, 2, 3], "target": 9}, "7//2*3", INVALID, "floor division"),
    ({"nums": [99, 2, 2], "target": 1}, "99**(2-2)", INVALID, "a power"),
    ({"nums": [4, 5, 1], "target": 2}, "4**.5*1", INVALID, "a root"),
    ({"nums": [7, 4], "target": 3}, "7%4", INVALID, "a remainder"),
    ({"nums": [25, 2], "target": 5}, "25*.2", INVALID, "a decimal point"),
    ({"nums": [1, 5, 2], "target": 3}, "1.5*2", INVALID, "a decimal point"),
    ({"nums": [2, 3], "target": 2000}, "2e3", INVALID, "an exponent"),
    (SUM, "4_4+35-19", INVALID, "an underscore in a number"),
    (SUM, "044+35-19", INVALID, "a leading zero"),
    (SUM, "0x2C+35-19", INVALID, "hexadecimal"),
    (SUM, "4 4+35-19", INVALID, "a blank in a number"),
    (SUM, "+44+35-19", INVALID, "unary plus"),
    ({"nums": [99, 98, 97], "target": 1}, "99**98**97", INVALID, "a power tower"),
    ({"nums": [9, 9, 9, 9], "target": 1}, "9**9**9**9", INVALID, "a power tower"),
    (SUM, "__import__('os').system('true')", INVALID, "Python"),
    (SUM, "(lambda: 60)()", INVALID, "Python"),
    (SUM, "exit()", INVALID, "Python"),
    (SUM, "[44,35,19] and 60", INVALID, "Python"),
    (SUM, "44+35-19 if True else 0", INVALID, "Python"),
    (SUM, "44+35-19#", INVALID, "a comment"),
    (SUM, "44+35-19;60", INVALID, "a second statement"),
    (SUM, "x:=44+35-19", INVALID, "an assignment"),
    (SUM, "60=44+35-19", INVALID, "the equation on the right"),
    (SUM, "44+35-19=60=60", INVALID, "two equality signs"),
    (SUM, "44+35-19==60", INVALID, "a comparison"),
    (SUM, "44+35-19=060", INVALID, "a leading zero in the target"),
    (SUM, r"44+35-19 \boxed{60}", INVALID, "LaTeX"),
    (SUM, "44+35-1९", INVALID, "a digit that is not ASCII"),
    (SUM, "４４+35-19", INVALID, "full-width digits"),
    (SUM, "44+35-19²", INVALID, "a superscript"),
    (SUM, "44+35–19", INVALID, "an en dash"),
    (SUM, "44+35-19\u00a0", INVALID, "a no-break space"),
    (SUM, "44\u200b+35-19", INVALID, "a zero-width space"),
    (SUM, "44+35-19\x00", INVALID, "a null character"),
    (SUM, "44+35-19\ud800", INVALID, "half a surrogate pair"),
    (SUM, "\u202e91-53+44", INVALID, "text turned round"),
    (SUM, "44+35-19+0*(1/0)", INVALID, "division by zero"),
    ({"nums": [5, 3, 3], "target": 5}, "5/(3-3)", INVALID, "division by zero"),
    (SUM, "44+35-19+1-1", WRONG_NUMBERS, "numbers that cancel out"),
    (SUM, "44+35-19*1", WRONG_NUMBERS, "a number from nowhere"),
    (SUM, "44+35-19+0", WRONG_NUMBERS, "a zero from nowhere"),
    (SUM, "--60", WRONG_NUMBERS, "the target behind minuses"),
    (SUM, "9" * 5_000, WRONG_NUMBERS, "more digits than Python converts"),
    (SUM, "9*" * 4_000 + "9", WRONG_NUMBERS, "a huge product"),
    (SUM, "1/97+" * 1_500 + "1", WRONG_NUMBERS, "a huge denominator"),
    (SUM, "-" * 9_000 + "60", WRONG_NUMBERS, "a chain of minuses"),
    (SUM, "(" * 201 + "44" + ")" * 201 + "+35-19", INVALID, "201 parentheses"),
    (SUM, "(" * 9_000, INVALID, "parentheses that never close"),
    (SUM, "1+" * 500_000 + "1", INVALID, "a million characters"),
    (SUM, "<answer>" * 1_000, INVALID, "answers in answers"),
]
"""What stands between the tags, each an attack on some verifier."""

EXAMPLES: list[Example] = [
    *(Example(row, answer, "passed", reason=reason) for row, answer, reason in PASSING),
    *(Example(row, answer, "failed", category, reason) for row, answer, category, reason in FAILING),
    *(
        Example(row, f"<answer>{equation}</answer>", "failed", category, reason, hostile=True)
        for row, equation, category, reason in HOSTILE
    ),
]
