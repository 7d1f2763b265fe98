"""Hostile answers get their one right verdict, quickly, and never an exception.

Several are those that are known to be accepted, run, or to hang other Countdown verifiers.
"""

import ast
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rrr_countdown.equations import INVALID, MISSED, WRONG_NUMBERS, verify

from rrr_core.verdicts import failed

ROW = {"nums": [44, 19, 35], "target": 60}

POWERS_AND_KIN = [
    "2**3+1", "7//2*3", "99**(2-2)", "4**.5*1", "44**1+35-19", "44^1+35-19", "9**9**9**9", "99**98**97", "44%19",
    "44<<1", "44|35", "44&35", "~44+35-19", "44@35", "44!+35-19", "44//1+35-19", "pow(44,1)+35-19", "44e0+35-19",
    "44* *1+35-19", "44*/1", "44×*35", "44÷/35", "√44", "44!!", "|44|+35-19", "44+35-19!",
]  # fmt: skip
LITERALS = [
    "44.0+35-19", "44.+35-19", ".44+35", "4.4*10", "25*.2", "1.5*2", "044+35-19", "00+44+35-19", "0044+35-19",
    "4_4+35-19", "0x2c+35-19", "0b101100+35-19", "0o54+35-19", "44L+35-19", "44j+35-19", "44,0+35-19", "4 4+35-19",
    "4\n4+35-19", "1e1000000", "inf", "nan", "Infinity", "True+44", "44+35-1९", "４４+35-19", "٤٤+35-19", "44+35-1⑨",
    "44+35-19²", "Ⅳ", "四十四+35-19", "𝟒𝟒+35-19", "44⁄1+35-19", "½", "44'+35-19", "#44", "$44+35-19",
]  # fmt: skip
SIGNS = [
    "+44+35-19", "44++35-19", "44+35–19", "44+35—19", "44+35‐19", "44+35﹣19", "44+35－19", "44＋35-19", "44∗1+35-19",
    "44•1", "44∙1", "44⋅1", "44x1+35-19", "44X1", "44∕1", "44:1+35-19", "44 plus 35 minus 19", "44+35-19±0",
    "44 35 + 19 -", "+ 44 35", "44(35)", "(44)(35)", "44(+35)-19", "()44+35-19", "44+()+35-19", "(44+35-19",
    "44+35-19)", ")44+35-19(", "[44+35]-19", "{44+35}-19", "（44+35）-19", "44+35-", "*44+35-19", "-", "--",
    "(", ")", "()", "(-)",
]  # fmt: skip
SPACES_AND_CONTROLS = [
    "44\u00a0+35-19", "44\u2003+35-19", "44\u200b+35-19", "\ufeff44+35-19", "44\u2060+35-19", "44\x0b+35-19",
    "44\x0c+35-19", "44\x00+35-19", "44\x1b[0m+35-19", "44\x7f+35-19", "44\x85+35-19", "44\u2028+35-19",
    "\u202e91-53+44", "44\u0301+35-19", "44+35-19\ud800", "\udfff44+35-19", "44+35-19\U0010ffff", "44\u3000+35-19",
]  # fmt: skip
CLAIMS = [
    "=60", "60=44+35-19", "44+35-19=61", "44+35-19=-60", "44+35-19=060", "44+35-19=60.0", "44+35-19=+60",
    "44+35-19==60", "44+35-19=60=60", "44+35-19=(60)", "44+35-19=30+30", "44+35-19=6 0", "44+35-19=", "44+35-19≈60",
    "44+35-19＝60", "44+35-19→60", "44+35-19!=60", "44+35-19<=60", "44+35-19=--60", "44+35-19=６０", "44+35-19=60.",
    "44+35-19=" + "0" * 5_000 + "60", "44+35-19=60" + "0" * 5_000,
]  # fmt: skip
CODE = [
    "__import__('os').system('true')", "exec('x=1')", "eval('60')", "exit()", "quit()", "raise SystemExit",
    "(lambda:60)()", "open('/etc/passwd').read()", "[44,35,19] and 60", "44+35-19 if 1 else 0", "44+35-19 or 60",
    "44+35-19;60",
    "44+35-19#comment", "44+35-19\n60", "x:=60", "target", "nums[0]+nums[1]", "sum([44,35,-19])", "60 .__class__",
    "().__class__.__bases__", "f'{44}'", "'44'", '"60"', "`60`", "44+35-19\\n", "\\frac{44}{1}+35-19", "$44+35-19$",
    "\\boxed{44+35-19}", "**44+35-19**", "`44+35-19`", "Symbol('x')", "oo", "zoo", "E", "pi", "I*I", "S(60)",
    "while 1: 0",
    "{{60}}", "${60}", "%d", "%s%s%s%n", "<script>alert(1)</script>", "'; DROP TABLE rows; --", "&#52;4+35-19", "&lt;",
    "passed()", "Verdict('passed')", "{\"outcome\": \"passed\"}", "44+35-19</answer", "</answer>", "<answer>",
    "<answer",
    "44+35-19<answer/>", "<b>44+35-19</b>", "any words at all", "…", "🙂", "None", "null",
]  # fmt: skip
ZERO_DIVISIONS = ["44/0", "44/(35-35)", "1/0+44+35-19", "0/0", "44+35-19+0*(1/0)", "44/-0", "44/(0*19)", "1/(1/2-1/2)"]
FLOODS = [
    "(" * 9_999, ")" * 9_999, "(" * 201 + "44" + ")" * 201 + "+35-19", "()" * 4_000, "-(" * 4_000, "44+" * 3_000,
    "1+" * 500_000 + "1", "9" * 1_000_000, "-" * 1_000_000 + "60", "(" * 1_000_000, " 4" * 400_000, "=" * 1_000_000,
    "=" + " " * 9_000 + "x", "44" + " " * 9_900 + "x", "\u200b" * 1_000_000, "<answer>" * 100_000, "</answe" * 100_000,
    "<answer" * 100_000, "</answer>" * 100_000, "44**" * 2_000 + "44", "×" * 9_999, "🙂" * 200_000, "\ud800" * 500_000,
]  # fmt: skip

INVALID_EQUATIONS = [
    *POWERS_AND_KIN, *LITERALS, *SIGNS, *SPACES_AND_CONTROLS, *CLAIMS, *CODE, *ZERO_DIVISIONS, *FLOODS,
]  # fmt: skip
FOREIGN_NUMBERS = [
    "60", "--60", "-(-60)", "44+35-19+0", "44+35-19*1", "44+35-19/1", "44+35-19+1-1", "44+35-19+19-19", "0-44",
    "44+16", "44+35", "79-19", "30+30=60", "4+4+35-19", "443519", "44+3519", "(44+35)-(19*1)", "0*44+60", "1/1*60",
    "9" * 18, "9" * 19, "9" * 640, "9" * 641, "9" * 4_300, "9" * 4_301, "9" * 10_000, "7" * 4_999 + "/" + "3" * 4_999,
    "9*" * 4_999 + "9", "1/97+" * 1_999 + "1", "1/2/" * 2_499 + "1", "-" * 9_998 + "60", "(1+" * 200 + "1" + ")" * 200,
    "-(" * 200 + "60" + ")" * 200, "60" + " " * 1_000_000, "99999999-99999939", "0", "-0", "1--" * 3_000 + "1",
]  # fmt: skip
MISSED_TARGETS = ["44+19-35", "44*19*35", "44/19/35", "44-(35-19)", "-44-19-35", "44/(19-35)"]

LONGEST_VERDICT = 0.05
"""Seconds of processor time."""

CASES = [
    *((equation, INVALID) for equation in INVALID_EQUATIONS),
    *((equation, WRONG_NUMBERS) for equation in FOREIGN_NUMBERS),
    *((equation, MISSED) for equation in MISSED_TARGETS),
]


def title(value):
    return ascii(value)[:40]


@pytest.mark.parametrize(("equation", "category"), CASES, ids=title)
def test_a_hostile_answer_fails_in_its_class_within_the_time(equation, category):
    answer = f"<answer>{equation}</answer>"
    start = time.process_time()
    verdict = verify(ROW, answer)
    taken = time.process_time() - start
    assert (verdict.outcome, verdict.category) == ("failed", category)
    assert taken < LONGEST_VERDICT


@pytest.mark.parametrize(("equation", "category"), CASES, ids=title)
def test_the_detail_of_a_hostile_answer_is_one_short_printable_line(equation, category):
    detail = verify(ROW, f"<answer>{equation}</answer>").detail
    assert 0 < len(detail) < 400
    assert detail.isprintable()


def test_there_are_hundreds_of_hostile_answers_and_no_two_alike():
    assert len(CASES) >= 100
    assert len({equation for equation, _ in CASES}) == len(CASES)


@pytest.mark.parametrize(
    "text", ["<answer>" * 130_000, "</answer>" * 120_000, "<answer" * 150_000, "<" * 1_000_000, ""]
)
def test_a_megabyte_without_a_complete_answer_is_an_invalid_equation(text):
    start = time.process_time()
    assert verify(ROW, text) == failed(INVALID, "no complete <answer>…</answer>")
    assert time.process_time() - start < LONGEST_VERDICT


@given(st.text())
def test_no_text_raises(text):
    assert verify(ROW, text).is_failed
    assert verify(ROW, f"<answer>{text}</answer>").category in {INVALID, WRONG_NUMBERS, MISSED}


@settings(max_examples=500)
@given(st.text(alphabet="0123456789+-*/()=×÷−· ", max_size=60))
def test_no_text_in_the_letters_of_equations_raises(text):
    assert not verify(ROW, f"<answer>{text}</answer>").is_abstained


@settings(max_examples=300)
@given(st.lists(st.sampled_from(["44", "19", "35", "+", "-", "*", "/", "(", ")"]), max_size=12))
def test_what_the_grammar_of_python_refuses_is_an_invalid_equation(tokens):
    text = "".join(tokens)
    try:
        ast.parse(text, mode="eval")
    except SyntaxError:
        assert verify(ROW, f"<answer>{text}</answer>").category == INVALID
