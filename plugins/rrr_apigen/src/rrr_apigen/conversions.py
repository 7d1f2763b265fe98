"""The numbers that a call must convert: what hasty calls pass instead, and how reflections work them out."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from rrr_apigen.generated.catalogue import PARAMETERS, Unit

Calls = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Conversion:
    """A count of a larger unit, and what it comes to; `str` gives it in words.

    >>> str(conversion("days", 21))
    '3 weeks are 3*7=21 days.'
    """

    unit: Unit
    count: int
    result: int

    def __str__(self) -> str:
        unit = self.unit
        return f"{self.count} {unit.words} are {self.count}*{unit.factor}={self.result} {unit.own}."


def conversion(name: str, value: Any) -> Conversion | None:
    """The conversion that leads to an argument, or None if the query gives the value itself."""
    unit = PARAMETERS[name].unit
    count = unit and unit.count(value)
    return Conversion(unit, count, value) if unit and count else None


def conversions(gold: Sequence[Mapping[str, Any]]) -> list[Conversion]:
    """All that a row's gold calls need, in their order."""
    each = (conversion(name, value) for call in gold for name, value in call["arguments"].items())
    return [found for found in each if found]


def unconverted(gold: Sequence[Mapping[str, Any]], found: Sequence[Conversion] = ()) -> Calls:
    """The calls with the query's numbers where they should be converted, or with results in `found` of the same unit.

    Each result is used once, in order.

    >>> gold = [{"name": "get_wind", "arguments": {"city": "Rome", "days": 21}}]
    >>> unconverted(gold)
    [{'name': 'get_wind', 'arguments': {'city': 'Rome', 'days': 3}}]
    >>> unconverted(gold, [conversion("days", 35)])
    [{'name': 'get_wind', 'arguments': {'city': 'Rome', 'days': 35}}]
    """
    calls = copy.deepcopy(list(map(dict, gold)))
    left = list(found)
    for call in calls:
        for name, value in call["arguments"].items():
            if needed := conversion(name, value):
                result = next((each for each in left if each.unit is needed.unit), None)
                if result:
                    left.remove(result)
                call["arguments"][name] = result.result if result else needed.count
    return calls


def miscounted(found: Conversion, rng: Random) -> Conversion:
    """The same with a wrong result: the count misread, or the product wrong."""
    unit = found.unit
    other = rng.choice([count for count in range(2, unit.most + 1) if count != found.count])
    return replace(found, count=rng.choice((other, found.count)), result=other * unit.factor)
