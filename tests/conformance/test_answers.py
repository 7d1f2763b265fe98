"""The answers that every verifier is given."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rrr_core.conformance.answers import MALFORMED, hostile_answers, hostile_corpus


@pytest.mark.parametrize(
    "text",
    [
        "9**9**9",
        "__import__('os').system('true')",
        "NaN",
        "\ud800",
        "[" * 100_000,
        " " * 1_000_000,
        "<answer>" * 20_000,
        "(a+)+$",
    ],
    ids=ascii,
)
def test_the_corpus_holds_what_breaks_verifiers(text: str) -> None:
    assert text in hostile_answers().values()


def test_short_hostile_answers_are_also_tried_where_verifiers_look() -> None:
    corpus = set(hostile_corpus().values())
    assert {"<answer>9**9**9</answer>", "```\n9**9**9\n```", "\\boxed{9**9**9}"} <= corpus


def test_no_two_names_are_for_the_same_answer() -> None:
    assert len(set(hostile_answers().values())) == len(hostile_answers())
    assert len(set(MALFORMED.values())) == len(MALFORMED)


def test_the_answers_are_the_same_in_every_process() -> None:
    code = "from rrr_core.conformance.answers import *; print(hash(tuple({**MALFORMED, **hostile_corpus()}.items())))"
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": "5", "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for _ in range(2)
    }
    assert len(said) == 1
