"""The failure set in figures: what `rrr mine` tried and what it found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from rrr_core.mining.mined_row import MinedRow


@dataclass(frozen=True, slots=True)
class Mined:
    """Figures of the failure set."""

    rows: int
    rows_with_failures: int
    failures: int
    """Failing attempts."""
    failed_retries: int
    """Failures that end in a retry of a mined round."""
    tries: int
    passes: int
    abstentions: int
    """Verdicts that the verifier withheld."""
    no_answers: dict[str, int]
    """Kind → tries without an answer."""
    first_try_pass_rate: float | None
    """Share of rows right at their first try: the model's accuracy, unlike passes over tries."""
    error_classes: dict[str, int]
    pass_rates: list[int]
    """Rows by their share of passed tries, in ten equal bins; rows without a judged try are left out."""


def mined_of(rows: Iterable[MinedRow], first_try_pass_rate: float | None = None) -> Mined:
    """Sums over mined rows. They do not say whether a first try passed, so that rate is an argument."""
    classes: Counter[str] = Counter()
    no_answers: Counter[str] = Counter()
    count = with_failures = failed_retries = tries = passes = abstentions = 0
    rates = [0] * 10
    for row in rows:
        count, with_failures = count + 1, with_failures + bool(row.failures)
        failed_retries += len(row.all_failures) - len(row.failures)
        tries, passes = tries + row.tries, passes + row.passes
        abstentions += row.abstentions - len(row.unanswered)
        no_answers.update(row.unanswered)
        classes.update(failure.verdict.category for failure in row.failures)
        if row.tries > row.abstentions:
            rates[min(9, 10 * row.passes // (row.tries - row.abstentions))] += 1
    return Mined(
        rows=count,
        rows_with_failures=with_failures,
        failures=classes.total(),
        failed_retries=failed_retries,
        tries=tries,
        passes=passes,
        abstentions=abstentions,
        no_answers=dict(no_answers.most_common()),
        first_try_pass_rate=first_try_pass_rate,
        error_classes=dict(classes.most_common()),
        pass_rates=rates,
    )
