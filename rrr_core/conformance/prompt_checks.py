"""Checks of the prompts: sound for every model family, the same each time, and no answer that passes in them."""

from __future__ import annotations

from rrr_core.conformance.results import Seen, Violation
from rrr_core.conformance.subject import Subject, excerpt

MOST_LEAKING = 0.05
"""The share of rows whose prompt may pass by chance, such as `What is 0 + 3?` if the last number counts."""
HOOKS = ("rrr_prompt", "rrr_reflection_prompt", "rrr_retry_prompt")


def check_prompts_are_sound(subject: Subject) -> Seen:
    """Every prompt, reflection request and retry has text, for every model family."""
    digests = subject.observed("prompts")["digests"]
    return Seen(f"{len(digests):,} prompts, with their reflection requests and retries")


def check_prompts_are_deterministic(subject: Subject) -> Seen:
    """The same row gets the same prompts each time, in this process and in another."""
    here, elsewhere = subject.observed("prompts"), subject.second.value("prompts")
    if here["unstable"]:
        raise Violation(f"{here['unstable']}.", "Make the text a function of row and model alone.")
    for place, digest in here["digests"].items():
        if elsewhere["digests"].get(place, digest) != digest:
            raise Violation(
                f"the prompts for {place} differ in another process.",
                "Do not let the order of a set, a hash or the time into the text.",
            )
    return Seen()


def check_prompts_leak_no_answer(subject: Subject) -> Seen:
    """What a model reads does not pass when the model repeats it as its answer."""
    said = subject.observed("prompts")["said"]
    texts = [
        (row, hook, text)
        for split, rows in subject.rows.items()
        for row, by_hook in zip(rows, said[split], strict=True)
        for hook in HOOKS
        for text in dict.fromkeys([*by_hook[hook], "\n\n".join(by_hook[hook])])
    ]
    judged = subject.judged("prompts", "check_prompts_leak_no_answer", ((row, text) for row, _, text in texts))
    total = sum(map(len, subject.rows.values()))
    for hook in HOOKS:
        leaks = [each for each, (_, by, _) in zip(judged, texts, strict=True) if by == hook and each.verdict.is_passed]
        if len(leaks) > MOST_LEAKING * total:
            raise Violation(
                f"{hook} gives away an answer that passes for {len(leaks):,} of {total:,} rows, such as "
                f"{excerpt(leaks[0].answer)}.",
                "Take the answer out of the text, or let the verifier demand more than the text contains.",
            )
    by_chance = sum(each.verdict.is_passed for each in judged)
    return Seen(f"{len(judged):,} texts" + (f"; {by_chance} passed by chance" if by_chance else ""))
