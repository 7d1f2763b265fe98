"""Mutations that rewrite a right answer, which must still pass."""

from __future__ import annotations

import json
import random
import re
from typing import Any

from rrr_apigen.mutations.places import Calls, Mutate, rewritten

MUST_PASS: dict[str, Mutate] = {}


def must_pass(mutate: Mutate) -> Mutate:
    """Register a change that no verifier may refuse."""
    MUST_PASS[mutate.__name__.replace("_", " ")] = mutate
    return mutate


@must_pass
def as_it_is(calls: Calls, _: random.Random) -> str | None:
    return json.dumps(calls)


@must_pass
def letters_as_they_are(calls: Calls, _: random.Random) -> str | None:
    return json.dumps(calls, ensure_ascii=False)


@must_pass
def every_letter_escaped(calls: Calls, _: random.Random) -> str | None:
    def escape(match: re.Match[str]) -> str:
        text = json.loads(match[0]).encode("utf-16-be", "surrogatepass")
        return '"' + "".join(f"\\u{text[at]:02x}{text[at + 1]:02X}" for at in range(0, len(text), 2)) + '"'

    return re.sub(r'"(?:[^"\\]|\\.)*"', escape, json.dumps(calls))


@must_pass
def spaces_everywhere(calls: Calls, rng: random.Random) -> str | None:
    def space(match: re.Match[str]) -> str:
        return match[0] if match[0][0] == '"' else rng.choice(" \t\n\r") + match[0] + rng.choice(["", " \r\n\t"])

    return re.sub(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]', space, json.dumps(calls))


@must_pass
def no_spaces(calls: Calls, _: random.Random) -> str | None:
    return json.dumps(calls, separators=(",", ":"))


@must_pass
def keys_in_another_order(calls: Calls, rng: random.Random) -> str | None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            items = list(value.items())
            rng.shuffle(items)
            return {key: shuffled(item) for key, item in items}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    return json.dumps([shuffled(call) for call in calls])


@must_pass
def calls_in_another_order(calls: Calls, rng: random.Random) -> str | None:
    rng.shuffle(calls)
    return json.dumps(calls)


@must_pass
def number_with_zeros_after_its_point(calls: Calls, rng: random.Random) -> str | None:
    return rewritten(calls, rng, lambda text: f"{text}{'000' if '.' in text else '.000'}")


@must_pass
def number_with_an_exponent(calls: Calls, rng: random.Random) -> str | None:
    def shift(text: str) -> str:
        power = rng.randint(1, 5)
        whole, _, fraction = text.partition(".")
        fraction = fraction.ljust(power, "0")
        sign, digits = ("-", whole[1:]) if whole[0] == "-" else ("", whole)
        moved = (digits + fraction[:power]).lstrip("0") or "0"
        return f"{sign}{moved}.{fraction[power:] or '0'}{rng.choice('eE')}-{power}"

    return rewritten(calls, rng, shift)


@must_pass
def in_a_fence(calls: Calls, rng: random.Random) -> str | None:
    return f"Here:\n```{rng.choice(['', 'json'])}\n{json.dumps(calls, indent=rng.choice([None, 2]))}\n```\nThat is it."


@must_pass
def in_a_block_for_each_call(calls: Calls, _: random.Random) -> str | None:
    return "\n".join(f"<tool_call>\n{json.dumps(call)}\n</tool_call>" for call in calls) or None


@must_pass
def in_tags(calls: Calls, rng: random.Random) -> str | None:
    opening, closing = rng.choice(
        [("<tool_call>", "</tool_call>"), ("<|tool_call|>", "<|/tool_call|>"), ("<|python_tag|>", "")]
    )
    return f"{opening}{json.dumps(calls)}{closing}"


@must_pass
def after_a_thought(calls: Calls, _: random.Random) -> str | None:
    thought = json.dumps(calls[1:])
    return None if "</think>" in thought else f"<think>\nPerhaps {thought}?\n</think>\n\n{json.dumps(calls)}"
