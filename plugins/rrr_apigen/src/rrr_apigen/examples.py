"""Answers with known verdicts, including hostile ones: the input of the conformance checks."""

from __future__ import annotations

import json
from typing import Any

from rrr_apigen.calls import FORMAT, PARAMETER_NAMES, PARAMETER_VALUES, TOOL_CHOICE
from rrr_core import Example

Row = dict[str, Any]

FORECAST = {
    "name": "forecast",
    "description": "Give the weather forecast of a city.",
    "parameters": {
        "city": {"description": "The city's name.", "type": "str"},
        "days": {"description": "How many days ahead.", "type": "int, optional", "default": 3},
        "exact": {"description": "Whether to give decimals.", "type": "bool, optional", "default": False},
    },
}
AVERAGE = {
    "name": "average",
    "description": "Give the average of numbers.",
    "parameters": {"numbers": {"description": "The numbers.", "type": "List[float]"}},
}
PING = {"name": "ping", "description": "Say whether the service is up.", "parameters": {}}
TOOLS = [FORECAST, AVERAGE, PING]


def row(query: str, *answers: dict[str, Any]) -> Row:
    """A row with the functions of these examples on offer."""
    return {"query": query, "tools": TOOLS, "answers": list(answers)}


def call(name: str, /, **arguments: Any) -> dict[str, Any]:
    """A call as a row has it."""
    return {"name": name, "arguments": arguments}


OSLO = row("What will the weather be in Oslo for the next 5 days?", call("forecast", city="Oslo", days=5))
EXACT = row("Forecast for Rome, with decimals.", call("forecast", city="Rome", exact=True))
MEAN = row("What is the average of 1, 2.5 and 10?", call("average", numbers=[1, 2.5, 10]))
CITIES = row("Weather in Oslo and in Rome?", call("forecast", city="Oslo"), call("forecast", city="Rome"))
PINGS = row("Ping twice.", call("ping"), call("ping"))
NOTHING = row("Sing a song.")

GOLD = json.dumps(OSLO["answers"])

PASSING: list[tuple[Row, str, str]] = [
    (OSLO, GOLD, "the row's calls as they are"),
    (OSLO, json.dumps(OSLO["answers"], indent=2), "white space in it"),
    (OSLO, '[{"arguments": {"days": 5, "city": "Oslo"}, "name": "forecast"}]', "keys in another order"),
    (OSLO, '[{"name": "forecast", "arguments": {"city": "\\u004fslo", "days": 5.0}}]', "an escape, and 5.0 for 5"),
    (OSLO, f"Here it is:\n```json\n{GOLD}\n```\nDone.", "a fenced block with prose around it"),
    (OSLO, f"<tool_call>\n{GOLD[1:-1]}\n</tool_call>", "the tags of Qwen and Hermes"),
    (OSLO, f"<|tool_call|>{GOLD}<|/tool_call|>", "the tags of Phi"),
    (OSLO, f"<|python_tag|>{GOLD}", "the tag of Llama"),
    (OSLO, f"<think>Not [] here.</think>\n{GOLD}", "a thought before it"),
    (EXACT, '[{"name": "forecast", "arguments": {"exact": true, "city": "Rome"}}]', "a boolean"),
    (MEAN, '[{"name": "average", "arguments": {"numbers": [1.0, 25e-1, 1E1]}}]', "numbers written otherwise"),
    (
        CITIES,
        '[{"name": "forecast", "arguments": {"city": "Rome"}}, {"name": "forecast", "arguments": {"city": "Oslo"}}]',
        "calls in another order",
    ),
    (
        CITIES,
        "\n".join(f"<tool_call>{json.dumps(each)}</tool_call>" for each in CITIES["answers"]),
        "a block for each call",
    ),
    (PINGS, '[{"name": "ping", "arguments": {}}, {"name": "ping", "arguments": {}}]', "a call that is made twice"),
    (NOTHING, "[]", "no call where none is right"),
]

FAILING: list[tuple[Row, str, str, str]] = [
    (OSLO, "I cannot tell the weather.", FORMAT, "no calls"),
    (OSLO, f"The calls are {GOLD}", FORMAT, "prose before a bare array"),
    (OSLO, GOLD[1:-1], FORMAT, "a call, and no array"),
    (OSLO, GOLD[:-1], FORMAT, "an array that is never closed"),
    (OSLO, f"```json\n{GOLD}\n```\n```json\n{GOLD}\n```", FORMAT, "two blocks"),
    (OSLO, f"<think>{GOLD}</think>", FORMAT, "an answer in the thought alone"),
    (OSLO, '[{"name": "forecast", "parameters": {"city": "Oslo", "days": 5}}]', FORMAT, "another key than arguments"),
    (OSLO, '[{"name": "ping", "arguments": {}}]', TOOL_CHOICE, "another function"),
    (OSLO, f"[{GOLD[1:-1]}, {GOLD[1:-1]}]", TOOL_CHOICE, "the call twice"),
    (OSLO, "[]", TOOL_CHOICE, "no call where one is right"),
    (CITIES, '[{"name": "forecast", "arguments": {"city": "Oslo"}}]', TOOL_CHOICE, "a call left out"),
    (NOTHING, '[{"name": "ping", "arguments": {}}]', TOOL_CHOICE, "a call where none is right"),
    (OSLO, '[{"name": "forecast", "arguments": {"city": "Oslo"}}]', PARAMETER_NAMES, "an argument left out"),
    (
        OSLO,
        '[{"name": "forecast", "arguments": {"city": "Oslo", "days": 5, "exact": false}}]',
        PARAMETER_NAMES,
        "a default spelled out",
    ),
    (OSLO, '[{"name": "forecast", "arguments": {"town": "Oslo", "days": 5}}]', PARAMETER_NAMES, "a wrong name"),
    (OSLO, '[{"name": "forecast", "arguments": {"city": "Oslo", "days": 7}}]', PARAMETER_VALUES, "a wrong value"),
    (OSLO, '[{"name": "forecast", "arguments": {"city": "oslo", "days": 5}}]', PARAMETER_VALUES, "another case"),
    (MEAN, '[{"name": "average", "arguments": {"numbers": [10, 2.5, 1]}}]', PARAMETER_VALUES, "another order"),
]

HOSTILE: list[tuple[Row, str, str, str]] = [
    (OSLO, GOLD.replace("5", '"5"'), PARAMETER_VALUES, "a string for a number"),
    (OSLO, GOLD.replace("5", "5.0000000000000000001"), PARAMETER_VALUES, "a difference that floats do not see"),
    (OSLO, GOLD.replace("5", "1e999999999"), PARAMETER_VALUES, "a number that nobody can write out"),
    (OSLO, GOLD.replace("5", "9" * 5_000), PARAMETER_VALUES, "more digits than Python converts"),
    (OSLO, GOLD.replace("5", "NaN"), FORMAT, "NaN"),
    (OSLO, GOLD.replace("5", "９"), FORMAT, "a full-width digit"),
    (OSLO, GOLD.replace("5", '4, "days": 5'), FORMAT, "a key twice"),
    (OSLO, GOLD.replace("Oslo", "Oslo\\u0000"), PARAMETER_VALUES, "a null character"),
    (OSLO, GOLD.replace("Oslo", "Osl\\u043e"), PARAMETER_VALUES, "a Cyrillic letter"),
    (OSLO, GOLD.replace("Oslo", "\ud800"), PARAMETER_VALUES, "half a surrogate pair"),
    (EXACT, '[{"name": "forecast", "arguments": {"city": "Rome", "exact": 1}}]', PARAMETER_VALUES, "1 for true"),
    (PINGS, '[{"name": "ping", "arguments": {}}, {"name": "ping", "arguments": ]', FORMAT, "broken where it is empty"),
    (
        PINGS,
        '[{"name": "ping", "arguments": {}}, {"name": "ping", "arguments": {"x": 1}}]',
        PARAMETER_NAMES,
        "an extra",
    ),
    (OSLO, "__import__('os').system('true')", FORMAT, "Python"),
    (OSLO, f"json.loads('''{GOLD}''')", FORMAT, "Python that gives the calls"),
    (OSLO, "[" * 9_000 + "]" * 9_000, FORMAT, "18,000 brackets"),
    (OSLO, "[" * 100_000, FORMAT, "100,000 brackets"),
    (OSLO, " " * 1_000_000, FORMAT, "a million blanks"),
    (OSLO, "<tool_call>" * 1_500, FORMAT, "tags in tags"),
]

EXAMPLES: list[Example] = [
    *(Example(each, answer, "passed", reason=reason) for each, answer, reason in PASSING),
    *(Example(each, answer, "failed", category, reason) for each, answer, category, reason in FAILING),
    *(Example(each, answer, "failed", category, reason, hostile=True) for each, answer, category, reason in HOSTILE),
]
