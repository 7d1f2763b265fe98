"""Worked conversations that teach an untrained model to answer in haste: the training data of `rrr warmup`.

The embedded model stands in for a pretrained instruct model, so these conversations show what one does. It answers
in haste: it passes a number as the query gives it, in whatever unit, or slips elsewhere. Asked what went wrong, it is
mostly vague; sometimes it names the slip; rarely it converts the number, or, where nothing needs converting, says what
the query asks for. After a vague reflection the retry is as hasty as before. After a worked one it takes the numbers
from the reflection, even if they are wrong for the row. Every share is a named constant here, and every row uses the
`warmup` split's functions, which no other job sees.
"""

from __future__ import annotations

import copy
import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rrr_apigen import tiny
from rrr_apigen.conversions import Calls, conversion, conversions, miscounted, unconverted
from rrr_apigen.generated import Call, Recipe, draw_row, functions
from rrr_apigen.generated.catalogue import PARAMETERS

HASTY = {"hasty": 0.82, "right": 0.06, "slip": 0.12}
"""Shares of what a first attempt does where the query gives a number in another unit."""
PLAIN = {"hasty": 0.15, "right": 0.70, "slip": 0.15}
"""Shares where nothing needs converting. A call list that haste cannot cut short is right instead."""
HASTY_RETRY = {"hasty": 0.80, "right": 0.06, "slip": 0.14}
"""Shares of what a retry does without a worked reflection, where something needs converting."""
PLAIN_RETRY = {"hasty": 0.55, "right": 0.10, "slip": 0.35}
"""The same where nothing does."""
SLIPS = {"function": 3, "left out": 3, "added": 2, "value": 3, "text": 1, "bracket": 1}
"""Weights of the slips, among those that are possible."""
EARLY_PART = 0.75
"""Share of the lessons that is the first part."""
NO_REFLECTION = 0.15
"""Share of failed attempts that are retried without a reflection."""

BLOCK, ALIKE = 2048, 64
"""Conversations that are sorted by length together and stay together, so a batch holds little padding."""

VAGUE = {
    "I made a mistake. I will be more careful next time.": 0.75,
    "I should check my answer again and read the question slowly.": 0.13,
    "My answer was wrong. Next time I will think more before I answer.": 0.12,
}


@dataclass(frozen=True)
class Stage:
    """Shares of the kinds of reflection, and of whose numbers a worked one has, in one part of the lessons."""

    reflections: Mapping[str, float]
    numbers: Mapping[str, float]


EARLY = Stage(
    {"vague": 0.10, "named": 0.05, "worked": 0.85},
    {"own": 0.84, "miscounted": 0.06, "another's": 0.10},
)
"""The first part, where the model learns to convert, and to take numbers from the reflection alone."""
LATE = Stage(
    {"vague": 0.60, "named": 0.22, "worked": 0.18},
    {"own": 0.96, "miscounted": 0.01, "another's": 0.03},
)
"""The last part, where worked reflections are rare and mostly right."""


def choose(shares: Mapping[str, float], rng: random.Random) -> str:
    return rng.choices(list(shares), weights=list(shares.values()))[0]


def hasty(gold: Calls) -> Calls:
    """Numbers as the query gives them; if nothing needs converting, only the first call, or all but the last argument.

    A single call with one argument stays whole.
    """
    if conversions(gold):
        return unconverted(gold)
    calls = copy.deepcopy(gold[:1])
    if len(gold) == 1 and len(calls[0]["arguments"]) > 1:
        calls[0]["arguments"].popitem()
    return calls


def slipped(gold: Calls, tools: Sequence[Mapping[str, Any]], rng: random.Random) -> str:
    """The calls' text with one slip somewhere, and with numbers as the query gives them."""
    calls = unconverted(gold)
    call, right = rng.choice(list(zip(calls, gold, strict=True)))
    arguments: dict[str, Any] = call["arguments"]
    name = rng.choice(list(arguments))
    parameters = next(tool["parameters"] for tool in tools if tool["name"] == call["name"])
    others = [tool["name"] for tool in tools if tool["name"] != call["name"]]
    unasked = [each for each in parameters if each not in arguments]
    possible = {
        "function": bool(others),
        "left out": len(arguments) > 1,
        "added": bool(unasked),
        "value": True,
        "text": isinstance(arguments[name], int | float) and not isinstance(arguments[name], bool),
        "bracket": True,
    }
    kind = choose({slip: weight for slip, weight in SLIPS.items() if possible[slip]}, rng)
    if kind == "function":
        call["name"] = rng.choice(others)
    elif kind == "left out":
        del arguments[name]
    elif kind == "added":
        added = rng.choice(unasked)
        arguments[added] = parameters[added]["default"]
    elif kind == "value":
        arguments[name] = other_value(name, (arguments[name], right["arguments"][name]), rng)
    elif kind == "text":
        arguments[name] = str(arguments[name])
    text = tiny.answer(calls)
    return text[:-1] if kind == "bracket" else text


def attempt(gold: Calls, tools: Sequence[Mapping[str, Any]], is_retry: bool, rng: random.Random) -> str:
    """An answer without a worked reflection: right, in haste, or with a slip."""
    if conversions(gold):
        kind = choose(HASTY_RETRY if is_retry else HASTY, rng)
    else:
        kind = choose(PLAIN_RETRY if is_retry else PLAIN, rng)
    if kind == "slip":
        return slipped(gold, tools, rng)
    return tiny.answer(gold if kind == "right" else hasty(gold))


def other_value(name: str, unwanted: Sequence[Any], rng: random.Random) -> Any:
    """A value of a parameter, as a query may give it, that is none of the unwanted ones."""
    while True:
        drawn = PARAMETERS[name].draw(rng)
        converted = conversion(name, drawn)
        value = converted.count if converted else drawn
        if value not in unwanted:
            return value


def slip_in(gold: Sequence[Mapping[str, Any]], answer: str) -> str:
    """What is wrong with an answer, in words; empty if it is right.

    >>> gold = [{"name": "get_wind", "arguments": {"city": "Rome", "days": 5}}]
    >>> slip_in(gold, '[{"name": "get_wind", "arguments": {"city": "Rome"}}]')
    'I left out days.'
    """
    try:
        calls = json.loads(answer)
        names = Counter(call["name"] for call in calls if call["arguments"].items())
        wanted = Counter(call["name"] for call in gold)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return "My JSON was broken."
    if len(calls) != len(gold):
        return f"I made {len(calls)} calls, not {len(gold)}."
    if extra := names - wanted:
        return f"I called {words_of(min(extra))}, not {words_of(min(wanted - names))}."
    for call, right in zip(
        sorted(calls, key=lambda call: str(call["name"])), sorted(gold, key=lambda call: str(call["name"])), strict=True
    ):
        for name, value in right["arguments"].items():
            if name not in call["arguments"]:
                return f"I left out {words_of(name)}."
            given = call["arguments"][name]
            if given != value or type(given) is not type(value):
                return f"My {words_of(name)} was wrong."
        for name in call["arguments"]:
            if name not in right["arguments"]:
                return f"I added {words_of(name)}."
    return ""


def words_of(name: str) -> str:
    """A function's or parameter's name in words."""
    return name.replace("_", " ")


def worked(gold: Sequence[Mapping[str, Any]]) -> str:
    """What was to be worked out; if nothing was, what the query asks for. In words, and never as a call.

    >>> worked([{"name": "get_wind", "arguments": {"city": "Rome", "days": 21}}])
    '3 weeks are 3*7=21 days.'
    >>> worked([{"name": "get_wind", "arguments": {"city": "Rome", "days": 5}}])
    'It asks to get wind: city is Rome, days is 5.'
    """
    return " ".join(map(str, conversions(gold))) or asked(gold)


def written(gold: Sequence[Mapping[str, Any]], answer: str) -> str:
    """A worked reflection on a wrong answer.

    >>> gold = [{"name": "get_wind", "arguments": {"city": "Rome", "days": 21}}]
    >>> written(gold, '[{"name": "get_wind", "arguments": {"days": 21}}]')
    'I left out city. 3 weeks are 3*7=21 days.'
    """
    try:
        calls = json.loads(answer)
    except (ValueError, RecursionError):
        calls = None
    is_whole = isinstance(calls, list) and all(
        isinstance(call, dict) and isinstance(call.get("name"), str) and isinstance(call.get("arguments"), dict)
        for call in calls
    )
    return f"{slip_in(gold, answer) if is_whole else 'My JSON was broken.'} {worked(gold)}".strip()


def asked(gold: Sequence[Mapping[str, Any]]) -> str:
    """What the query asks for."""
    return " ".join(
        f"It asks to {words_of(call['name'])}: "
        + ", ".join(f"{words_of(name)} is {value_words(value)}" for name, value in call["arguments"].items())
        + "."
        for call in gold
    )


def value_words(value: Any) -> str:
    if isinstance(value, list):
        return " and ".join(map(str, value))
    return json.dumps(value) if isinstance(value, bool) else str(value)


def reflection(gold: Calls, slip: str, stray: Calls, stage: Stage, rng: random.Random) -> tuple[str, Calls | None]:
    """A reflection's text, and the calls of the retry that follows it; None for a retry as hasty as without one.

    `stray` has the calls of another row, for the reflections that work out another row's numbers.
    """
    kind = choose(stage.reflections, rng)
    if kind == "vague":
        return choose(VAGUE, rng), None
    if kind == "named":
        return f"{slip} I must do better.", None
    needed = conversions(gold)
    numbers = choose(stage.numbers, rng)
    if numbers == "another's":
        return f"{slip} {worked(stray)}", unconverted(gold, conversions(stray)) if needed else None
    if numbers == "miscounted" and needed:
        wrong = [miscounted(each, rng) for each in needed]
        return f"{slip} {' '.join(map(str, wrong))}", unconverted(gold, wrong)
    return f"{slip} {worked(gold)}", gold


def conversation(
    row: Mapping[str, Any], calls: Sequence[Call], stray: Sequence[Call], stage: Stage, rng: random.Random
) -> list[dict[str, str]]:
    """One worked conversation on a row; `stray` has the gold calls of another row."""
    gold = [call.to_json() for call in calls]
    first = attempt(gold, row["tools"], False, rng)
    messages = [{"role": "user", "content": tiny.prompt(row)}, {"role": "assistant", "content": first}]
    if slip := slip_in(gold, first):
        followed = None
        if rng.random() >= NO_REFLECTION:
            words, followed = reflection(gold, slip, [call.to_json() for call in stray], stage, rng)
            messages += [{"role": "user", "content": tiny.REFLECTION}, {"role": "assistant", "content": words}]
        retry = attempt(gold, row["tools"], True, rng) if followed is None else tiny.answer(followed)
        messages += [{"role": "user", "content": tiny.retry_prompt(row)}, {"role": "assistant", "content": retry}]
    return messages


def conversations(count: int, recipe: Recipe, seed: int = 0) -> Iterator[list[dict[str, str]]]:
    """`count` conversations in training order, those of similar length side by side."""
    rng = random.Random(f"warmup/{seed}")
    pool = functions("warmup")

    def each() -> Iterator[list[dict[str, str]]]:
        _, stray = draw_row(pool, recipe, rng)
        for index in range(count):
            row, calls = draw_row(pool, recipe, rng)
            yield conversation(row, calls, stray, EARLY if index < count * EARLY_PART else LATE, rng)
            stray = calls

    yield from in_batches_alike(each(), rng)


def in_batches_alike(made: Iterator[list[dict[str, str]]], rng: random.Random) -> Iterator[list[dict[str, str]]]:
    """The same conversations: each block sorted by length, cut into batches, and the batches shuffled."""
    while block := list(itertools.islice(made, BLOCK)):
        block.sort(key=lambda messages: sum(len(message["content"]) for message in messages))
        batches = [block[start : start + ALIKE] for start in range(0, len(block), ALIKE)]
        rng.shuffle(batches)
        yield from itertools.chain.from_iterable(batches)
