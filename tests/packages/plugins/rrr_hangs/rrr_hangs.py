"""A task with a verifier that hangs on every word."""

from collections.abc import Iterator
from typing import Any

from rrr_core import Example, Manifest, failed, hookimpl, passed
from rrr_core.hookspecs import Row
from rrr_core.verdicts import Verdict


@hookimpl
def rrr_load_dataset(split: str) -> Iterator[dict[str, Any]]:
    first = {"train": 0, "test": 1000}[split]
    return ({"number": number} for number in range(first, first + 300))


@hookimpl
def rrr_prompt(row: Row) -> str:
    return f"What comes after {row['number']}?"


@hookimpl
def rrr_verify(row: Row, answer: str) -> Verdict:
    while answer.isalpha():
        pass
    return passed() if answer.strip() == str(row["number"] + 1) else failed("wrong")


@hookimpl
def rrr_gold_answer(row: Row) -> str:
    return str(row["number"] + 1)


@hookimpl
def rrr_examples() -> Iterator[Example]:
    yield Example({"number": 4}, "5", "passed")
    yield Example({"number": 4}, "4", "failed", "wrong")
    yield Example({"number": 4}, "", "failed", "wrong")
    yield Example({"number": 4}, "9" * 10_000, "failed", "wrong", hostile=True)


@hookimpl
def rrr_manifest() -> Manifest:
    return Manifest("Say the next number.", "generated", "1.0", "CC0-1.0", ("wrong",))
