"""The check that policies without any skill, such as one that repeats the prompt's last number, score nothing."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rrr_core.answering import play_answers
from rrr_core.config.limits import STEPS
from rrr_core.conformance.answers import WRAPPERS
from rrr_core.conformance.prompt_checks import MOST_LEAKING
from rrr_core.conformance.results import Faulty, Seen, Violation
from rrr_core.conformance.step_checks import played_examples
from rrr_core.conformance.subject import Pair, Subject, excerpt
from rrr_core.conformance.verdict_checks import MOST_STRANGERS, judged_malformed, judged_strangers
from rrr_core.episode import Episode, Generation, Segment
from rrr_core.hookspecs import Message, Model, Row
from rrr_core.probing.estimates import share
from rrr_core.tasks.tools import split_tools
from rrr_core.text import counted

if TYPE_CHECKING:
    from rrr_core.evaluation.statistics import Proportion

NAME = "check_bad_policies_score_nothing"
POLICY_ROWS = 100
"""Rows of both splits that each policy answers."""
CONSTANTS = 3
"""How many of the commonest right answers are each given to every row."""
MOST_GUESSED = MOST_STRANGERS
"""The share of rows that a guess may pass: a task with two possible answers is sound."""
REFUSAL = "I'm sorry, but I can't help with that."
PLAIN, WITH_TOOLS = Model("check"), Model("check", takes_tools=True)
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*")
_QUOTED = re.compile(r'"([^"\n]+)"|“([^”\n]+)”|«([^»\n]+)»|`([^`\n]+)`|<(\w+)>([^<\n]+)</\5>')

Answers = Callable[[Sequence[Message]], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Policy:
    """A way to answer that takes no skill."""

    name: str
    answers: Answers
    """What it may write to a prompt: it passes the row if any of these does. None of them leaves the row out."""
    bound: float = MOST_LEAKING
    """The share of rows that it may pass by chance."""
    model: Model = PLAIN
    but: Row | None = None
    """The row that it is left out for: the one that its answer was taken from."""
    is_answer: bool = False
    """Whether it writes what is judged, rather than what a model writes: in a task with steps these are two things."""


def _always(*texts: str) -> Answers:
    return lambda _: texts


def _wrapped(guesses: Sequence[str]) -> list[str]:
    """The guesses bare, and where verifiers look for an answer."""
    return [f"{opening}{text}{closing}" for text in guesses for opening, closing in WRAPPERS.values()]


def _last_number(prompt: Sequence[Message]) -> list[str]:
    return _wrapped(_NUMBER.findall(prompt[-1]["content"])[-1:])


def _longest_quotation(prompt: Sequence[Message]) -> list[str]:
    quoted = ["".join((*groups[:4], groups[5])) for groups in _QUOTED.findall(prompt[-1]["content"])]
    return _wrapped([max(quoted, key=len)] if quoted else [])


def _tool_names(prompt: Sequence[Message]) -> list[str]:
    return [tool["function"]["name"] for tool in split_tools(prompt)[0]]


def _last_message(prompt: Sequence[Message]) -> list[str]:
    return [prompt[-1]["content"]]


NOTHING = Policy("the empty answer, or blanks", _always("", " ", "\n\n"))
POLICIES = (
    NOTHING,
    Policy("a refusal", _always(REFUSAL)),
    Policy("the prompt's last number", _last_number, MOST_GUESSED),
    Policy("the longest quotation in the prompt", _longest_quotation, MOST_GUESSED),
    Policy("a tool's name alone", _tool_names, model=WITH_TOOLS),
)
PROMPT = Policy("the prompt", _last_message)
"""For a task with steps alone: `check_prompts_leak_no_answer` looks at what any other task makes of its prompts."""


def check_bad_policies_score_nothing(subject: Subject) -> Seen:
    """Policies without skill, such as a refusal or one answer for all rows, pass no more rows than by chance."""
    subject.judge_first()
    subject.observed("prompts")
    if subject.task.has_steps:
        played_examples(subject)  # A step that fails on those is another check's to report.
    rows = subject.both[:POLICY_ROWS]
    tried, lucky = 0, list[str]()
    figures: dict[str, float] = {}
    for policy in (*POLICIES, *([PROMPT] if subject.task.has_steps else []), *_constants(subject, rows)):
        outcome = _outcome(subject, policy, rows)
        if not outcome:
            continue
        passing = [(row, text) for row, text in outcome if text is not None]
        found_in = share(len(passing), len(outcome))
        tried += 1
        if not passing:
            continue
        found = f"{policy.name} passes for {shown(found_in)} of rows"
        if found_in.low > policy.bound:
            if owner := _reported_by(subject, policy):
                raise Faulty(owner, f"{subject.who}: {found}.")
            row, text = passing[0]
            raise Violation(
                f"{found}; more than {policy.bound:.0%} is no chance. One is {excerpt(text)}, for the row"
                f" {excerpt(json.dumps(row))}.",
                "Let the verifier demand what only a solution has, or take such rows out.",
                {"policy_share": found_in.value},
            )
        lucky.append(found)
        figures["policy_share"] = max(found_in.value, figures.get("policy_share", 0.0))
    return Seen("; ".join([counted(tried, "policy", "policies"), *lucky]), figures)


def _reported_by(subject: Subject, policy: Policy) -> str:
    """The other check that fails for the same reason, if one does."""
    if policy is NOTHING and any(each.verdict.is_passed for each in judged_malformed(subject)):
        return "check_malformed_answers_fail"
    if policy.is_answer and subject.gold:
        strangers = judged_strangers(subject)
        if sum(each.verdict.is_passed for each in strangers) > MOST_STRANGERS * len(strangers):
            return "check_other_rows_answers_fail"
    return ""


def shown(found: Proportion) -> str:
    """`12% [7%, 20%]`: a share with its 95% interval."""
    return f"{found.value:.0%} [{found.low:.0%}, {found.high:.0%}]"


def _constants(subject: Subject, rows: Sequence[Row]) -> Iterator[Policy]:
    """The commonest right answers, each for all rows but the one that it comes from."""
    known: Sequence[tuple[Row | None, str]] = [
        (row, answer) for row, answer, _ in subject.gold or () if any(row is each for each in rows)
    ] or [(None, each.answer) for each in subject.examples if each.outcome == "passed"]
    for answer, _ in Counter(answer for _, answer in known).most_common(CONSTANTS):
        source = next(row for row, each in known if each == answer)
        name = f"the one answer {excerpt(answer)}"
        yield Policy(name, _always(answer), MOST_GUESSED, but=source, is_answer=True)


def _outcome(subject: Subject, policy: Policy, rows: Sequence[Row]) -> list[tuple[Row, str | None]]:
    """Each row that the policy answers, with the first of its texts that passes; None if none does."""
    texts = [(row, policy.answers(subject.task.prompt(row, policy.model))) for row in rows if row is not policy.but]
    passed = iter(_passed(subject, policy, [(row, text) for row, each in texts for text in each]))
    return [
        (row, next((text for text, right in [(text, next(passed)) for text in each] if right), None))
        for row, each in texts
        if each
    ]


def _passed(subject: Subject, policy: Policy, pairs: Sequence[Pair]) -> list[bool]:
    """Whether each text passes its row. Raises Faulty for a withheld verdict."""
    if policy.is_answer or not subject.task.has_steps:
        return [each.verdict.is_passed for each in subject.judged(f"policy {policy.name}", NAME, pairs)]
    asked = [
        Episode(place, row, (Segment("prompt", subject.task.prompt(row, policy.model)),))
        for place, (row, _) in enumerate(pairs)
    ]

    def repeat(_stage: str, episodes: Sequence[Episode]) -> list[Generation]:
        return [Generation(pairs[each.row_index][1]) for each in episodes]

    verdicts = [
        each.verdict for each in play_answers(subject.task, subject.judge, "attempt", asked, repeat, "policy", STEPS)
    ]
    for (_, text), verdict in zip(pairs, verdicts, strict=True):
        if verdict.is_abstained:
            raise Faulty(NAME, f"{verdict.detail} ({verdict.category}), on the action {excerpt(text)}.")
    return [verdict.is_passed for verdict in verdicts]
