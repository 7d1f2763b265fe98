"""Checks of the verifier: right on known answers, strict on wrong ones, pure, and robust against hostile ones."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from rrr_core.conformance.answers import MALFORMED, hostile_corpus
from rrr_core.conformance.mutations import SLIPS, mutants
from rrr_core.conformance.results import NotApplicable, Seen, Violation
from rrr_core.conformance.subject import Judged, Pair, Subject, excerpt, excerpt_of_change
from rrr_core.text import counted
from rrr_core.verdicts import Verdict

HOSTILE_ROWS = 2
MALFORMED_ROWS = 5
MUTATED_ROWS = 40
PURE_ANSWERS = 500
WAYS_SHOWN = 3
"""How many ways of mutating the note shows: those that pass most often."""
MOST_STRANGERS = 0.5
"""The share of other rows' gold answers that may pass: some are right for many rows, but not most for most."""
LEAST_REFUSED = 0.5
"""The share of slips that must be refused. A mutant may be right by chance, but not most of them. Other writings do
not count here: a lenient verifier accepts them all, and a strict one could offset accepted slips with them."""


def check_verdicts_are_given(subject: Subject) -> Seen:
    """The verifier gives a verdict on the simplest answers: no exception, no time-out, no exit."""
    return Seen(f"{len(subject.judge_first())} answers")


def check_examples_get_their_verdicts(subject: Subject) -> Seen:
    """`rrr_examples` has passing, failing and hostile answers, and each gets the verdict that it states."""
    examples = subject.examples
    if not examples:
        raise Violation("rrr_examples gives nothing.", "Add answers with known verdicts.")
    lacks = [
        what
        for what, there in (
            ("passing", any(each.outcome == "passed" for each in examples)),
            ("failing", any(each.outcome == "failed" and not each.hostile for each in examples)),
            ("hostile", any(each.hostile for each in examples)),
        )
        if not there
    ]
    if lacks:
        raise Violation(f"rrr_examples has no {' and no '.join(lacks)} answer.", "Add at least one of each.")
    for example, judged in zip(examples, judged_examples(subject), strict=True):
        wanted, given = (example.outcome, example.category), (judged.verdict.outcome, judged.verdict.category)
        if wanted != given:
            reason = f" ({example.reason!a})" if example.reason else ""
            raise Violation(
                f"the example {excerpt(example.answer)}{reason} should be {_shown(*wanted)}, but is {_shown(*given)}.",
                "Fix the verifier or the example.",
            )
    return Seen(counted(len(examples), "example"))


def check_gold_answers_pass(subject: Subject) -> Seen:
    """Every gold answer passes."""
    gold = _gold(subject)
    for place, each in enumerate(judged_gold(subject)):
        verdict = each.verdict
        if not verdict.is_passed:
            shown = _shown(verdict.outcome, verdict.category, verdict.detail)
            raise Violation(
                f"gold answer {place}, {excerpt(each.answer)}, is {shown}.", "Fix rrr_gold_answer or the verifier."
            )
    return Seen(counted(len(gold), "gold answer"))


def check_malformed_answers_fail(subject: Subject) -> Seen:
    """Empty answers, blanks, lone markup, noise, surrogates and control characters fail."""
    judged = judged_malformed(subject)
    names = list(MALFORMED) * len(judged)
    for name, each in zip(names, judged, strict=False):
        if each.verdict.is_passed:
            raise Violation(
                f"{name} passes: {excerpt(each.answer)}.", "Let the verifier demand an answer of the form it asks for."
            )
    return Seen(f"{len(judged):,} answers")


def check_other_rows_answers_fail(subject: Subject) -> Seen:
    """The gold answers of other rows fail, which shows that the verifier looks at its row."""
    judged = judged_strangers(subject)
    if not judged:
        raise NotApplicable("no two consecutive rows have different gold answers.")
    passing = [each for each in judged if each.verdict.is_passed]
    if len(passing) > MOST_STRANGERS * len(judged):
        raise Violation(
            f"{len(passing):,} of {len(judged):,} gold answers of other rows pass, one {excerpt(passing[0].answer)}.",
            "Let the verifier compare the answer with its row.",
        )
    return Seen(counted(len(judged), "answer") + (f", {len(passing):,} of them right here too" if passing else ""))


def check_failures_name_their_class(subject: Subject) -> Seen:
    """Every failed verdict has an error class, and the manifest names it."""
    manifest = subject.manifest
    if manifest is None:
        raise NotApplicable("there is no manifest to name the classes.")
    judged_examples(subject)
    judged_malformed(subject)
    failures = [each for each in subject.seen if each.verdict.is_failed]
    for each in failures:
        category = each.verdict.category
        if not category.strip():
            raise Violation(
                f"the failure of {excerpt(each.answer)} has no class.", "Give failed() a class in a few words."
            )
        if category not in manifest.categories:
            raise Violation(
                f"the class {category!a}, given to {excerpt(each.answer)}, is not in its manifest.",
                "Add it to the Manifest's categories, or fix the verifier.",
            )
    unseen = sorted(set(manifest.categories) - {each.verdict.category for each in failures})
    return Seen(
        counted(len(manifest.categories), "class", "classes")
        + (f", not seen here: {', '.join(map(ascii, unseen))}" if unseen else "")
    )


def check_verdicts_are_pure(subject: Subject) -> Seen:
    """The same row and answer get the same verdict again, in any order and process, and the row is not changed."""
    if subject.manifest is not None and not subject.manifest.deterministic:
        raise NotApplicable("its manifest says that its verdicts are not deterministic.")
    changed = subject.observed("unchanged")
    if changed:
        raise Violation(f"its verifier, which is marked @trusted, changes {changed}.", "Change a copy of the row.")
    judged = [*judged_malformed(subject)[: len(MALFORMED)], *judged_examples(subject)[:PURE_ANSWERS]]
    if subject.gold is not None:
        judged += judged_gold(subject)[:PURE_ANSWERS]
    pairs = [(each.row, each.answer) for each in judged]
    first = [each.verdict for each in judged]
    _check_same(pairs, first, subject.judged_again(pairs, "usual"), "judged again")
    backwards = subject.judged_again(pairs[::-1], "usual")[::-1]
    _check_same(pairs, first, backwards, "judged in another order")
    _check_same(pairs, first, subject.judged_again(pairs, "elsewhere"), "judged in another process")
    return Seen(f"{len(pairs):,} answers, four times")


def check_hostile_answers_do_no_harm(subject: Subject) -> Seen:
    """Hostile answers fail: no exception, no time-out, no exhausted memory, no crash, and no pass."""
    judged = judged_hostile(subject)
    for name, each in zip(itertools.cycle(hostile_corpus()), judged, strict=False):
        if each.verdict.is_passed:
            raise Violation(f"{name} passes: {excerpt(each.answer)}.", "Let the verifier refuse it.")
    return Seen(f"{len(judged):,} answers", {"hostile_answers": len(judged)})


def check_mutated_answers_fail(subject: Subject) -> Seen:
    """Most gold answers with a small change fail; the share that does is the mutation score."""
    gold = _gold(subject)[:MUTATED_ROWS]
    made = [(row, mutant, answer) for row, answer, part in gold for mutant in mutants(answer, part)]
    if not made:
        raise NotApplicable("no gold answer can be mutated.")
    judged = subject.judged("mutants", "check_mutated_answers_fail", ((row, mutant.text) for row, mutant, _ in made))
    survivors = [
        (mutant, right) for (_, mutant, right), each in zip(made, judged, strict=True) if each.verdict.is_passed
    ]
    score = 1 - len(survivors) / len(made)
    figures = {"mutation_score": round(score, 4), "mutants": len(made), "survivors": len(survivors)}
    note = f"mutation score {score:.1%}: {len(made) - len(survivors):,} of {len(made):,} refused"
    if survivors:
        ways = Counter(mutant.way for mutant, _ in survivors)
        survivors.sort(key=lambda survivor: -len(survivor[0].text))
        # The shortest of each way.
        examples = {mutant.way: excerpt_of_change(mutant.text, right, 40) for mutant, right in survivors}
        note += "; most often passed: " + ", ".join(
            f"{way} ({n}×, {examples[way]})" for way, n in ways.most_common(WAYS_SHOWN)
        )
        note += f", and {counted(len(ways) - WAYS_SHOWN, 'more way')}" if len(ways) > WAYS_SHOWN else ""
    slips = sum(mutant.way in SLIPS for _, mutant, _ in made)
    refused = slips - sum(mutant.way in SLIPS for mutant, _ in survivors)
    if refused < LEAST_REFUSED * slips:
        raise Violation(
            f"{note}. Of the slips, {refused:,} of {slips:,} are refused; at least {LEAST_REFUSED:.0%} must be.",
            "Let the verifier look at the whole answer.",
            figures,
        )
    return Seen(note, figures)


def _gold(subject: Subject) -> Sequence[tuple[dict[str, object], str, str | None]]:
    if subject.gold is None:
        raise NotApplicable("there is no hook rrr_gold_answer.")
    if not subject.gold:
        raise NotApplicable("no row has a known gold answer.")
    return subject.gold


def judged_gold(subject: Subject) -> list[Judged]:
    """The verdicts on the gold answers."""
    return subject.judged("gold", "check_gold_answers_pass", ((row, answer) for row, answer, _ in _gold(subject)))


def judged_strangers(subject: Subject) -> list[Judged]:
    """The verdicts on the gold answers of other rows: each row's on the one before it, where they differ."""
    gold = _gold(subject)
    pairs = [(row, other) for (row, own, _), (_, other, _) in pairwise(gold) if own.strip() != other.strip()]
    return subject.judged("strangers", "check_other_rows_answers_fail", pairs)


def judged_examples(subject: Subject) -> list[Judged]:
    """The verdicts on the plugin's own examples."""
    pairs = ((each.row, each.answer) for each in subject.examples)
    return subject.judged("examples", "check_examples_get_their_verdicts", pairs)


def judged_malformed(subject: Subject) -> list[Judged]:
    """The verdicts on malformed answers to a few rows."""
    rows = subject.both[:MALFORMED_ROWS]
    pairs = ((row, answer) for row in rows for answer in MALFORMED.values())
    return subject.judged("malformed", "check_malformed_answers_fail", pairs)


def judged_hostile(subject: Subject) -> list[Judged]:
    """The verdicts on the hostile answers, row by row."""
    corpus = hostile_corpus()
    pairs = [(row, answer) for row in subject.both[:HOSTILE_ROWS] for answer in corpus.values()]
    return subject.judged("hostile", "check_hostile_answers_do_no_harm", pairs, tight=True)


def _check_same(pairs: Sequence[Pair], first: Sequence[Verdict], again: Sequence[Verdict], how: str) -> None:
    for (_, answer), one, other in zip(pairs, first, again, strict=True):
        if one != other:
            raise Violation(
                f"the answer {excerpt(answer)} is {_shown(one.outcome, one.category, one.detail)}, and "
                f"{_shown(other.outcome, other.category, other.detail)} when {how}.",
                "Make the verdict a function of row and answer alone.",
            )


def _shown(outcome: str, category: str, detail: str = "") -> str:
    return outcome + (f" as {category!a}" if category else "") + (f" ({detail[:60]!a})" if detail else "")
