"""Checks of `rrr_step`: its courses lead to their answers, are pure and bounded, and no action does harm."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from rrr_core.conformance.answers import hostile_corpus
from rrr_core.conformance.courses import SIMPLE_ACTIONS, Act, Course, Given, calls_of, in_words, lead_courses
from rrr_core.conformance.prompt_checks import MOST_LEAKING
from rrr_core.conformance.results import Faulty, NotApplicable, Seen, Violation
from rrr_core.conformance.subject import CHUNK, Subject, excerpt
from rrr_core.hookspecs import Action, Call, Example, Row, Step, final
from rrr_core.tasks.blame import IMPORT_DENIED
from rrr_core.text import counted
from rrr_core.verdicts import Verdict

LEAD = "check_courses_lead_to_their_answers"
PURE = "check_steps_are_pure"
BOUNDED = "check_courses_stay_bounded"
HOSTILE = "check_hostile_actions_do_no_harm"
SIMPLE_ROWS = 2
PURE_ROWS = 10
PURE_STEPS = 6
BOUNDED_ROWS = 8
BOUNDED_STEPS = 64
HOSTILE_ROWS = 2
LONG_ACTION = "x " * 1_000
"""As long as a model's action may well be."""
MORE_ACTIONS = ("help", "1", "{}", LONG_ACTION)
ODD_VALUES: tuple[Any, ...] = (None, True, -1, 1e308, 10**30, "", "x", LONG_ACTION, [], ["x", [1]], {"x": {"y": None}})
"""Values of a call's argument, of which some are of another type than a schema wants."""

REMEDY = "Let rrr_step answer what it cannot read with an observation, quickly and without raising."


def check_courses_lead_to_their_answers(subject: Subject) -> Seen:
    """Every action gets a step, and the actions of an example end, at the last, in its answer."""
    examples, played = played_examples(subject)
    if not any(each.outcome == "passed" for each in examples):
        raise Violation(
            "no passing example in rrr_examples has actions.",
            "Add the actions that lead to its answer: Example(…, actions=(…)).",
        )
    for example, steps in zip(examples, played, strict=True):
        course = f"the course of the example {excerpt(example.answer)}"
        remedy = "Fix rrr_step or the example's actions."
        *_, last = steps
        if last.answer is None:
            raise Violation(f"{course} has no answer after its {counted(len(steps), 'action')}.", remedy)
        if len(steps) < len(example.actions):
            place = f"action {len(steps)} of {len(example.actions)}"
            raise Violation(f"{course} ends at {place}, {excerpt(in_words(example.actions[len(steps) - 1]))}.", remedy)
        if last.answer != example.answer:
            raise Violation(f"{course} leads to another answer, {excerpt(last.answer)}.", remedy)
    longest = max(map(len, played))
    return Seen(f"{counted(len(played), 'course')} of up to {counted(longest, 'step')}")


def check_steps_are_pure(subject: Subject) -> Seen:
    """The same actions lead to the same steps alone, among other courses and in another process; nothing is changed."""
    examples, _ = played_examples(subject)
    if subject.manifest is not None and not subject.manifest.deterministic:
        raise NotApplicable("its manifest says that it is not deterministic.")
    changed = subject.observed("unchanged by steps")
    if changed:
        raise Violation(f"its rrr_step, which is marked @trusted, changes {changed}.", "Change a copy.")
    chance, pool = random.Random(PURE), _actions(examples)
    courses: list[Course] = [(each.row, each.actions) for each in examples]
    courses += [(row, chance.choices(pool, k=PURE_STEPS)) for row in subject.both[:PURE_ROWS]]
    together = _played(subject, PURE, courses)
    alone = [_played(subject, PURE, [each])[0] for each in reversed(courses)][::-1]
    _check_same(courses, together, alone, "alone")
    _check_same(courses, together, _played(subject, PURE, courses, "elsewhere"), "in another process")
    total = sum(map(len, together))
    note = f"{counted(total, 'step')} of {counted(len(courses), 'course')}, three times"
    return Seen(note + _word_on_state(subject, courses, together))


def check_courses_stay_bounded(subject: Subject) -> Seen:
    """However a course goes on, its observations and its state stay within the core's bounds."""
    examples, _ = played_examples(subject)
    chance, pool = random.Random(BOUNDED), _actions(examples)
    rows = subject.both[:BOUNDED_ROWS]
    states: list[Any] = [None] * len(rows)
    longest = [0, 0]
    for number in range(1, BOUNDED_STEPS + 1):
        actions = chance.choices(pool, k=len(rows))
        steps = _stepped(subject, BOUNDED, list(zip(rows, actions, strict=True)), states, f", at step {number}")
        # An answer would end the course: go on from the state before it.
        states = [step.state if step.answer is None else state for step, state in zip(steps, states, strict=True)]
        sizes = ((len(step.observation), len(repr(step.state))) for step in steps)
        longest = [max(pair) for pair in zip(longest, *sizes, strict=True)]
    return Seen(
        f"{counted(len(rows), 'course')} of {BOUNDED_STEPS} steps; longest observation {longest[0]:,} characters, "
        f"longest state {longest[1]:,}"
    )


def check_observations_leak_no_answer(subject: Subject) -> Seen:
    """What a model reads after an action that does nothing does not pass when the model repeats it as its answer."""
    played_examples(subject)
    rows = subject.both
    acts: list[Act] = [(row, action) for row in rows for action in SIMPLE_ACTIONS]
    steps = _stepped(subject, LEAD, acts, [None] * len(acts))
    read = [(row, step.observation) for (row, _), step in zip(acts, steps, strict=True) if step.answer is None]
    judged = subject.judged("observations", "check_observations_leak_no_answer", read)
    leaks = [each for each in judged if each.verdict.is_passed]
    leaking = sum(any(each.row is row for each in leaks) for row in rows)
    if leaking > MOST_LEAKING * len(rows):
        raise Violation(
            f"an action that does nothing is followed by an answer that passes for {leaking:,} of {len(rows):,} rows, "
            f"such as {excerpt(leaks[0].answer)}.",
            "Let the model act before it reads what decides, or let the verifier demand more than the text contains.",
        )
    return Seen(f"{len(judged):,} observations" + (f"; {len(leaks)} passed by chance" if leaks else ""))


def check_hostile_actions_do_no_harm(subject: Subject) -> Seen:
    """Hostile actions get a step, at a course's start and in its middle: no exception, no time-out, and no pass."""
    examples, played = played_examples(subject)
    starts: list[tuple[Row, Any]] = [(row, None) for row in subject.both[:HOSTILE_ROWS]]
    longest = max(zip(examples, played, strict=True), key=lambda pair: len(pair[1]), default=None)
    if longest is not None and len(longest[1]) > 1:
        starts.append((longest[0].row, longest[1][-2].state))
    corpus = hostile_corpus()
    acts: list[Act] = [(row, action) for row, _ in starts for action in corpus.values()]
    states = [state for _, state in starts for _ in corpus]
    steps = _stepped(subject, HOSTILE, acts, states, judge="tight")
    # A call that is odd in one argument may be right in what counts, so these need only do no harm.
    called: list[Act] = [*_odd_calls(examples), *_hostile_calls(examples, corpus.values())]
    steps += _stepped(subject, HOSTILE, called, [None] * len(called), judge="tight")
    finals = [(row, step.answer) for (row, _), step in zip(acts, steps, strict=False) if step.answer is not None]
    for each in subject.judged("hostile courses", HOSTILE, finals, tight=True):
        if each.verdict.is_passed:
            raise Violation(f"a hostile action leads to an answer that passes: {excerpt(each.answer)}.", "Refuse it.")
    return Seen(f"{len(steps):,} actions, {len(finals):,} of which ended their course")


def played_examples(subject: Subject) -> tuple[list[Example], list[list[Step]]]:
    """The examples that have actions, and where those lead.

    Raises NotApplicable without the hook, and Faulty if a step of these or of the simplest actions is at fault.
    """
    if not subject.task.has_steps:
        raise NotApplicable("there is no hook rrr_step.")
    rows = subject.both[:SIMPLE_ROWS]
    acts: list[Act] = [(row, action) for row in rows for action in SIMPLE_ACTIONS]
    _stepped(subject, LEAD, acts, [None] * len(acts))
    examples = [each for each in subject.examples if each.actions]
    return examples, _played(subject, LEAD, [(each.row, each.actions) for each in examples])


def _played(subject: Subject, owner: str, courses: Sequence[Course], judge: str = "usual") -> list[list[Step]]:
    """What each course's actions lead to, the courses side by side. Raises Faulty."""

    def lead(acts: Sequence[Act], states: Sequence[Any]) -> list[Step]:
        return _stepped(subject, owner, acts, states, judge=judge)

    return [[step for step in steps if isinstance(step, Step)] for steps in lead_courses(lead, courses)]


def _stepped(
    subject: Subject,
    owner: str,
    acts: Sequence[Act],
    states: Sequence[Any],
    when: str = "",
    judge: str = "usual",
) -> list[Step]:
    """What (row, action) pairs lead to from these states. Raises Faulty, of the check `owner`, at the first fault."""
    found: list[Step] = []
    pairs = iter(zip(acts, states, strict=True))
    while chunk := list(islice(pairs, CHUNK)):
        subject.require_time(owner)
        steps = subject.stepped([act for act, _ in chunk], [state for _, state in chunk], judge)
        for ((_, action), _), step in zip(chunk, steps, strict=True):
            if isinstance(step, Verdict) and step.is_failed:  # It repeats an action that is longer than a step may be.
                step = final("")
            if isinstance(step, Verdict):
                if IMPORT_DENIED in step.detail:  # No action is to blame.
                    raise Faulty(owner, f"{step.detail}.")
                text = f"{step.detail} ({step.category}), on the action {excerpt(in_words(action))}{when}."
                raise Faulty(owner, text if step.category == "bad step" else f"{text} {REMEDY}")
            found.append(step)
    return found


def _actions(examples: Sequence[Example]) -> list[Given]:
    """What is tried: the examples' own actions, and some that do nothing."""
    own = [action for each in examples for action in each.actions if len(in_words(action)) <= len(LONG_ACTION)]
    return list({in_words(action): action for action in (*own, *SIMPLE_ACTIONS, *MORE_ACTIONS)}.values())


def _odd_calls(examples: Sequence[Example]) -> list[tuple[Row, Action]]:
    """Calls as a model may write them, for each tool that an example calls: no name of one, and other arguments.

    Each is on the row of that example.
    """
    tools = {call.name: (each.row, call) for each in examples for action in each.actions for call in calls_of(action)}
    odd: list[tuple[Row, Action]] = []
    for row, call in tools.values():
        others = [
            {},
            {"no such argument": 1},
            {**call.arguments, "no such argument": {"a": [None]}},
            *({**call.arguments, name: value} for name in call.arguments for value in ODD_VALUES),
        ]
        odd += [(row, Action(calls=(Call(call.name, arguments),))) for arguments in others]
        odd += [(row, Action(calls=(Call("no such tool", call.arguments),))), (row, Action(calls=(call,) * 3))]
    return odd


def _hostile_calls(examples: Sequence[Example], texts: Iterable[str]) -> Iterator[tuple[Row, Action]]:
    """The examples' calls with each of the texts in place of an argument that is a text.

    Half a surrogate pair makes a call malformed, so none comes with one.
    """
    written = [text for text in texts if not re.search("[\ud800-\udfff]", text)]
    seen = set()
    for each in examples:
        for call in (call for action in each.actions for call in calls_of(action)):
            for name, value in call.arguments.items():
                if isinstance(value, str) and (call.name, name) not in seen:
                    seen.add((call.name, name))
                    for text in written:
                        yield each.row, Action(calls=(Call(call.name, {**call.arguments, name: text}),))


def _check_same(
    courses: Sequence[Course], first: Sequence[Sequence[Step]], again: Sequence[Sequence[Step]], how: str
) -> None:
    for (_, actions), one, other in zip(courses, first, again, strict=True):
        for number, (action, step, then) in enumerate(zip(actions, one, other, strict=False), start=1):
            if step != then:
                raise Violation(
                    f"step {number} of a course, {excerpt(in_words(action))}, leads to {_shown(step)}, and to "
                    f"{_shown(then)} when it is played {how}.",
                    "Make a step a function of row, state and action alone.",
                )


def _word_on_state(subject: Subject, courses: Sequence[Course], played: Sequence[Sequence[Step]]) -> str:
    """A word on states that made no difference, or nothing."""
    later = [
        ((row, action), before, step)
        for (row, actions), steps in zip(courses, played, strict=True)
        for action, before, step in zip(actions[1:], steps, steps[1:], strict=False)
        if before.state is not None
    ]
    without = _stepped(subject, PURE, [act for act, _, _ in later], [None] * len(later))
    if not later or any(step != other for (_, _, step), other in zip(later, without, strict=True)):
        return ""
    return "; no state made a difference here: is rrr_step to ignore it?"


def _shown(step: Step) -> str:
    if step.answer is not None:
        return f"the answer {excerpt(step.answer)}"
    return f"the observation {excerpt(step.observation)} with the state {excerpt(repr(step.state))}"
