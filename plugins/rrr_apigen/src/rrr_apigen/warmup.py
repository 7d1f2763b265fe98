"""Worked conversations that teach an untrained model to answer in haste: the training data of `rrr warmup`.

The embedded model stands in for a pretrained instruct model, so these conversations show what one does. It answers
in haste: it stops before the last argument or after the first call, or slips elsewhere. Asked what went wrong, it is
mostly vague; sometimes it names the slip; rarely it goes through the query and says what it asks for. After a vague
reflection the retry is as hasty as before; after a worked one it follows the working. Every share is a named
constant here, and every row uses the `warmup` split's functions, which no other job sees.
"""

from __future__ import annotations

import copy
import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rrr_apigen import tiny
from rrr_apigen.generated import Call, Recipe, draw_row, functions
from rrr_apigen.generated.catalogue import PARAMETERS

Calls = list[dict[str, Any]]

EARLY_HASTY = {"hasty": 0.45, "right": 0.30, "slip": 0.25}
"""Shares of what a first attempt does in the first part of the lessons.

A call list that haste cannot cut short is right instead."""
HASTY = {"hasty": 0.60, "right": 0.22, "slip": 0.18}
"""Shares in the last part: haste is the most likely, so greedy decoding shows it too."""
HASTE_FROM = 0.76
"""Share of the lessons after which first attempts are hastier."""
HASTY_RETRY = {"hasty": 0.55, "right": 0.10, "slip": 0.35}
"""Shares of what a retry does without a worked reflection."""
SLIPS = {"function": 3, "left out": 3, "added": 2, "value": 3, "text": 1, "bracket": 1}
"""Weights of the slips, among those that are possible."""
REFLECTIONS = {"vague": 0.60, "named": 0.22, "worked": 0.18}
"""Shares of the kinds of reflection in the last part of the lessons."""
EARLY_REFLECTIONS = {"vague": 0.10, "named": 0.05, "worked": 0.85}
"""Shares in the first part, where the model learns to read queries."""
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


def choose(shares: Mapping[str, float], rng: random.Random) -> str:
    return rng.choices(list(shares), weights=list(shares.values()))[0]


def hasty(gold: Calls) -> Calls:
    """Only the first call if there are several, else the call without its last argument if it has several."""
    calls = copy.deepcopy(gold[:1])
    if len(gold) == 1 and len(calls[0]["arguments"]) > 1:
        calls[0]["arguments"].popitem()
    return calls


def slipped(gold: Calls, tools: Sequence[Mapping[str, Any]], rng: random.Random) -> str:
    """The gold calls' text with one slip somewhere."""
    calls = copy.deepcopy(gold)
    call = rng.choice(calls)
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
        while arguments[name] == (drawn := PARAMETERS[name].draw(rng)):
            pass
        arguments[name] = drawn
    elif kind == "text":
        arguments[name] = str(arguments[name])
    text = tiny.answer(calls)
    return text[:-1] if kind == "bracket" else text


def attempt(gold: Calls, tools: Sequence[Mapping[str, Any]], shares: Mapping[str, float], rng: random.Random) -> str:
    """An answer: right, in haste, or with a slip."""
    kind = choose(shares, rng)
    if kind == "slip":
        return slipped(gold, tools, rng)
    return tiny.answer(gold if kind == "right" else hasty(gold))


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
    """What the query asks for, in words and never as a call.

    >>> worked([{"name": "get_wind", "arguments": {"city": "Rome", "days": 5}}])
    'It asks to get wind: city is Rome, days is 5.'
    """
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


def reflection(gold: Calls, slip: str, shares: Mapping[str, float], rng: random.Random) -> tuple[str, str]:
    """A reflection's text and its kind: `vague`, `named` or `worked`."""
    kind = choose(shares, rng)
    if kind == "vague":
        return choose(VAGUE, rng), kind
    return f"{slip} {'I must do better.' if kind == 'named' else worked(gold)}", kind


def conversation(
    row: Mapping[str, Any],
    calls: Sequence[Call],
    haste: Mapping[str, float],
    kinds: Mapping[str, float],
    rng: random.Random,
) -> list[dict[str, str]]:
    """One worked conversation on a row: `haste` has the shares of first attempts, `kinds` those of reflections."""
    gold = [call.to_json() for call in calls]
    first = attempt(gold, row["tools"], haste, rng)
    messages = [{"role": "user", "content": tiny.prompt(row)}, {"role": "assistant", "content": first}]
    if slip := slip_in(gold, first):
        retry_shares: Mapping[str, float] = HASTY_RETRY
        if rng.random() >= NO_REFLECTION:
            words, kind = reflection(gold, slip, kinds, rng)
            messages += [{"role": "user", "content": tiny.REFLECTION}, {"role": "assistant", "content": words}]
            if kind == "worked":
                retry_shares = {"right": 1.0}
        retry = attempt(gold, row["tools"], retry_shares, rng)
        messages += [{"role": "user", "content": tiny.retry_prompt(row)}, {"role": "assistant", "content": retry}]
    return messages


def conversations(count: int, recipe: Recipe, seed: int = 0) -> Iterator[list[dict[str, str]]]:
    """`count` conversations in training order, those of similar length side by side."""
    rng = random.Random(f"warmup/{seed}")
    pool = functions("warmup")

    def each() -> Iterator[list[dict[str, str]]]:
        for index in range(count):
            haste = EARLY_HASTY if index < count * HASTE_FROM else HASTY
            kinds = EARLY_REFLECTIONS if index < count * EARLY_PART else REFLECTIONS
            yield conversation(*draw_row(pool, recipe, rng), haste, kinds, rng)

    yield from in_batches_alike(each(), rng)


def in_batches_alike(made: Iterator[list[dict[str, str]]], rng: random.Random) -> Iterator[list[dict[str, str]]]:
    """The same conversations: each block sorted by length, cut into batches, and the batches shuffled."""
    while block := list(itertools.islice(made, BLOCK)):
        block.sort(key=lambda messages: sum(len(message["content"]) for message in messages))
        batches = [block[start : start + ALIKE] for start in range(0, len(block), ALIKE)]
        rng.shuffle(batches)
        yield from itertools.chain.from_iterable(batches)
