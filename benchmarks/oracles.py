"""Second opinions on answers, written from the plugins' documentation and sharing no code with their verifiers.

They are slow, and return None for texts that they do not judge (deep or very long ones). The fuzzer and the tests
check the verifiers against them in both directions: no false pass, no false failure.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

MOST, LONGEST = 1_000, 12_000
"""The most characters, of the judged part and of the whole text, that the oracles judge."""

LAST_ANSWER = re.compile(r".*<answer>(.*?)</answer>", re.DOTALL)
EQUATION = re.compile(r"[0-9+*/() \t\n\r-]+")
CLAIM = re.compile(r"[ \t\n\r]*(-?)[ \t\n\r]*([0-9]+)[ \t\n\r]*")
LEADING_ZERO = re.compile(r"(?<![0-9])0[0-9]")
TYPOGRAPHY = {"×": "*", "·": "*", "÷": "/", "−": "-"}


def countdown(row: Mapping[str, Any], text: str) -> bool | None:
    """Whether a text answers a Countdown row, by Python's own grammar and exact fractions."""
    if len(text) > LONGEST:
        return None
    found = LAST_ANSWER.match(text)
    if found is None:
        return False
    answer = found[1].strip(" \t\n\r")
    if len(answer) > MOST or answer.count("(") > 80 or answer.count("-") > 80:
        return None
    if not answer.isascii():
        for sign, plain in TYPOGRAPHY.items():
            answer = answer.replace(sign, plain)
    equation, equals, claim = answer.partition("=")
    if equals:
        parts = CLAIM.fullmatch(claim)
        if parts is None or parts[1] + parts[2] != str(row["target"]):
            return False
    if not EQUATION.fullmatch(equation) or LEADING_ZERO.search(equation):
        return False
    try:
        tree = ast.parse(re.sub(r"\s", " ", equation).strip(), mode="eval").body
    except SyntaxError:
        return False
    used: list[int] = []
    try:
        value = fraction(tree, used)
    except (ZeroDivisionError, TypeError):
        return False
    return sorted(used) == sorted(row["nums"]) and value == row["target"]


def fraction(node: ast.expr, used: list[int]) -> Fraction:
    """The value of a syntax tree of the four operations; the numbers it uses are appended to `used`.

    Raises TypeError for anything else in it and ZeroDivisionError.
    """
    match node:
        case ast.Constant(int(number)) if type(number) is int:
            used.append(number)
            return Fraction(number)
        case ast.UnaryOp(ast.USub(), operand):
            return -fraction(operand, used)
        case ast.BinOp(left, ast.Add(), right):
            return fraction(left, used) + fraction(right, used)
        case ast.BinOp(left, ast.Sub(), right):
            return fraction(left, used) - fraction(right, used)
        case ast.BinOp(left, ast.Mult(), right):
            return fraction(left, used) * fraction(right, used)
        case ast.BinOp(left, ast.Div(), right):
            return fraction(left, used) / fraction(right, used)
    raise TypeError(f"{type(node).__name__} is none of the four operations")


MARK = re.compile(r"```|</?tool_call>|<\|/?tool_call\|>|<\|python_tag\|>|</?think>")
CALLS = re.compile(r'\[[ \t\n\r]*\{|\[[ \t\n\r]*\]|\{[ \t\n\r]*"name"')
BLANK = " \t\n\r"


class Refused(Exception):
    """The text is not a list of calls."""


def apigen(row: Mapping[str, Any], text: str) -> bool | None:
    """Whether a text answers an APIGen row: every call of the row once, and no others."""
    if len(text) > LONGEST:
        return None
    body = text.strip(BLANK)
    if body.startswith("<think>"):
        _, closed, body = body.partition("</think>")
        if not closed:
            return False
        body = body.strip(BLANK)
    if len(body) > 4 * MOST or body.count("[") + body.count("{") > 90:
        return None
    try:
        calls = [as_call(value) for value in listed(body)]
    except (Refused, json.JSONDecodeError):
        return False
    wanted = [as_call(json.loads(json.dumps(call), **HOOKS)) for call in row["answers"]]
    for call in calls:
        place = next((i for i, other in enumerate(wanted) if same(call, other)), None)
        if place is None:
            return False
        del wanted[place]
    return not wanted


def listed(body: str) -> list[Any]:
    """The values of the only list in a text without its thought. Raises Refused or JSONDecodeError."""
    if body.startswith("["):
        return json.loads(body, **HOOKS)
    mark = MARK.search(body)
    if mark is None:
        raise Refused
    start = mark.start()
    if mark[0] == "```":
        word = re.compile(r"[A-Za-z0-9_+.-]*").match(body, mark.end())
        assert word is not None
        value, end = enclosed(body, word.end(), "```")
        if body[end : end + 1] == "`":
            raise Refused
    elif mark[0] == "<|tool_call|>":
        value, end = enclosed(body, mark.end(), "<|/tool_call|>")
    elif mark[0] == "<|python_tag|>":
        value, end = enclosed(body, mark.end(), "")
        if body[end:].strip(BLANK):
            raise Refused
    elif mark[0] == "<tool_call>":
        value, end = enclosed(body, mark.end(), "</tool_call>")
        if isinstance(value, dict):
            value = [value]
            while body[end:].lstrip(BLANK).startswith("<tool_call>"):
                another, end = enclosed(body, body.index("<tool_call>", end) + len("<tool_call>"), "</tool_call>")
                value.append(another)
    else:
        raise Refused
    outside = (body[:start], body[end:])
    if not isinstance(value, list) or any(MARK.search(prose) or CALLS.search(prose) for prose in outside):
        raise Refused
    return value


def enclosed(body: str, start: int, closing: str) -> tuple[Any, int]:
    """The JSON value that starts at `start` and is followed by a closing mark, and where the mark ends."""
    while body[start : start + 1] and body[start] in BLANK:
        start += 1
    value, end = json.JSONDecoder(**HOOKS).raw_decode(body, start)
    if not closing:
        return value, end
    rest = body[end:].lstrip(BLANK)
    if not rest.startswith(closing):
        raise Refused
    return value, len(body) - len(rest) + len(closing)


def as_call(value: Any) -> dict[str, Any]:
    """The value, if it is a call; otherwise raises Refused."""
    right = isinstance(value, dict) and set(value) == {"name", "arguments"}
    if not right or not isinstance(value["name"], str) or not isinstance(value["arguments"], dict):
        raise Refused
    return value


def decimal(text: str) -> Decimal | str:
    """A number's exact value, or its text if beyond the range of decimals: no row has such a number."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return f"beyond decimals: {text}\x00"


def single_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object. Raises Refused for a duplicate key."""
    if len({key for key, _ in pairs}) < len(pairs):
        raise Refused
    return dict(pairs)


def refuse(constant: str) -> Any:
    """Raise Refused: NaN and Infinity are not JSON."""
    raise Refused(constant)


HOOKS: dict[str, Any] = {
    "parse_int": decimal,
    "parse_float": decimal,
    "parse_constant": refuse,
    "object_pairs_hook": single_keys,
}


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of the same kind, all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
