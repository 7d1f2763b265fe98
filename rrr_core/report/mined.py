"""The failure set in figures: what `rrr mine` tried, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Tried:
    """What is counted of one mined row."""

    tries: int
    passes: int
    abstentions: int
    categories: tuple[str, ...]

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Tried:
        categories = tuple(str(failure["verdict"]["category"]) for failure in record["failures"])
        return cls(int(record["tries"]), int(record["passes"]), int(record["abstentions"]), categories)


@dataclass(frozen=True, slots=True)
class Mined:
    """How the failure set came about."""

    rows: int
    rows_with_failures: int
    failures: int
    tries: int
    passes: int
    abstentions: int
    first_try_pass_rate: float | None
    """Share of rows right at their first try: the accuracy of the model, unlike passes by tries."""
    error_classes: dict[str, int]
    pass_rates: list[int]
    """Rows by their share of passed tries, in ten equal bins; rows without a judged try are in none."""


def mined_of(rows: Iterable[Tried], first_try_pass_rate: float | None = None) -> Mined:
    """The sums over mined rows. Which try came first is not in them, so that rate is passed through."""
    classes: Counter[str] = Counter()
    count = with_failures = tries = passes = abstentions = 0
    rates = [0] * 10
    for row in rows:
        count, with_failures = count + 1, with_failures + bool(row.categories)
        tries, passes, abstentions = tries + row.tries, passes + row.passes, abstentions + row.abstentions
        classes.update(row.categories)
        if row.tries > row.abstentions:
            rates[min(9, 10 * row.passes // (row.tries - row.abstentions))] += 1
    return Mined(
        rows=count,
        rows_with_failures=with_failures,
        failures=classes.total(),
        tries=tries,
        passes=passes,
        abstentions=abstentions,
        first_try_pass_rate=first_try_pass_rate,
        error_classes=dict(classes.most_common()),
        pass_rates=rates,
    )
