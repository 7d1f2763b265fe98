"""Attacks by size: powers that no computer finishes, megabytes, depth, and values that grow.

A verdict on any of them takes less than 50 ms. The texts of a megabyte are what quadratic searches choke on.
"""

from __future__ import annotations

from rrr_core import Example
from rrr_countdown.equations import INVALID, WRONG_NUMBERS
from rrr_countdown.hostile.cases import SUM, row, wrong, wrong_texts

POWERS = wrong(
    INVALID,
    [
        ("99**98**97", "a power tower", row(1, 99, 98, 97)),
        ("9**9**9**9", "a power tower of four", row(1, 9, 9, 9, 9)),
        ("9^9^9^9", "a power tower of carets", row(1, 9, 9, 9, 9)),
        ("9**9**9*0", "a power tower made nothing", row(0, 9, 9, 9, 0)),
        ("9**9**9/9**9**9", "a power tower over itself", row(1, 9, 9, 9, 9, 9, 9)),
        ("9**(9**(9**9))", "a power tower in parentheses", row(1, 9, 9, 9, 9)),
        ("9**-9**9**9", "a power tower below one", row(1, 9, 9, 9, 9)),
        ("(9**9**9)%9", "a power tower's remainder", row(0, 9, 9, 9, 9)),
        ("1<<9999999999", "a shift that fills the memory", row(1, 1, 9999999999)),
        ("9!!!!!!", "factorials of factorials", row(1, 9)),
        ("factorial(factorial(factorial(9)))", "factorials by name", row(1, 9)),
        ("44**" * 2_000 + "44", "two thousand powers", SUM),
        ("10**10**10", "a number of ten billion digits", row(1, 10, 10, 10)),
        ("1e999**9", "an exponent to a power", row(1, 1, 999, 9)),
        ("2**3**0.5", "a power tower of a root", row(1, 2, 3, 0, 5)),
    ],
)

EQUATIONS: tuple[Example, ...] = (
    *wrong(
        INVALID,
        [
            ("(" * 201 + "44" + ")" * 201 + "+35-19", "one parenthesis too deep"),
            ("(" * 9_999, "parentheses that never close"),
            (")" * 9_999, "parentheses that never opened"),
            ("(" * 100_000 + "44" + ")" * 100_000 + "+35-19", "100,000 parentheses round a number"),
            ("(" * 500_000 + "44+35-19" + ")" * 500_000, "a megabyte of parentheses"),
            ("[" * 100_000 + "]" * 100_000, "100,000 square brackets, which crash parsers that recurse"),
            ("{" * 100_000, "100,000 curly braces"),
            ("()" * 4_000, "thousands of empty parentheses"),
            ("-(" * 4_000, "minuses and parentheses"),
            ("-" * 1_000_000 + "60", "a megabyte of minuses"),
            ("~" * 100_000 + "60", "a chain of complements, which recursion does not survive"),
            ("not " * 100_000 + "0", "a chain of negations"),
            ("44+" * 3_000, "a sum without its end"),
            ("44+35-19" + "+0" * 500_000, "a megabyte of zeros added"),
            ("1+" * 500_000 + "1", "a megabyte of ones added"),
            ("1*" * 500_000 + "1", "a megabyte of ones multiplied"),
            ("9" * 1_000_000, "a megabyte of digits"),
            ("0" * 1_000_000 + "44+35-19", "a megabyte of leading zeros"),
            ("0" * 9_000 + "44+35-19", "leading zeros within the length"),
            ("44" + " " * 10_000 + "+35-19", "too many blanks inside"),
            ("44" + " " * 9_900 + "x", "blanks that a search for a number walks again and again"),
            (" 4" * 400_000, "numbers and blanks in turn"),
            ("=" * 1_000_000, "a megabyte of equality signs"),
            ("=" + " " * 9_000 + "x", "an equality sign and blanks"),
            ("44+35-19=" + "0" * 5_000 + "60", "a claim with thousands of leading zeros"),
            ("44+35-19=60" + "0" * 5_000, "a claim of thousands of digits"),
            ("44+35-19=" + "-" * 9_000 + "60", "a claim behind thousands of minuses"),
            ("×" * 9_999, "multiplication signs"),
            ("44+35-19" + "\x00" * 1_000_000, "a megabyte of null characters"),
            ("\u200b" * 1_000_000, "a megabyte of zero-width spaces"),
            ("\u202e" * 300_000, "300,000 marks that turn text round"),
            ("🙂" * 250_000, "a megabyte of emoji"),
            ("\ud800" * 300_000, "300,000 halves of surrogate pairs"),
            ("a" + "\u0301" * 300_000, "a letter under 300,000 accents"),
            ("__import__('os')." * 50_000, "a megabyte of Python"),
            ("e" * 1_000_000, "a megabyte of one letter"),
            ("1e" * 4_000 + "1", "exponents upon exponents"),
            ("1." * 4_000 + "1", "points upon points"),
        ],
    ),
    *wrong(
        WRONG_NUMBERS,
        [
            ("9" * 19, "beyond 64 bits"),
            ("9" * 640, "the longest number that Python's lowest limit converts"),
            ("9" * 641, "one digit more than that"),
            ("9" * 4_300, "the longest number that Python converts by default"),
            ("9" * 4_301, "one digit more than that, for which int() raises"),
            ("9" * 10_000, "as many digits as an equation may have characters"),
            ("7" * 4_999 + "/" + "3" * 4_999, "a quotient of huge numbers"),
            ("7" * 4_999 + "*" + "3" * 4_999, "a product of huge numbers"),
            ("9*" * 4_999 + "9", "a product of 5,000 nines"),
            ("99*" * 3_300 + "1", "a product that grows as long as its text"),
            ("1/97+" * 1_999 + "1", "a sum whose denominator grows with every term"),
            ("1/2/" * 2_499 + "1", "a quotient of quotients"),
            ("1-" * 4_999 + "1", "a difference of 5,000 ones"),
            ("-" * 9_998 + "60", "thousands of minuses before the target"),
            ("-(" * 200 + "60" + ")" * 200, "minuses and parentheses before the target"),
            ("(1+" * 200 + "1" + ")" * 200, "a sum as deep as is allowed"),
            ("1/(1+" * 200 + "1" + ")" * 200, "a continued fraction as deep as is allowed"),
            ("1--" * 3_000 + "1", "minuses that cancel out"),
            ("60" + " " * 1_000_000, "the target before a megabyte of blanks"),
        ],
    ),
)

TEXTS = wrong_texts(
    [
        ("<" * 1_000_000, INVALID, "a megabyte of tags' first characters"),
        ("<answer" * 150_000, INVALID, "a megabyte of tags cut short"),
        ("<answer>" * 125_000, INVALID, "a megabyte of opening tags"),
        ("</answer>" * 111_000, INVALID, "a megabyte of closing tags"),
        ("<answer>" * 60_000 + "</answer>" * 60_000, INVALID, "60,000 answers in answers"),
        ("</answer><answer>" * 60_000, INVALID, "60,000 tags that never match in order"),
        ("<answer>44+35-19</answer>" * 40_000 + "<answer></answer>", INVALID, "40,000 right answers and an empty one"),
        ("<answer>" + "44+35-19 " * 100_000, INVALID, "an answer of a megabyte that is never closed"),
        ("a" * 1_000_000, INVALID, "a megabyte of words"),
        ("\x00" * 1_000_000, INVALID, "a megabyte of null characters without tags"),
        ("<think>" * 100_000 + "</think>" * 100_000, INVALID, "thoughts in thoughts"),
    ]
)

FLOODS = (*EQUATIONS, *TEXTS)
