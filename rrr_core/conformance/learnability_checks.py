"""Checks of whether a model can learn on the task: what training needs, measured on a small sample.

Each decides by an interval: it passes or fails only where the whole interval says so, and cannot be judged otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrr_core.conformance.policy_checks import shown
from rrr_core.conformance.results import Faulty, Seen, State, Violation
from rrr_core.conformance.subject import Subject
from rrr_core.probing.estimates import gain, judged, share, spread, worth
from rrr_core.probing.sampling import Sample
from rrr_core.probing.settings import TRIES

if TYPE_CHECKING:
    from rrr_core.evaluation.statistics import Mean

REACH = "check_reward_can_be_reached"
DIFFER = "check_rows_differ_in_difficulty"
SIGNAL = "check_groups_have_a_signal"
HEADROOM = "check_reflections_make_a_difference"
SELDOM = 0.1
"""A share that is surely below this is too little to learn from."""
ALIKE = 0.1
"""Rows are alike if surely less than this share of a verdict's variance is the row's."""
LITTLE = 0.1
"""A gain that is surely below this is no headroom."""
SIGNIFICANT = 0.05
UNKNOWN: State = "cannot be judged"
MORE = "Take more rows with --model-rows."


def check_reward_can_be_reached(subject: Subject) -> Seen:
    """The model passes some rows: without a pass there is nothing to reinforce."""
    sample = _reached(subject)
    rows = [judged(row) for row in sample.tries if judged(row)]
    reached = share(sum(map(any, rows)), len(rows))
    single = sum(map(sum, rows)) / sum(map(len, rows))
    note = f"in {shown(reached)} of {len(rows)} rows one of {TRIES} tries passes, a single try in {single:.0%}"
    return Seen(note, {f"pass_at_{TRIES}": reached.value, "pass_at_1": single})


def check_rows_differ_in_difficulty(subject: Subject) -> Seen:
    """Some rows are harder than others, beyond chance."""
    rows = [judged(row) for row in _failing(subject).tries]
    rows = [row for row in rows if len(row) > 1]
    if len(rows) < 2:
        raise Faulty(DIFFER, f"{subject.who}: fewer than two rows have two verdicts. {MORE}", UNKNOWN)
    found = spread(rows)
    note = (
        f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}] of a verdict's variance is the row's; p = {found.p:.3f}"
        " if all rows were equally hard"
    )
    figures = {"difficulty_spread": found.value, "difficulty_p": found.p}
    if found.p < SIGNIFICANT:
        return Seen(note, figures)
    if found.high < ALIKE:
        raise Violation(
            f"{note}.", "Mix rows of several difficulties, so that some are within the model's reach.", figures
        )
    raise Faulty(DIFFER, f"{subject.who}: {note}. {MORE}", UNKNOWN)


def check_groups_have_a_signal(subject: Subject) -> Seen:
    """Retries after the reflections on one failure differ in their verdicts, often enough for a step to learn from."""
    sample = _failing(subject)
    groups = [judged(each.retries) for each in sample.groups]
    groups = [each for each in groups if len(each) > 1]
    if not groups:
        raise Faulty(SIGNAL, f"{subject.who}: no failure has two judged retries. {MORE}", UNKNOWN)
    signal = share(sum(len(set(each)) > 1 for each in groups), len(groups))
    low, mean, high = (number * sample.batch_groups for number in (signal.low, signal.value, signal.high))
    note = (
        f"{shown(signal)} of {len(groups)} groups of {sample.group_size} have passing and failing retries: about"
        f" {mean:.0f} [{low:.1f}, {high:.1f}] of the {sample.batch_groups} groups of a step"
    )
    figures = {"groups_with_signal": signal.value, "groups_with_signal_in_a_step": mean}
    if low >= 1:
        return Seen(note, figures)
    if high < 1 or signal.high < SELDOM:
        raise Violation(
            f"{note}.", "Warm the model up (`rrr warmup`), or take rows that it passes now and then.", figures
        )
    raise Faulty(SIGNAL, f"{subject.who}: {note}. {MORE}", UNKNOWN)


def check_reflections_make_a_difference(subject: Subject) -> Seen:
    """Some reflections help more than others on the same failure: this is what training can learn to choose."""
    sample = _failing(subject)
    groups = sample.groups
    best = worth([(each.retries, each.again) for each in groups])
    own = [([*each.retries, *each.again], each) for each in groups]
    others = {
        "own reflections over none": gain([(each.plain, passes) for passes, each in own]),
        "over another row's": gain([(each.others, passes) for passes, each in own]),
        "the gold answer over none": gain([(each.plain, each.gold) for each in groups]),
    }
    beside = ", ".join(f"{name} {_points(each)}" for name, each in others.items() if each is not None)
    figures = {name.replace(" ", "_"): each.value for name, each in others.items() if each is not None}
    if best is None:
        none = share(0, len(groups))
        text = f"no retry passes after any reflection on {len(groups)} failures, {shown(none)}; {beside}."
        if none.high >= SELDOM:
            raise Faulty(HEADROOM, f"{subject.who}: {text} {MORE}", UNKNOWN)
        raise Violation(text, _remedy(others["the gold answer over none"]), figures)
    figures["reflection_that_worked_over_any"] = best.value
    note = f"a reflection that worked once works again {_points(best)} more often than any; {beside}"
    if best.low is not None and best.low > 0:
        return Seen(note, figures)
    if best.high is not None and best.high < LITTLE:
        raise Violation(f"{note}.", _remedy(others["the gold answer over none"]), figures)
    raise Faulty(HEADROOM, f"{subject.who}: {note}. {MORE}", UNKNOWN)


def _remedy(gold: Mean | None) -> str:
    if gold is not None and gold.low is not None and gold.low > 0:
        return "Retries can use what they read, but these reflections are alike: warm the model up with better ones."
    return "Retries ignore what they read: warm the model up (`rrr warmup`) with retries that follow their reflections."


def _points(mean: Mean) -> str:
    """`+21 points [12, 30]`."""
    text = f"{100 * mean.value:+.0f} points"
    return text if mean.low is None or mean.high is None else f"{text} [{100 * mean.low:.0f}, {100 * mean.high:.0f}]"


def _reached(subject: Subject) -> Sample:
    """The sample. Raises Faulty if no try passed: then the other checks have nothing to look at."""
    sample = subject.sample
    rows = [judged(row) for row in sample.tries if judged(row)]
    if not rows:
        raise Faulty(REACH, f"{subject.who}: no try got a verdict.", UNKNOWN)
    reached = share(sum(map(any, rows)), len(rows))
    if reached.passed:
        return sample
    classes = ", ".join(f"{count} {name!a}" for name, count in sample.classes.most_common(3))
    text = f"{subject.who}: no try of {sum(map(len, rows))} on {len(rows)} rows passed, {shown(reached)}: {classes}."
    if reached.high < SELDOM:
        raise Faulty(REACH, f"{text} Warm the model up (`rrr warmup`), take a stronger one, or begin with easier rows.")
    raise Faulty(REACH, f"{text} {MORE}", UNKNOWN)


def _failing(subject: Subject) -> Sample:
    """The sample. Raises Faulty if no try passed, or if none failed."""
    sample = _reached(subject)
    if sample.groups:
        return sample
    rows = [judged(row) for row in sample.tries if judged(row)]
    failing = share(0, len(rows))
    text = f"{subject.who}: no try failed on {len(rows)} rows, {shown(failing)}, so nothing shows which are hard, and"
    text += " there is no failure to reflect on."
    if failing.high < SELDOM:
        raise Faulty(SIGNAL, f"{text} Take harder rows or a weaker model.")
    raise Faulty(SIGNAL, f"{text} {MORE}", UNKNOWN)
