"""Rows of function calls made from a seed: gold calls follow from the query, and no function is in two splits."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rrr_apigen.generated.catalogue import SPLIT_SHARES, Function, Parameter, functions, split_of

__all__ = ["SPLIT_SHARES", "Call", "Recipe", "draw_row", "functions", "generate", "split_of"]

VERSION = 2
"""Of the generator: rows of another version differ, whatever the seed. The second gives most numbers in other units."""
OFFERED = {1: 0.12, 2: 0.24, 3: 0.24, 4: 0.16, 5: 0.10, 6: 0.07, 7: 0.04, 8: 0.03}
"""Shares of how many functions a row offers, if its calls do not need more."""
CALLS = {"one": 0.64, "repeated": 0.14, "parallel": 0.22}
"""Shares of rows with one call, with one function called again with other arguments, with several functions."""
RELATED = 0.6
"""Share of distractor functions that share the verb or the noun of a needed one."""
GIVEN = 0.5
"""Share of optional parameters that the query mentions; the others are omitted from the gold call."""
JOINTS = (". ", ". Then: ", ", and also: ")
"""The separator between the requests of one query."""
MOST_MISSES = 20_000
"""Consecutive draws without a new row after which a split counts as exhausted."""


@dataclass(frozen=True)
class Recipe:
    """What generated rows look like.

    `most_tools` is the most functions a row offers, `most_calls` the most calls it needs, `seed` the order of rows.
    """

    most_tools: int = 8
    most_calls: int = 3
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """A call that a query asks for."""

    function: Function
    arguments: Mapping[str, Any]
    """By parameter, in the definition's order."""

    def to_json(self) -> dict[str, Any]:
        return {"name": self.function.name, "arguments": dict(self.arguments)}


def generate(split: str, recipe: Recipe) -> Iterator[dict[str, Any]]:
    """Rows `{"query", "tools", "answers"}` of one split, no query twice, in a fixed order.

    Ends when the split's rows are nearly exhausted.
    """
    rng = random.Random(f"{recipe.seed}/{split}/{recipe.most_tools}/{recipe.most_calls}")
    pool = functions(split)
    seen: set[str] = set()
    misses = 0
    while misses < MOST_MISSES:
        misses += 1
        row, _ = draw_row(pool, recipe, rng)
        if row["query"] in seen:
            continue
        seen.add(row["query"])
        misses = 0
        yield row


def draw_row(pool: Sequence[Function], recipe: Recipe, rng: random.Random) -> tuple[dict[str, Any], list[Call]]:
    """A row of functions from `pool`, and its gold calls in the query's order."""
    calls = _draw_calls(pool, recipe, rng)
    needed = list(dict.fromkeys(call.function for call in calls))
    offered = min(max(len(needed), _choose(OFFERED, rng)), recipe.most_tools)
    tools = needed + _distractors(pool, needed, offered - len(needed), rng)
    rng.shuffle(tools)
    joint = rng.choice(JOINTS)
    query = joint.join(request(call, rng) for call in calls) + "."
    row = {
        "query": query,
        "tools": [function.definition() for function in tools],
        "answers": [call.to_json() for call in calls],
    }
    return row, calls


def request(call: Call, rng: random.Random) -> str:
    """A call in words: the verb's, the noun, and each argument given, in any order."""
    given = [worded(parameter, call.arguments[parameter.name]) for parameter in _given(call)]
    rng.shuffle(given)
    return " ".join([rng.choice(call.function.verb.words), f"the {call.function.noun}", *given])


def worded(parameter: Parameter, value: Any) -> str:
    """An argument in a query's words; a whole count of the parameter's larger unit is given in that unit.

    >>> from rrr_apigen.generated.catalogue import PARAMETERS
    >>> worded(PARAMETERS["days"], 5), worded(PARAMETERS["days"], 21), worded(PARAMETERS["numbers"], [1, 2, 3])
    ('for 5 days', 'for 3 weeks', 'over 1, 2 and 3')
    """
    if parameter.unit and (count := parameter.unit.count(value)):
        return parameter.unit.wording.format(count)
    if isinstance(value, bool):
        return parameter.wording.split("|")[0 if value else 1]
    if isinstance(value, list):
        *most, last = map(str, value)
        return parameter.wording.format(f"{', '.join(most)} and {last}")
    return parameter.wording.format(value)


def _given(call: Call) -> list[Parameter]:
    return [parameter for parameter in call.function.parameters if parameter.name in call.arguments]


def _draw_calls(pool: Sequence[Function], recipe: Recipe, rng: random.Random) -> list[Call]:
    kind = _choose(CALLS, rng)
    most = min(recipe.most_calls, recipe.most_tools) if kind == "parallel" else recipe.most_calls
    count = 1 if kind == "one" or most == 1 else rng.choice((2, 2, 3)[:most])
    if kind == "repeated":
        function = rng.choice(pool)
        wanted = [function] * count
    else:
        wanted = rng.sample(pool, count)
    calls: list[Call] = []
    for function in wanted:
        call = _draw_call(function, rng)
        if call not in calls:
            calls.append(call)
    return calls


def _draw_call(function: Function, rng: random.Random) -> Call:
    given = [*function.required, *(each for each in function.optional if rng.random() < GIVEN)]
    return Call(function, {parameter.name: parameter.draw(rng) for parameter in given})


def _distractors(
    pool: Sequence[Function], needed: Sequence[Function], count: int, rng: random.Random
) -> list[Function]:
    """Distractors: functions that no call needs, many easy to confuse with a needed one."""
    related = [
        function
        for function in pool
        if function not in needed and any(function.noun == n.noun or function.verb is n.verb for n in needed)
    ]
    found: list[Function] = []
    while len(found) < count:
        source = related if related and rng.random() < RELATED else pool
        function = rng.choice(source)
        if function not in needed and function not in found:
            found.append(function)
    return found


def _choose(shares: Mapping[Any, float], rng: random.Random) -> Any:
    return rng.choices(list(shares), weights=list(shares.values()))[0]
