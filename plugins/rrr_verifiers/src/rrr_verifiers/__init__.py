"""Task sets written for verifiers 0.4 as a task: `--data taskset=NAME`, one answer a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rrr_core import DataOption, Example, Manifest, Message, Row, Verdict, hookimpl
from rrr_verifiers import about, options, rows, scoring


@hookimpl
def rrr_load_dataset(task: str, split: str, options: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    return rows.load(task, split, options)


@hookimpl
def rrr_data_options() -> Iterable[DataOption]:
    return options.DECLARED


@hookimpl
def rrr_prompt(row: Row) -> Sequence[Message]:
    messages: Sequence[Message] = row["messages"]
    return messages


@hookimpl
def rrr_verify(row: Row, answer: str) -> Verdict:
    return scoring.verify(row, (answer,))


@hookimpl
def rrr_examples(task: str) -> Iterable[Example]:
    return about.examples(task)


@hookimpl
def rrr_manifest(task: str) -> Manifest:
    return about.manifest(task)
