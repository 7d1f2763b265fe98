"""The second arithmetic is sympy's own, and costs next to nothing to load."""

import inspect
import subprocess
import sys
from pathlib import Path

import sympy
from rrr_countdown import equations, sympy_rationals

RIGHT = """
import sys
from rrr_countdown.equations import verify
assert verify({"nums": [44, 19, 35], "target": 60}, "<answer>44+35-19</answer>").is_passed
print([name for name in ("sympy", "mpmath") if name in sys.modules])
"""


def test_the_rational_numbers_are_those_of_the_installed_sympy():
    file = Path(inspect.getfile(type(sympy_rationals.rational()(1))))
    assert file == Path(sympy.__file__).with_name("external") / "pythonmpq.py"


def test_they_compute_what_the_whole_of_sympy_computes(monkeypatch):
    equation = equations.parse("-(7/3)*4-(-5/-2+1)/(6-11)*2").postfix
    alone = equations.sympy_value(equation)
    monkeypatch.setattr(equations, "rational", lambda: sympy.Integer)
    whole = equations.sympy_value(equation)
    assert isinstance(whole, sympy.Rational)
    assert (alone.numerator, alone.denominator) == (whole.p, whole.q)


def test_a_right_answer_imports_neither_sympy_nor_mpmath():
    result = subprocess.run([sys.executable, "-c", RIGHT], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_sympy_that_keeps_them_elsewhere_is_imported_whole(monkeypatch):
    monkeypatch.setattr(sympy_rationals, "MODULE", "sympy.external.gone")
    sympy_rationals.rational.cache_clear()
    try:
        assert isinstance(sympy_rationals.rational()(6), sympy.Integer)
        assert equations.verify({"nums": [6, 7], "target": 42}, "<answer>6*7</answer>").is_passed
    finally:
        sympy_rationals.rational.cache_clear()


def test_an_equation_read_before_is_judged_by_the_row_at_hand():
    for target in (9, 20, 9):
        verdict = equations.verify({"nums": [4, 5], "target": target}, "<answer>4+5</answer>")
        assert verdict.is_passed == (target == 9)
    assert equations.verify({"nums": [4, 6], "target": 9}, "<answer>4+5</answer>").category == equations.WRONG_NUMBERS


def test_only_few_and_short_texts_are_kept():
    row = {"nums": [4, 5], "target": 9}
    for number in range(3 * equations.MOST_KEPT):
        equations.verify(row, f"<answer>4+5+{number}</answer>")
    equations.verify(row, f"<answer>{'(' * 60}4+5{')' * 60}</answer>")
    assert len(equations._KEPT) <= equations.MOST_KEPT
    assert max(map(len, equations._KEPT)) <= equations.LONGEST_KEPT
