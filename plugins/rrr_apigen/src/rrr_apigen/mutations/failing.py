"""Mutations that change a right answer so that it must fail."""

from __future__ import annotations

import json
import random

from rrr_apigen.mutations.places import (
    Calls,
    Mutate,
    is_boolean,
    is_number,
    is_text,
    replace,
    rewritten,
    some,
    with_arguments,
)

MUST_FAIL: dict[str, Mutate] = {}


def must_fail(mutate: Mutate) -> Mutate:
    """Register a change that no verifier may accept."""
    MUST_FAIL[mutate.__name__.replace("_", " ")] = mutate
    return mutate


@must_fail
def call_dropped(calls: Calls, rng: random.Random) -> str | None:
    if not calls:
        return None
    calls.pop(rng.randrange(len(calls)))
    return json.dumps(calls)


@must_fail
def call_repeated(calls: Calls, rng: random.Random) -> str | None:
    return json.dumps([*calls, rng.choice(calls)]) if calls else None


@must_fail
def call_made_up(calls: Calls, rng: random.Random) -> str | None:
    calls.insert(rng.randint(0, len(calls)), {"name": "made_up", "arguments": {}})
    return json.dumps(calls)


@must_fail
def function_renamed(calls: Calls, rng: random.Random) -> str | None:
    if not calls:
        return None
    rng.choice(calls)["name"] += "_"
    return json.dumps(calls)


@must_fail
def function_in_another_case(calls: Calls, rng: random.Random) -> str | None:
    call = some(calls, rng, lambda call: call["name"].swapcase() != call["name"])
    if call is None:
        return None
    call["name"] = call["name"].swapcase()
    return json.dumps(calls)


@must_fail
def argument_dropped(calls: Calls, rng: random.Random) -> str | None:
    call = with_arguments(calls, rng)
    if call is None:
        return None
    del call["arguments"][rng.choice(list(call["arguments"]))]
    return json.dumps(calls)


@must_fail
def argument_added(calls: Calls, rng: random.Random) -> str | None:
    if not calls:
        return None
    arguments = rng.choice(calls)["arguments"]
    arguments["made_up" + "_" * len(arguments.keys())] = rng.choice([None, 0, "", False])
    return json.dumps(calls)


@must_fail
def argument_renamed(calls: Calls, rng: random.Random) -> str | None:
    call = with_arguments(calls, rng)
    if call is None:
        return None
    name = rng.choice(list(call["arguments"]))
    call["arguments"][name + "_"] = call["arguments"].pop(name)
    return json.dumps(calls)


@must_fail
def value_emptied(calls: Calls, rng: random.Random) -> str | None:
    return replace(calls, rng, lambda value: value is not None, lambda _: None)


@must_fail
def value_in_an_array(calls: Calls, rng: random.Random) -> str | None:
    return replace(calls, rng, lambda _: True, lambda value: [value])


@must_fail
def values_exchanged(calls: Calls, rng: random.Random) -> str | None:
    call = some(calls, rng, lambda call: len({json.dumps(value) for value in call["arguments"].values()}) > 1)
    if call is None:
        return None
    arguments = call["arguments"]
    name = rng.choice(list(arguments))
    others = [other for other in arguments if arguments[other] != arguments[name]]
    if not others:
        return None
    other = rng.choice(others)
    arguments[name], arguments[other] = arguments[other], arguments[name]
    return json.dumps(calls)


@must_fail
def number_one_more(calls: Calls, rng: random.Random) -> str | None:
    return replace(calls, rng, lambda value: is_number(value) and value + 1 != value, lambda value: value + 1)


@must_fail
def number_negated(calls: Calls, rng: random.Random) -> str | None:
    return replace(calls, rng, lambda value: is_number(value) and value != 0, lambda value: -value)


@must_fail
def number_a_hair_off(calls: Calls, rng: random.Random) -> str | None:
    return rewritten(calls, rng, lambda text: f"{text}{'' if '.' in text else '.'}{'0' * 30}1")


@must_fail
def number_ten_times(calls: Calls, rng: random.Random) -> str | None:
    return rewritten(calls, rng, lambda text: f"{text}e1", lambda value: value != 0)


@must_fail
def digit_changed(calls: Calls, rng: random.Random) -> str | None:
    def change(text: str) -> str:
        place = rng.choice([index for index, letter in enumerate(text) if letter.isdigit()])
        # The first digit may not become zero: JSON has no leading zeros, and -0 is 0.
        digits = set("0123456789" if place and text[place - 1] not in "-" else "123456789") - {text[place]}
        return text[:place] + rng.choice(sorted(digits)) + text[place + 1 :]

    return rewritten(calls, rng, change)


@must_fail
def number_as_a_string(calls: Calls, rng: random.Random) -> str | None:
    return replace(calls, rng, is_number, json.dumps)


@must_fail
def boolean_turned(calls: Calls, rng: random.Random) -> str | None:
    return replace(calls, rng, is_boolean, lambda value: not value)


@must_fail
def boolean_as_a_number(calls: Calls, rng: random.Random) -> str | None:
    return replace(calls, rng, is_boolean, int)


@must_fail
def boolean_as_a_string(calls: Calls, rng: random.Random) -> str | None:
    return replace(calls, rng, is_boolean, json.dumps)


@must_fail
def string_in_another_case(calls: Calls, rng: random.Random) -> str | None:
    return replace(
        calls, rng, lambda value: is_text(value) and value.swapcase() != value, lambda value: value.swapcase()
    )


@must_fail
def string_with_a_blank_more(calls: Calls, rng: random.Random) -> str | None:
    return replace(calls, rng, is_text, lambda value: rng.choice([f"{value} ", f" {value}"]))


@must_fail
def string_with_a_letter_less(calls: Calls, rng: random.Random) -> str | None:
    def drop(value: str) -> str:
        place = rng.randrange(len(value))
        return value[:place] + value[place + 1 :]

    return replace(calls, rng, is_text, drop)


@must_fail
def string_with_a_mark_that_nobody_sees(calls: Calls, rng: random.Random) -> str | None:
    return replace(calls, rng, is_text, lambda value: value + rng.choice("\u200b\u200f\u2060\ufeff"))


@must_fail
def array_turned_round(calls: Calls, rng: random.Random) -> str | None:
    return replace(
        calls, rng, lambda value: isinstance(value, list) and value[::-1] != value, lambda value: value[::-1]
    )


@must_fail
def array_one_shorter(calls: Calls, rng: random.Random) -> str | None:
    return replace(calls, rng, lambda value: isinstance(value, list) and value != [], lambda value: value[:-1])


@must_fail
def array_one_longer(calls: Calls, rng: random.Random) -> str | None:
    return replace(
        calls, rng, lambda value: isinstance(value, list) and value != [], lambda value: [*value, rng.choice(value)]
    )


@must_fail
def key_twice(calls: Calls, rng: random.Random) -> str | None:
    call = with_arguments(calls, rng)
    if call is None:
        return None
    arguments = json.dumps(call["arguments"])
    name, value = rng.choice(list(call["arguments"].items()))
    twice = f"{arguments[:-1]}, {json.dumps(name)}: {json.dumps(value)}}}"
    return json.dumps(calls).replace(arguments, twice, 1)


@must_fail
def arguments_in_a_string(calls: Calls, rng: random.Random) -> str | None:
    if not calls:
        return None
    call = rng.choice(calls)
    call["arguments"] = json.dumps(call["arguments"])
    return json.dumps(calls)


@must_fail
def key_more_in_a_call(calls: Calls, rng: random.Random) -> str | None:
    if not calls:
        return None
    rng.choice(calls)["id"] = 0
    return json.dumps(calls)


@must_fail
def answer_cut(calls: Calls, rng: random.Random) -> str | None:
    text = json.dumps(calls)
    return text[: rng.randrange(len(text))]


@must_fail
def answer_twice(calls: Calls, _: random.Random) -> str | None:
    return f"```\n{json.dumps(calls)}\n```\n" * 2


@must_fail
def answer_in_a_thought_alone(calls: Calls, _: random.Random) -> str | None:
    return f"<think>{json.dumps(calls)}</think>"


@must_fail
def prose_after_the_array(calls: Calls, _: random.Random) -> str | None:
    return f"{json.dumps(calls)} That is it."
