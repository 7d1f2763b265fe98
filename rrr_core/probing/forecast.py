"""What a probe forecasts of training: will it learn, is a warm-up needed first, or will it not learn; with reasons.

Each reason decides by an interval. Where they leave it open, the forecast says so, and how many rows may settle it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from rrr_core.probing.findings import Estimate, Findings

Outlook = Literal["will learn", "warm up first", "will not", "cannot be said"]
SELDOM = 0.1
"""A share that is surely below this is too little to learn from."""
LITTLE = 0.1
"""A gain that is surely below this is no headroom."""
MANY = 0.5
"""A share that is surely above this is most of it."""
FEW_GROUPS = 1.0
"""Groups with a signal that a step needs at least."""
MOST_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Forecast:
    """What training will do."""

    outlook: Outlook
    reasons: tuple[str, ...]
    """Each a sentence; the first has decided."""
    headroom: Estimate | None
    """How much more often a retry passes after a reflection that has worked than after any: what can be learned."""
    rows_needed: int | None = None
    """Rows that may settle what cannot be said."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def forecast_of(found: Findings, can_warm_up: bool) -> Forecast:
    """The forecast of the figures. `can_warm_up` says whether the task has worked conversations (`rrr_warmup`)."""
    outlook, reasons, rows = _decided(found, can_warm_up)
    return Forecast(outlook, (*reasons, *_beside(found)), found.picked_over_own, rows)


def _decided(found: Findings, can_warm_up: bool) -> tuple[Outlook, list[str], int | None]:
    weak: Outlook = "warm up first" if can_warm_up else "will not"
    remedy = "warm it up (`rrr warmup`)" if can_warm_up else "the task has no conversations to warm it up with"
    for name, cut in found.cut_off.items():
        if cut.low > MANY:
            option = {"first try": "--max-tokens", "reflection": "--max-reflection-tokens"}.get(
                name, "--max-retry-tokens"
            )
            text = f"Most texts are cut off ({name}: {shown(cut)}), and those earn nothing: raise {option}."
            return "will not", [text], None
    if not found.failures:
        return "will not", [f"Nothing fails: {shown(found.first_try)} of first tries pass. Take harder rows."], None
    if found.signal is None or found.signal_in_a_step is None:
        return "cannot be said", ["No failure has two judged retries."], found.rows * 4
    if found.signal.high < SELDOM or found.signal_in_a_step.high < FEW_GROUPS:
        text = f"Groups hardly ever differ: {shown(found.signal)} have passing and failing retries"
        if found.own is not None and found.own.value > MANY:
            return "will not", [f"{text}, since nearly all pass. Take harder rows."], None
        return weak, [f"{text}, since nearly all fail: {remedy}, or take easier rows."], None
    room = found.picked_over_own
    if room is None:
        return "cannot be said", [f"No retry passed on {found.failures} failures."], found.rows * 4
    if room.high < LITTLE:
        text = f"Reflections make no difference: one that has worked works again {points(room)} more often than any"
        given = {"a written reflection": found.written_over_none, "the gold answer": found.gold_over_none}
        for what, gained in given.items():
            if gained is not None and gained.low > 0:
                text = f"{text}, though retries use what they read ({what} {points(gained)})"
                return weak, [f"{text}: {remedy}."], None
        return weak, [f"{text}: retries do not use what they read: {remedy}."], None
    over = found.picked_over_none
    if over is not None and over.high < LITTLE:
        text = f"A retry needs no reflection: one that has worked adds {points(over)} to a retry without one"
        return weak, [f"{text}: {remedy}, or take rows on which second tries fail as well."], None
    if room.low > 0 and found.signal_in_a_step.low >= FEW_GROUPS:
        text = (
            f"Some reflections help more than others on the same failure: one that has worked works again"
            f" {points(room)} more often than any"
        )
        if over is not None and over.low <= 0:
            text = f"{text}, but maybe no better than a retry without one ({points(over)})."
            return "cannot be said", [text], _rows_for(found, over, 0.0, LITTLE)
        step = found.signal_in_a_step
        reasons = [f"{text}, and {step.value:.0f} of a step's {found.batch_groups} groups show it."]
        if room.low < LITTLE:
            least, rows = f"{100 * LITTLE:.0f} points", _rows_for(found, room, LITTLE)
            reasons.append(
                f"It may be less than {least}, from which training may gain nothing: --rows {rows} says more."
            )
        return "will learn", reasons, None
    if room.low > 0:
        text = f"Too few groups to say whether each step has one with a signal: {shown(found.signal)}."
        return "cannot be said", [text], _rows_for(found, found.signal, FEW_GROUPS / found.batch_groups)
    text = f"Too few rows: a reflection that has worked works again {points(room)} more often than any."
    return "cannot be said", [text], _rows_for(found, room, 0.0, LITTLE)


def _rows_for(found: Findings, estimate: Estimate, bound: float, below: float | None = None) -> int:
    """Rows at which the interval, as narrow as the root of their number, leaves the bound out, if the value stays.

    Or at which it is `below` the other one, if that takes fewer and settles it as well.
    """
    apart = abs(estimate.value - bound)
    if below is not None:
        apart = max(apart, below - estimate.value)
    half = (estimate.high - estimate.low) / 2
    needed = found.rows * (half / apart) ** 2 * 1.2 if apart else float("inf")
    return int(min(MOST_ROWS, max(found.rows * 2, needed)))


def _beside(found: Findings) -> list[str]:
    """What else the user should know."""
    notes = []
    if found.formless is not None and found.formless.low > MANY:
        commonest = next(iter(found.categories), "")
        notes.append(
            f"{shown(found.formless)} of failed tries have no answer in the task's form ({commonest}): show the form in"
            " the prompt, or learn it in a warm-up; reflections may learn no more than that."
        )
    for gained, what in ((found.own_over_none, "a retry without one"), (found.own_over_others, "another row's")):
        if gained is not None and gained.high < 0:
            notes.append(f"Its own reflections are worse than {what} so far ({points(gained)}).")
    if found.distinct is not None and found.distinct < MANY:
        notes.append(f"Only {found.distinct:.0%} of the reflections on a failure differ: raise the temperature.")
    needed = found.groups_needed
    if needed is not None and needed > found.batch_groups:
        notes.append(
            f"A step of {found.batch_groups} groups is small: {needed} groups ({needed * found.group_size} reflections)"
            " nearly always have four with a signal."
        )
    if found.left_out:
        text = "A row was" if found.left_out == 1 else f"{found.left_out} rows were"
        notes.append(f"{text} left out for want of time: a larger --minutes tries more.")
    if found.withheld:
        notes.append(f"{found.withheld} verdicts on first tries were withheld: `rrr check` says why.")
    return notes


def shown(found: Estimate) -> str:
    """`12% [7%, 20%]`: a share with its interval."""
    return f"{found.value:.0%} [{found.low:.0%}, {found.high:.0%}]"


def points(found: Estimate) -> str:
    """`+21 points [12, 30]`: a gain with its interval."""
    return f"{100 * found.value:+.0f} points [{100 * found.low:.0f}, {100 * found.high:.0f}]"
