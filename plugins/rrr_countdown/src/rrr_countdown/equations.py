"""Equations: the last `<answer>…</answer>` of a text, parsed by our own grammar and judged exactly.

Nothing here evaluates text. A hand-written parser with an explicit stack accepts the grammar in this plugin's
README and nothing else, in time linear in the answer's length. Values are exact fractions. An equation passes
only if two arithmetics agree on it: plain integers here, and sympy's rational numbers built from the parsed equation.

The time of a verdict counts: the loops below are written to be fast.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any, TypeAlias

from rrr_core import Verdict, failed, passed
from rrr_countdown.sympy_rationals import rational

INVALID = "invalid equation"
WRONG_NUMBERS = "wrong numbers"
MISSED = "missed target"

OPENING, CLOSING = "<answer>", "</answer>"

LONGEST = 10_000
"""Maximum characters of an equation without outer white space: it bounds the time of a verdict."""
DEEPEST = 200
"""Parentheses that may be open at once."""

NEGATE = "~"
"""Unary minus in postfix order."""

SPACE = " \t\n\r"
TOKEN = re.compile(r"[0-9]+|[^0-9 \t\n\r]")
TYPOGRAPHIC = str.maketrans("×·÷−", "**/-")
AFTER_NINE = ":"
"""The character after `9`: what sorts between the two begins with a digit."""
BINDING = {"+": 1, "-": 1, "*": 2, "/": 2, NEGATE: 3, "(": 0}

DIGITS_AT_ONCE = 500
"""Python refuses to convert very long literals; the lowest possible limit is 640 digits."""
LONGEST_KEPT = 100
"""Characters of the longest text that is kept."""
MOST_KEPT = 64
"""Texts that are kept: enough for the answers to one row, and few enough to stay in a processor's cache."""
HUGE = 1 << 64
"""Numbers from here on are not shown."""
_INTEGERS = {int}


Postfix: TypeAlias = Sequence[int | str]
Parts: TypeAlias = tuple[Postfix, list[int], list[str] | None]
"""Of an equation: what is before `=` in postfix order, its numbers sorted, and the tokens after `=`, if any."""

_KEPT: dict[str, Parts] = {}


class InvalidEquation(ValueError):
    """The text is outside the grammar, or its equation has no value; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Equation:
    """A parsed equation."""

    postfix: tuple[int | str, ...]
    """Operands and operators in postfix order: `(44-19)*2` → `44 19 - 2 *`; unary minus is `~`."""
    claim: tuple[str, ...] | None
    """The tokens after `=`, or None if there is no `=`."""


def last_answer(text: str) -> str | None:
    """The text between the last closed `<answer>` and its `</answer>`, or None if there is none.

    >>> last_answer("<answer>1+2</answer> or <answer>3</answer> or <answer>4")
    '3'
    """
    last_closing = text.rfind(CLOSING)
    if last_closing < 0:
        return None
    opening = text.rfind(OPENING, 0, last_closing)
    if opening < 0:
        return None
    start = opening + len(OPENING)
    return text[start : text.index(CLOSING, start)]


def left_side(text: str) -> str | None:
    """The judged equation of a text without its `= integer`, as written, or None if there is none."""
    answer = last_answer(text)
    return None if answer is None else answer.partition("=")[0].strip() or None


def verify(row: Mapping[str, Any], answer: str) -> Verdict:
    """The verdict on the whole text that a model wrote for a row `{"nums": [...], "target": n}`.

    Raises TypeError for a malformed row, and ArithmeticError if the two arithmetics disagree on a right answer: the row
    or this verifier is at fault, not the answer.
    """
    nums, target = row["nums"], row["target"]
    if {type(target), *map(type, nums)} != _INTEGERS:
        raise TypeError(f"not a Countdown row: nums {nums!a:.80}, target {target!a:.80}")
    text = last_answer(answer)
    if text is None:
        return failed(INVALID, "no complete <answer>…</answer>")
    try:
        postfix, literals, claim = _KEPT.get(text) or keep(text)
        if claim is not None and claim != TOKEN.findall(str(target)):
            raise InvalidEquation(f"what follows '=' is not the target {target}")
        numbers = sorted(nums)
        # A division by zero makes an equation invalid, whatever its numbers.
        if literals == numbers or "/" in postfix:
            top, bottom = value(postfix)
    except InvalidEquation as error:
        return failed(INVALID, str(error))
    if literals != numbers:
        return failed(WRONG_NUMBERS, f"uses {shown(literals)}, not {shown(numbers)}")
    if top != target * bottom:
        return failed(MISSED, f"gives {shown_fraction(top, bottom)}, not {target}")
    by_sympy = sympy_value(postfix)
    if by_sympy.numerator != target or by_sympy.denominator != 1:
        raise ArithmeticError(f"sympy does not confirm that {postfix} in postfix order is {target}")
    return passed()


def parse(text: str) -> Equation:
    """The equation that a text holds. Raises InvalidEquation for anything outside the grammar."""
    postfix, _, claim = read(text)
    return Equation(tuple(postfix), None if claim is None else tuple(claim))


def read(text: str) -> Parts:
    """The parts of the equation that a text holds. Raises InvalidEquation for anything outside the grammar."""
    text = text.strip(SPACE)
    if len(text) > LONGEST:
        raise InvalidEquation(f"longer than {LONGEST} characters")
    if not text.isascii():
        text = text.translate(TYPOGRAPHIC)
    left, equals, right = text.partition("=")
    postfix, literals = to_postfix(TOKEN.findall(left))
    literals.sort()
    return postfix, literals, TOKEN.findall(right) if equals else None


def keep(text: str) -> Parts:
    """What `read` gives, kept if the text is short: models write the same equation many times."""
    parts = read(text)
    if len(text) <= LONGEST_KEPT:
        if len(_KEPT) >= MOST_KEPT:
            _KEPT.clear()
        _KEPT[text] = parts
    return parts


def to_postfix(tokens: Sequence[str]) -> tuple[list[int | str], list[int]]:
    """Tokens in postfix order, and the numbers among them.

    By the shunting-yard algorithm (Dijkstra 1961): no recursion, so depth is harmless. Unary minuses that cancel out
    are dropped.
    """
    postfix: list[int | str] = []
    literals: list[int] = []
    waiting: list[str] = []
    depth = 0
    operand_is_due = True
    for token in tokens:
        if operand_is_due:
            if "0" <= token < AFTER_NINE:
                if token < "1" and token != "0":
                    raise InvalidEquation("a number has a leading zero")
                literal = int(token) if len(token) <= DIGITS_AT_ONCE else integer(token)
                postfix.append(literal)
                literals.append(literal)
                operand_is_due = False
            elif token == "-":
                if waiting and waiting[-1] == NEGATE:
                    waiting.pop()
                else:
                    waiting.append(NEGATE)
            elif token == "(":
                depth += 1
                if depth > DEEPEST:
                    raise InvalidEquation(f"more than {DEEPEST} parentheses are open at once")
                waiting.append(token)
            else:
                raise InvalidEquation(f"{token!a} where a number is due")
        elif token in "+-*/":
            if waiting:
                emit(waiting, BINDING[token], postfix)
            waiting.append(token)
            operand_is_due = True
        elif token == ")":
            depth -= 1
            if depth < 0:
                raise InvalidEquation("')' without '('")
            emit(waiting, BINDING["("] + 1, postfix)
            waiting.pop()
        else:
            raise InvalidEquation(f"{token[:20]!a} where an operator is due")
    if operand_is_due:
        raise InvalidEquation("it ends where a number is due" if tokens else "no equation")
    if depth:
        raise InvalidEquation("'(' without ')'")
    if waiting:
        emit(waiting, BINDING["("] + 1, postfix)
    return postfix, literals


def emit(waiting: list[str], binding: int, postfix: list[int | str]) -> None:
    """Move the operators that bind at least so strongly from those that wait; two unary minuses in a row cancel out."""
    while waiting and BINDING[waiting[-1]] >= binding:
        operator = waiting.pop()
        if operator == NEGATE and postfix[-1] == NEGATE:
            postfix.pop()
        else:
            postfix.append(operator)


def integer(digits: str) -> int:
    """The value of a literal of any length, whatever limit Python puts on converting text."""
    number = 0
    for start in range(0, len(digits), DIGITS_AT_ONCE):
        piece = digits[start : start + DIGITS_AT_ONCE]
        number = number * 10 ** len(piece) + int(piece)
    return number


def value(postfix: Postfix) -> tuple[int, int]:
    """The exact value as (numerator, denominator), not reduced, with the sign in either.

    Skipping the reduction keeps hostile equations cheap: no number gets longer than the equation's text.
    Raises InvalidEquation for a division by zero.
    """
    tops: list[int] = []
    bottoms: list[int] = []
    for item in postfix:
        if type(item) is int:
            tops.append(item)
            bottoms.append(1)
            continue
        top, bottom = tops.pop(), bottoms.pop()
        if item == "+":
            tops[-1] = tops[-1] * bottom + top * bottoms[-1]
            bottoms[-1] *= bottom
        elif item == "-":
            tops[-1] = tops[-1] * bottom - top * bottoms[-1]
            bottoms[-1] *= bottom
        elif item == "*":
            tops[-1] *= top
            bottoms[-1] *= bottom
        elif item == NEGATE:
            tops.append(-top)
            bottoms.append(bottom)
        elif top == 0:
            raise InvalidEquation("it divides by zero")
        else:
            tops[-1] *= bottom
            bottoms[-1] *= top
    return tops[0], bottoms[0]


def sympy_value(postfix: Postfix) -> Any:
    """The exact value by sympy, each node of the parsed equation one of its rational numbers; no text reaches sympy.

    The equation must be free of divisions by zero.
    """
    number = rational()
    stack: list[Any] = []
    for item in postfix:
        if type(item) is int:
            stack.append(number(item))
            continue
        right = stack.pop()
        if item == "+":
            stack[-1] += right
        elif item == "-":
            stack[-1] -= right
        elif item == "*":
            stack[-1] *= right
        elif item == "/":
            stack[-1] /= right
        else:
            stack.append(-right)
    return stack[0]


def shown(numbers: Sequence[int]) -> str:
    """Numbers in ascending order for display, cut if there are many or they are long."""
    if numbers and len(numbers) <= 8 and numbers[0] > -HUGE and numbers[-1] < HUGE:
        return str(numbers)[1:-1]
    texts = [str(n) if -HUGE < n < HUGE else "a huge number" for n in numbers[:8]]
    return ", ".join(texts) + (", …" if len(numbers) > 8 else "")


def shown_fraction(top: int, bottom: int) -> str:
    """A fraction in lowest terms for display."""
    if max(top.bit_length(), bottom.bit_length()) > 512:
        return "another value"
    common = gcd(top, bottom) if bottom > 0 else -gcd(top, bottom)
    return str(top // common) if bottom == common else f"{top // common}/{bottom // common}"
