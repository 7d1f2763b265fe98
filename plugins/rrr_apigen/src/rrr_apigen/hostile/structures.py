"""Hostile structures: well-formed JSON that is nearly the row's list of calls."""

from __future__ import annotations

import json
from typing import Any

from rrr_apigen.examples import CITIES, EXACT, MEAN, PINGS
from rrr_apigen.hostile.case import BAD, CALL, GOLD, NAMES, PASSED, TOOL, VALUES, case
from rrr_core import Example

OSLO_CALL: dict[str, Any] = json.loads(CALL)
ARGUMENTS: dict[str, Any] = OSLO_CALL["arguments"]
PING = {"name": "ping", "arguments": {}}
OSLO_ALONE = {"name": "forecast", "arguments": {"city": "Oslo"}}
ROME_ALONE = {"name": "forecast", "arguments": {"city": "Rome"}}

SHAPES: list[tuple[Any, str, str]] = [
    ([{"name": "forecast"}], BAD, "no arguments"),
    ([{"arguments": ARGUMENTS}], BAD, "no name"),
    ([{}], BAD, "neither"),
    ([{"name": "forecast", "parameters": ARGUMENTS}], BAD, "parameters, as Llama has them"),
    ([{"name": "forecast", "args": ARGUMENTS}], BAD, "args"),
    ([{"name": "forecast", "kwargs": ARGUMENTS}], BAD, "kwargs"),
    ([{"name": "forecast", "input": ARGUMENTS}], BAD, "input"),
    ([{"name": "forecast", **ARGUMENTS}], BAD, "arguments beside the name"),
    ([{"forecast": ARGUMENTS}], BAD, "the name as the key"),
    ([{"function": "forecast", "arguments": ARGUMENTS}], BAD, "function for name"),
    ([{"tool": "forecast", "arguments": ARGUMENTS}], BAD, "tool for name"),
    ([{"Name": "forecast", "Arguments": ARGUMENTS}], BAD, "keys in capitals"),
    ([{"name ": "forecast", "arguments": ARGUMENTS}], BAD, "a blank in a key"),
    ([{"n\u0430me": "forecast", "arguments": ARGUMENTS}], BAD, "a Cyrillic letter in a key"),
    ([{"type": "function", "function": OSLO_CALL}], BAD, "as OpenAI has it"),
    ([{**OSLO_CALL, "id": "call_0"}], BAD, "an id"),
    ([{**OSLO_CALL, "type": "function"}], BAD, "a type"),
    ([{**OSLO_CALL, "": None}], BAD, "an empty third key"),
    ([{**OSLO_CALL, "result": "sun"}], BAD, "a result made up"),
    ([{**OSLO_CALL, "parameters": ARGUMENTS}], BAD, "arguments and parameters"),
    ([{**OSLO_CALL, "__class__": "dict"}], BAD, "a class hint"),
    ([{"name": "forecast", "arguments": json.dumps(ARGUMENTS)}], BAD, "arguments in a string"),
    ([{"name": "forecast", "arguments": [ARGUMENTS]}], BAD, "arguments in an array"),
    ([{"name": "forecast", "arguments": ["Oslo", 5]}], BAD, "arguments by place"),
    ([{"name": "forecast", "arguments": [["city", "Oslo"], ["days", 5]]}], BAD, "arguments as items"),
    ([{"name": "forecast", "arguments": None}], BAD, "null for arguments"),
    ([{"name": "forecast", "arguments": True}], BAD, "true for arguments"),
    ([{"name": "forecast", "arguments": 5}], BAD, "a number for arguments"),
    ([{"name": ["forecast"], "arguments": ARGUMENTS}], BAD, "a name in an array"),
    ([{"name": {"forecast": 1}, "arguments": ARGUMENTS}], BAD, "a name in an object"),
    ([{"name": None, "arguments": ARGUMENTS}], BAD, "null for a name"),
    ([{"name": True, "arguments": ARGUMENTS}], BAD, "true for a name"),
    ([{"name": 0, "arguments": ARGUMENTS}], BAD, "a number for a name"),
    ([["forecast", ARGUMENTS]], BAD, "a call as an array"),
    ([CALL], BAD, "a call in a string"),
    (["forecast"], BAD, "a name alone"),
    ([[OSLO_CALL]], BAD, "the whole array in an array"),
    ([OSLO_CALL, None], BAD, "null beside the call"),
    ([OSLO_CALL, {}], BAD, "an empty object beside the call"),
    ([OSLO_CALL, []], BAD, "an empty array beside the call"),
    ([OSLO_CALL, "done"], BAD, "a string beside the call"),
    ([OSLO_CALL, {"name": "ping"}], BAD, "half a call beside the call"),
    ([OSLO_CALL, PING], TOOL, "a second call that does no harm"),
    ([PING, OSLO_CALL], TOOL, "the same before it"),
    ([OSLO_CALL, OSLO_CALL], TOOL, "the call twice"),
    ([OSLO_CALL, OSLO_ALONE], TOOL, "a second call without the days"),
    ([OSLO_CALL] * 250, TOOL, "the call 250 times"),
    ([{**OSLO_CALL, "name": f"forecast_{day}"} for day in range(9)], TOOL, "every function one can think of"),
    ([{**OSLO_CALL, "name": "Forecast"}], TOOL, "a name in another case"),
    ([{**OSLO_CALL, "name": "forecast()"}], TOOL, "parentheses after the name"),
    ([{**OSLO_CALL, "name": "functions.forecast"}], TOOL, "a name space before the name"),
    ([{**OSLO_CALL, "name": "forecast\n"}], TOOL, "a line feed after the name"),
    ([{**OSLO_CALL, "name": "forecast\x00"}], TOOL, "a null character after the name"),
    ([{**OSLO_CALL, "name": "forec\u0430st"}], TOOL, "a Cyrillic letter in the name"),
    ([{**OSLO_CALL, "name": "forecast\ud800"}], TOOL, "half a surrogate pair after the name"),
    ([{**OSLO_CALL, "name": "x" * 19_000}], TOOL, "a name of 19,000 letters"),
    ([{**OSLO_CALL, "name": "__import__('os').system('true')"}], TOOL, "Python for a name"),
    ([{**OSLO_CALL, "name": "*"}], TOOL, "a wild card for a name"),
    ([{**OSLO_CALL, "name": ""}], TOOL, "an empty name"),
    ([{"name": "ping", "arguments": ARGUMENTS}], TOOL, "the arguments to another function"),
    ([{"name": "ping", "arguments": {"town": "Rome"}}], TOOL, "all wrong: the function comes first"),
    ([{"name": "forecast", "arguments": {}}], NAMES, "empty arguments"),
    ([{"name": "forecast", "arguments": {"arguments": ARGUMENTS}}], NAMES, "arguments in arguments"),
    ([{"name": "forecast", "arguments": {"days": 5}}], NAMES, "the required one missing"),
    ([{"name": "forecast", "arguments": {"city": "Oslo", "day": 5}}], NAMES, "a letter missing"),
    ([{"name": "forecast", "arguments": {"City": "Oslo", "days": 5}}], NAMES, "a capital"),
    ([{"name": "forecast", "arguments": {"city,days": "Oslo,5"}}], NAMES, "both in one"),
    ([{"name": "forecast", "arguments": {"Oslo": "city", "5": "days"}}], NAMES, "names and values exchanged"),
    ([{"name": "forecast", "arguments": {f"p{n}": n for n in range(1_000)}}], NAMES, "a thousand parameters"),
    ([{"name": "forecast", "arguments": {**ARGUMENTS, "*": 0}}], NAMES, "a wild card beside them"),
    ([{"name": "forecast", "arguments": {"city": 5, "days": "Oslo"}}], VALUES, "values exchanged"),
    ([{"name": "forecast", "arguments": {"city": "Oslo, 5", "days": 5}}], VALUES, "a value in the other's place too"),
    ([{"name": "forecast", "arguments": {"city": None, "days": None}}], VALUES, "nulls"),
    ([{"name": "forecast", "arguments": {"city": ARGUMENTS, "days": ARGUMENTS}}], VALUES, "objects"),
]

OTHER_ROWS: list[tuple[Any, str, str, dict[str, Any]]] = [
    ([{"name": "forecast", "arguments": {"city": "Rome", "exact": 1}}], VALUES, "1 for true", EXACT),
    ([{"name": "forecast", "arguments": {"city": "Rome", "exact": "true"}}], VALUES, "a string for true", EXACT),
    ([{"name": "forecast", "arguments": {"city": "Rome", "exact": False}}], VALUES, "false for true", EXACT),
    ([{"name": "average", "arguments": {"numbers": ["1", "2.5", "10"]}}], VALUES, "strings for numbers", MEAN),
    ([{"name": "average", "arguments": {"numbers": [True, 2.5, 10]}}], VALUES, "true for 1 in an array", MEAN),
    ([{"name": "average", "arguments": {"numbers": [1, 2.5]}}], VALUES, "a number left out of an array", MEAN),
    ([{"name": "average", "arguments": {"numbers": [[1, 2.5, 10]]}}], VALUES, "an array in the array", MEAN),
    ([{"name": "average", "arguments": {"numbers": "1, 2.5, 10"}}], VALUES, "numbers in a string", MEAN),
    ([{"name": "average", "arguments": {"numbers": [2.5, 1, 10]}}], VALUES, "an array in another order", MEAN),
    ([{"name": "average", "arguments": {"numbers": [1, 2, 10]}}], VALUES, "a number rounded", MEAN),
    ([ROME_ALONE, OSLO_ALONE], PASSED, "calls in another order", CITIES),
    ([OSLO_ALONE], TOOL, "a call left out", CITIES),
    ([OSLO_ALONE, OSLO_ALONE], VALUES, "one call twice for two", CITIES),
    ([OSLO_ALONE, ROME_ALONE, ROME_ALONE], TOOL, "one of two twice", CITIES),
    ([{"name": "forecast", "arguments": {"city": ["Oslo", "Rome"]}}], TOOL, "two calls in one", CITIES),
    ([OSLO_ALONE, {"name": "forecast", "arguments": {}}], NAMES, "the second city left out", CITIES),
    ([OSLO_ALONE, {"name": "ping", "arguments": {"city": "Rome"}}], TOOL, "the second function wrong", CITIES),
    ([PING], TOOL, "once for twice", PINGS),
    ([PING] * 3, TOOL, "three times for twice", PINGS),
    ([PING] * 500, TOOL, "five hundred times for twice", PINGS),
    ([PING, {"name": "ping", "arguments": {"": ""}}], NAMES, "an empty argument to a function without", PINGS),
    ([PING, {"name": "ping", "arguments": {"count": 2}}], NAMES, "an argument to a function without", PINGS),
    ([PING, {"name": "ping", "arguments": []}], BAD, "an array for no arguments", PINGS),
    ([PING, {"name": "ping", "arguments": ""}], BAD, "a string for no arguments", PINGS),
    ([PING, {"name": "ping"}], BAD, "no arguments for no arguments", PINGS),
]

REPEATED_KEYS: list[tuple[str, str]] = [
    (GOLD.replace('"name"', '"name": "ping", "name"'), "two names, the right one last"),
    (GOLD.replace('"name": "forecast"', '"name": "forecast", "name": "ping"'), "two names, the right one first"),
    (GOLD.replace('"name": "forecast"', '"name": "forecast", "name": "forecast"'), "the right name twice"),
    (GOLD.replace('"name": "forecast"', '"name": "forecast", "n\\u0061me": "ping"'), "a second name, escaped"),
    (GOLD.replace("5}}", '5}, "arguments": {}}'), "two arguments, the right ones first"),
    (GOLD.replace('"arguments"', '"arguments": {}, "arguments"'), "two arguments, the right ones last"),
    (GOLD.replace('"city"', '"city": "Rome", "city"'), "two cities"),
    ('[{"name": "ping", "arguments": {"": 0, "": 0}}]', "an empty key twice"),
]

CASES: list[Example] = [
    *(case(json.dumps(calls), category, f"structure: {reason}") for calls, category, reason in SHAPES),
    *(case(json.dumps(calls), category, f"structure: {reason}", row) for calls, category, reason, row in OTHER_ROWS),
    *(case(text, BAD, f"repeated key: {reason}") for text, reason in REPEATED_KEYS),
    case(
        '[{"name": "ping", "arguments": {}}, {"name": "ping", "arguments": }]', BAD, "broken where it is empty", PINGS
    ),
    case(
        '[{"name": "ping", "arguments": {}}, {"name": "ping", "arguments": {}', BAD, "no end where it is empty", PINGS
    ),
]
