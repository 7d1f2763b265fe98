"""Answers that look hostile and are right: a verifier that refuses them is as wrong as one that is too kind."""

from __future__ import annotations

from rrr_core import Example
from rrr_countdown.hostile.cases import SUM, Row, row
from rrr_countdown.hostile.tags import PROMPT, RIGHT_ANSWER

EQUATIONS: list[tuple[str, str, Row]] = [
    ("44+35-19", "the plainest", SUM),
    (" \t\r\n44 +\t35\n-\r19 ", "every white space", SUM),
    ("44 + 35 - 19 = 60", "the target may follow", SUM),
    ("44+35-19\n=\n60\n", "the claim on lines of its own", SUM),
    ("(44+35)-(19)", "needless parentheses", SUM),
    ("((((44))))+(((35)))-((19))", "many needless parentheses", SUM),
    ("-19+44+35", "a minus in front", SUM),
    ("-(19-44-35)", "a minus before a bracket", SUM),
    ("44--35-19", "a minus after a minus", SUM),
    ("44-(-35)-19", "a negative in parentheses", SUM),
    ("---19+44+35", "three minuses", SUM),
    ("44−19+35", "the minus of typesetting", SUM),
    ("6×7", "the multiplication sign", row(42, 6, 7)),
    ("6·7", "the multiplication dot", row(42, 6, 7)),
    ("42÷7", "the division sign", row(6, 42, 7)),
    ("6×(8÷2)−3", "all three signs of typesetting", row(21, 6, 8, 2, 3)),
    ("8/(3-8/3)", "fractions on the way", row(24, 3, 3, 8, 8)),
    ("49/(49/(1/(1/3)))*2", "fractions that floating point gets wrong", row(6, 49, 49, 1, 1, 3, 2)),
    ("1/3+1/3+1/3", "thirds that come to one", row(1, 1, 3, 1, 3, 1, 3)),
    ("0+7", "zero is a number", row(7, 0, 7)),
    ("7-0", "zero may be taken away", row(7, 0, 7)),
    ("0/7", "zero may be divided", row(0, 0, 7)),
    ("-0+7", "minus zero is zero", row(7, 0, 7)),
    ("2-5=-3", "a target below zero", row(-3, 2, 5)),
    ("2-5=−3", "a target below zero, with the minus of typesetting", row(-3, 2, 5)),
    ("2-5 = - 3", "a blank after the claim's minus", row(-3, 2, 5)),
    ("7", "one number", row(7, 7)),
    ("(5+5)*2", "the same number twice", row(20, 5, 5, 2)),
    ("9007199254740993-1", "exact where floating point is not", row(9007199254740992, 9007199254740993, 1)),
    ("100000000000000001/3*3", "a third of a huge number, exactly", row(10**17 + 1, 10**17 + 1, 3, 3)),
    ("(" * 200 + "44" + ")" * 200 + "+35-19", "as deep as is allowed", SUM),
    ("44+" + " " * 9_992 + "35-19", "as long as is allowed", SUM),
    ("+".join(["1"] * 100), "a hundred numbers", row(100, *[1] * 100)),
]
TEXTS: list[tuple[str, str]] = [
    (f"{PROMPT}\nAssistant: {RIGHT_ANSWER}", "the prompt echoed first"),
    (f"<think>44+19-35 = 28, no.</think>{RIGHT_ANSWER}", "a thought first"),
    (f"<answer>1</answer> No: {RIGHT_ANSWER}", "the last answer counts"),
    (f"{RIGHT_ANSWER} or <answer>44+19", "an answer that is never closed does not count"),
    ("<answer>1 <answer>44+35-19</answer> 2</answer>", "the inner answer counts"),
    (f"<answer>1+{RIGHT_ANSWER}", "an opened answer starts anew"),
    (f"{RIGHT_ANSWER}</answer>", "a stray closing tag"),
    (f"{RIGHT_ANSWER}\x00\ud800\u202e", "hostile characters outside the answer"),
    (f"__import__('os').system('true') {RIGHT_ANSWER}", "code outside the answer"),
    (f"{'word ' * 200_000}{RIGHT_ANSWER}", "after a megabyte of words"),
    (f"{RIGHT_ANSWER}{' word' * 200_000}", "before a megabyte of words"),
    (f"{'<answer>' * 120_000}44+35-19</answer>", "after 120,000 opening tags"),
    (f"{'</answer>' * 110_000}{RIGHT_ANSWER}", "after 110,000 closing tags"),
    (f"<answer>{' ' * 500_000}44+35-19{' ' * 500_000}</answer>", "in a megabyte of blanks"),
]

RIGHT: tuple[Example, ...] = (
    *(Example(own, f"<answer>{text}</answer>", "passed", "", reason, hostile=True) for text, reason, own in EQUATIONS),
    *(Example(SUM, text, "passed", "", reason, hostile=True) for text, reason in TEXTS),
)
