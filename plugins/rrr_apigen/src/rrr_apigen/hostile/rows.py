"""Hostile rows: right and wrong answers where the row itself holds extremes."""

from __future__ import annotations

import json
from typing import Any

from rrr_apigen.examples import row
from rrr_apigen.hostile.case import BAD, NAMES, PASSED, TOOL, VALUES, case
from rrr_core import Example

VALUES_OF_A_ROW: list[tuple[Any, str, str, str]] = [
    (9007199254740993, "9007199254740993.0", PASSED, "exact where floats are not"),
    (9007199254740993, "9007199254740992", VALUES, "its neighbour, one float with it"),
    (9007199254740993, "9.007199254740993e15", PASSED, "exact with an exponent"),
    (9007199254740992.0, "9007199254740993", VALUES, "a float of the row is exact too"),
    (10**400, "1e400", PASSED, "beyond all floats"),
    (10**400, "1e401", VALUES, "beyond all floats, ten times over"),
    (10**600 + 1, "1" + "0" * 599 + "1", PASSED, "601 digits"),
    (10**600 + 1, "1" + "0" * 599 + "2", VALUES, "the last of 601 digits"),
    (10**600 + 1, "1e600", VALUES, "601 digits, the last one dropped"),
    (-(10**600), "-1e600", PASSED, "601 digits below zero"),
    (1e308, "1" + "0" * 308, PASSED, "a large float written out"),
    (1e308, "1e309", VALUES, "beyond a large float"),
    (5e-324, "5e-324", PASSED, "the least float"),
    (5e-324, "4.94e-324", VALUES, "what rounds to the least float"),
    (5e-324, "0", VALUES, "zero for the least float"),
    (0.1, "0.1", PASSED, "a float is its shortest decimal"),
    (0.1, "0.1000000000000000055511151231257827", VALUES, "and not what its bits come to"),
    (0.1 + 0.2, "0.3", VALUES, "a sum of floats is what it is"),
    (0.1 + 0.2, "0.30000000000000004", PASSED, "and has a shortest decimal"),
    (-0.0, "0", PASSED, "minus zero is zero"),
    (0, "-0.0", PASSED, "zero is minus zero"),
    (0, "0e" + "9" * 5_000, PASSED, "zero times anything"),
    (0, "false", VALUES, "false is not 0"),
    (0, '""', VALUES, "nor is an empty string"),
    (0, "null", VALUES, "nor null"),
    (1, "true", VALUES, "true is not 1"),
    (True, "1", VALUES, "1 is not true"),
    (True, "1.0", VALUES, "nor is 1.0"),
    (True, '"true"', VALUES, "nor a string"),
    (False, "0", VALUES, "0 is not false"),
    (False, "[]", VALUES, "nor is an empty array"),
    (None, "null", PASSED, "null is null"),
    (None, '"null"', VALUES, "a string is not null"),
    (None, "false", VALUES, "false is not null"),
    ("5", "5", VALUES, "a number for a string"),
    ("", "null", VALUES, "null for an empty string"),
    ("null", "null", VALUES, "null for its name"),
    ("\ud800", '"\\ud800"', PASSED, "half a surrogate pair"),
    ("\ud800", '"\ud800"', PASSED, "half a surrogate pair, as it is"),
    ("\ud800", '"\\ud801"', VALUES, "another half"),
    ("😀", '"\\ud83d\\ude00"', PASSED, "a surrogate pair in escapes"),
    ("😀", '"\ud83d\ude00"', VALUES, "two halves as they are make no character"),
    ("\u202eabc", '"\u202eabc"', PASSED, "a right-to-left mark of the row's own"),
    ("a\x00b", '"a\\u0000b"', PASSED, "a null character of the row's own"),
    ("a\x00b", '"a\\u0000c"', VALUES, "what follows a null character counts"),
    ("é", '"e\\u0301"', VALUES, "composed is not decomposed"),
    ("ﬁ", '"fi"', VALUES, "a ligature is no two letters"),
    ("ß", '"ss"', VALUES, "nor is what folds to two"),
    ("٣", '"3"', VALUES, "digits in strings are letters"),
    ("a\nb", '"a\\nb"', PASSED, "a line feed of the row's own"),
    ("a\\nb", '"a\\nb"', VALUES, "a backslash is no line feed"),
    ("</tool_call>", '"</tool_call>"', PASSED, "a tag of the row's own"),
    ("```", '"```"', PASSED, "a fence of the row's own"),
    ("</think>", '"</think>"', PASSED, "a thought's end of the row's own"),
    ('[{"name": "x"}]', '"[{\\"name\\": \\"x\\"}]"', PASSED, "calls in a string of the row's own"),
    ([], "{}", VALUES, "an object for an array"),
    ({}, "[]", VALUES, "an array for an object"),
    ([1, 2], "[2, 1]", VALUES, "an array's order"),
    ([1, 2], "[1, 2, 2]", VALUES, "an array's repetitions"),
    ([1, 2], '{"0": 1, "1": 2}', VALUES, "an object with an array's places as keys"),
    ([1, 2], '"[1, 2]"', VALUES, "an array in a string"),
    ([[1], 2], "[1, [2]]", VALUES, "an array's nesting"),
    ([True], "[1]", VALUES, "1 for true in an array"),
    (["number", "5"], '["number", "5"]', PASSED, "an array like what numbers are kept as"),
    (["number", "5"], "5", VALUES, "a number for an array like it"),
    (["list", "a"], '["a"]', VALUES, "an array that begins with a kind's name"),
    ([["a", 1]], '{"a": 1}', VALUES, "an object for its items"),
    ({"a": {"b": [1]}}, '{"a": {"b": [1.0]}}', PASSED, "a number deep inside"),
    ({"a": {"b": [1]}}, '{"a": {"b": [true]}}', VALUES, "true for a number deep inside"),
    ({"a": 1, "b": 2}, '{"b": 2, "a": 1}', PASSED, "an object in another order"),
    ({"a": 1, "b": 2}, '{"a": 2, "b": 1}', VALUES, "an object with its values exchanged"),
    ({"a": 1}, '{"a": 1, "b": null}', VALUES, "an extra member inside a value"),
    ({"a": None}, "{}", VALUES, "a null member left out inside a value"),
    ({"a": 1}, '{"a": 2, "a": 1}', BAD, "a key twice inside a value"),
    ({"1": 0}, '{"1.0": 0}', VALUES, "keys are strings, not numbers"),
    ({"": 0}, '{"": 0}', PASSED, "an empty key of the row's own"),
]


def _wide(last: str) -> str:
    """Sixteen calls of one function that differ in their numbers, in reverse, the last as given."""
    numbers = [*map(str, range(15, 0, -1)), last]
    return "[" + ", ".join(f'{{"name": "f", "arguments": {{"x": {number}}}}}' for number in numbers) + "]"


WIDE = row("…", *({"name": "f", "arguments": {"x": number}} for number in range(16)))
DUNDER = row("…", {"name": "__class__", "arguments": {"__init__": 1, "self": 2}})
EMPTY_NAME = row("…", {"name": "", "arguments": {}})
CYRILLIC = row("…", {"name": "f\u043eo", "arguments": {"b\u0430r": 1}})
CROSSED = row("…", {"name": "f", "arguments": {"a": 1, "b": 2}}, {"name": "f", "arguments": {"a": 3, "b": 4}})
SHARED = row("…", {"name": "f", "arguments": {"a": 1}}, {"name": "f", "arguments": {"b": 1}})

CASES: list[Example] = [
    *(
        case(
            f'[{{"name": "f", "arguments": {{"x": {literal}}}}}]',
            category,
            f"the row's value: {reason}",
            row("…", {"name": "f", "arguments": {"x": value}}),
        )
        for value, literal, category, reason in VALUES_OF_A_ROW
    ),
    case(_wide("0.0"), PASSED, "sixteen calls, whose orders nobody can try", WIDE),
    case(_wide("16"), VALUES, "sixteen calls, one of them wrong", WIDE),
    case(_wide("1"), VALUES, "sixteen calls, one of them twice", WIDE),
    case('[{"name": "__class__", "arguments": {"self": 2, "__init__": 1}}]', PASSED, "Python's own names", DUNDER),
    case('[{"name": "__class__", "arguments": {"self": 1, "__init__": 2}}]', VALUES, "their values exchanged", DUNDER),
    case('[{"name": "", "arguments": {}}]', PASSED, "a function without a name", EMPTY_NAME),
    case('[{"name": " ", "arguments": {}}]', TOOL, "a blank for no name", EMPTY_NAME),
    case('[{"name": null, "arguments": {}}]', BAD, "null for no name", EMPTY_NAME),
    case('[{"name": "foo", "arguments": {"bar": 1}}]', TOOL, "a Latin letter in a Cyrillic name", CYRILLIC),
    case('[{"name": "f\u043eo", "arguments": {"bar": 1}}]', NAMES, "a Latin letter in a parameter", CYRILLIC),
    case('[{"name": "f\\u043eo", "arguments": {"b\\u0430r": 1}}]', PASSED, "Cyrillic in escapes", CYRILLIC),
    case(
        '[{"name": "f", "arguments": {"a": 1, "b": 4}}, {"name": "f", "arguments": {"a": 3, "b": 2}}]',
        VALUES,
        "values exchanged between calls",
        CROSSED,
    ),
    case(
        '[{"name": "f", "arguments": {"a": 1, "b": 1}}, {"name": "f", "arguments": {}}]',
        NAMES,
        "an argument moved to the other call",
        SHARED,
    ),
    case(
        json.dumps([{"name": "f", "arguments": {"a": 1}}, {"name": "f", "arguments": {"a": 1}}]),
        NAMES,
        "one call for both",
        SHARED,
    ),
]
