"""Whether an antiderivative is wrong, checked at a few points: by algebra it may take sympy minutes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

POINTS = tuple(Fraction(*pair) for pair in ((3, 7), (-5, 3), (17, 11), (-41, 3), (25, 2), (-100, 7), (311, 13)))
"""On both sides of zero: roots and logarithms are real at some of them."""
CONSTANT = Fraction(7, 5)
"""The constant of integration, for answers that multiply by it."""
TOLERANCE = 1e-9
"""Relative. The values are computed with fifteen digits or more, whatever cancels."""


def differs(answer: str, integrand: str, variable: str) -> bool:
    """Whether the derivative of `answer` differs from `integrand` at a point where both are real.

    Equal functions are equal at every point. If no point is real, or another variable is left, the result is unknown
    and False. Both texts must be formulas (`rrr_reasoning_gym.formulas`): sympy executes what it parses.

    >>> differs("x**3 + C", "3*x**2", "x"), differs("x**2 + C", "3*x**2", "x")
    (False, True)
    """
    import sympy

    name, constant = sympy.Symbol(variable), sympy.Symbol("C")
    names = {variable: name, "C": constant}
    derivative = sympy.diff(sympy.parse_expr(answer, local_dict=names), name)
    wanted = sympy.parse_expr(integrand, local_dict={variable: name})
    for point in POINTS:
        values = {name: rational(point), constant: rational(CONSTANT)}
        left, right = (each.evalf(subs=values) for each in (derivative, wanted))
        if not (is_real(left) and is_real(right)):
            continue
        if abs(float(left) - float(right)) > TOLERANCE * max(1.0, abs(float(left)), abs(float(right))):
            return True
    return False


def rational(number: Fraction) -> Any:
    """The number as sympy has it, exactly."""
    import sympy

    return sympy.Rational(number.numerator, number.denominator)


def is_real(value: Any) -> bool:
    """Whether it is a real number, neither infinite nor undefined."""
    return bool(value.is_number and value.is_extended_real and value.is_finite)
