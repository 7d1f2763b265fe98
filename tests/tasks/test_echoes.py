"""What a step repeats of an action is the model's, and what is too long without it is the plugin's."""

from __future__ import annotations

import json

import pytest

from rrr_core.hookspecs import Call
from rrr_core.tasks.echoes import TIMES, is_echo

LIMIT = 1_000
WORDS = "".join(f"word {number}; " for number in range(120))
"""A long action, in which no part comes twice."""
OWN = "".join(f"wall {number}, " for number in range(120))
"""Words of an environment."""


@pytest.mark.parametrize(
    "text",
    [
        f"You said: {WORDS}",
        json.dumps({"you said": WORDS + "\n", "number": 3}),
        f"{WORDS}{WORDS}{WORDS}",
        f"Not a move: {WORDS[100:]}",
        OWN[:400] + WORDS + OWN[400:800],
    ],
    ids=["once", "in JSON", "three times", "a part", "within words of its own"],
)
def test_a_text_that_would_fit_without_the_action_is_its_echo(text: str) -> None:
    assert is_echo(text, LIMIT, WORDS)


def test_json_escapes_of_the_action_are_its_words() -> None:
    action = "\u00e9\n\U0001f600\t" * 100
    for ascii_only in (True, False):
        assert is_echo(json.dumps({"said": action}, ensure_ascii=ascii_only), 100, action)


def test_what_a_call_holds_is_the_models_too() -> None:
    call = Call("query", {"sql": WORDS, "deep": [{"key": OWN}]})
    assert is_echo(f"no such table: {WORDS}", LIMIT, "", [call])
    assert is_echo(f"no such table: {OWN}", LIMIT, "", [call])


@pytest.mark.parametrize(
    ("text", "action"),
    [
        (OWN, "look"),
        (OWN, WORDS),
        (OWN + WORDS, WORDS),
        ("-" * 1_200, "-" * 40),
        ("look" * 300, "look"),
        (WORDS * 40, WORDS),
    ],
    ids=[
        "a short action",
        "another text",
        "too long without it",
        "a board of what the action has",
        "short words",
        "multiplied",
    ],
)
def test_a_text_that_is_too_long_by_itself_is_none(text: str, action: str) -> None:
    assert not is_echo(text, LIMIT, action)


def test_an_action_counts_a_few_times_and_no_more() -> None:
    assert is_echo(WORDS * TIMES, LIMIT, WORDS)
    assert not is_echo(WORDS * (TIMES + 1), LIMIT, WORDS)
