"""Which texts are formulas and nothing else, by their syntax trees: only those are safe for sympy, which runs text."""

from __future__ import annotations

import ast
import math
import re
import warnings

FUNCTIONS = frozenset(
    {
        *("Abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "cot", "csc", "erf", "exp", "ln"),
        *("log", "sec", "sign", "sin", "sinh", "sqrt", "tan", "tanh"),
    }
)
"""Sympy's `Integral` is not among them: it would let the question pass as its own answer."""
CONSTANTS = frozenset({"E", "pi"})
LONGEST = 5_000
"""Maximum characters: a syntax tree is read in milliseconds."""
LARGEST = 10**60
FAR = re.compile(r"\d\.?[eE][-+]?\d{3}", re.ASCII)
"""A number such as `1e-999999999`, which Python reads as zero and sympy digit by digit."""
HIGHEST = 40
"""The highest degree, powers of powers multiplied: sympy expands what it compares. Upstream has at most 12."""
HIGHEST_OF_FUNCTIONS = 6
"""The highest power of a function: to compare `tan(x)**20` takes sympy a minute."""


def complaint(text: str) -> str:
    """Why a text is not a formula of numbers, variables of one letter, `+ - * / **` and known functions, or empty.

    >>> complaint("2*(2 - 8*x)**(3/2)/3 + C"), complaint("x.func")
    ('', 'no formula')
    """
    if len(text) > LONGEST or not text.isascii() or FAR.search(text):
        return "no formula"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(text.strip(), mode="eval")
        return "" if degree(tree.body) <= HIGHEST else "too high a power"
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "no formula"


def degree(node: ast.expr) -> float:
    """An upper bound on a formula's degree. Raises ValueError if it is not a formula."""
    match node:
        case ast.Constant(value=int() | float() as value) if type(value) is not bool and abs(value) < LARGEST:
            return 1.0
        case ast.Name(id=name) if len(name) == 1 or name in CONSTANTS:
            return 1.0
        case ast.UnaryOp(op=ast.UAdd() | ast.USub(), operand=inner):
            return degree(inner)
        case ast.BinOp(left, ast.Add() | ast.Sub(), right):
            return max(degree(left), degree(right))
        case ast.BinOp(left, ast.Mult() | ast.Div(), right):
            return degree(left) + degree(right)
        case ast.BinOp(left, ast.Pow(), right):
            power = exponent(right)
            called = any(isinstance(part, ast.Call) for part in ast.walk(left))
            return degree(left) * (math.inf if called and power > HIGHEST_OF_FUNCTIONS else power)
        case ast.Call(func=ast.Name(id=name), args=[inner], keywords=[]) if name in FUNCTIONS:
            return degree(inner)
    raise ValueError("no formula")


def exponent(node: ast.expr) -> float:
    """The largest number in an exponent, at least 1; infinite if the exponent itself has a power."""
    degree(node)
    largest = 1.0
    for part in ast.walk(node):
        if isinstance(part, ast.Pow):
            return math.inf
        if isinstance(part, ast.Constant) and isinstance(part.value, (int, float)):
            largest = max(largest, float(part.value))
    return largest
