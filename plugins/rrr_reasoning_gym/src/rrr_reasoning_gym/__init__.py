"""The procedural puzzles of reasoning-gym. Only the hooks, for all tasks; the other modules do the work.

`rrr_verify` and `rrr_reward` are not marked `@trusted`, and must not be: some of the scorers execute model text as
Python.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rrr_core import DataOption, Example, Manifest, Model, Row, Verdict, hookimpl
from rrr_reasoning_gym import about, answers, examples, gold, lessons, prompts, rows, scoring, upstream
from rrr_reasoning_gym.options import declared

EMBEDDED_MODEL = Path(__file__).with_name("model")
"""A tiny model that learned the lessons, and those of Countdown, APIGen and SQLite (docs/embedded-model.md)."""


@hookimpl
def rrr_load_dataset(task: str, split: str, options: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    return rows.load(upstream.dataset_of(task), split, options)


@hookimpl
def rrr_data_options(task: str) -> Iterable[DataOption]:
    return declared(upstream.dataset_of(task))


@hookimpl
def rrr_prompt(task: str, row: Row, model: Model) -> str:
    return prompts.prompt(upstream.dataset_of(task), row, model)


@hookimpl
def rrr_reflection_prompt(task: str, model: Model) -> str | None:
    return prompts.reflection_prompt(upstream.dataset_of(task), model)


@hookimpl
def rrr_retry_prompt(task: str, row: Row, model: Model) -> str | None:
    return prompts.retry_prompt(upstream.dataset_of(task), row, model)


@hookimpl
def rrr_verify(task: str, row: Row, answer: str) -> Verdict:
    return scoring.verify(upstream.dataset_of(task), row, answer)


@hookimpl
def rrr_reward(task: str, row: Row, answer: str, verdict: Verdict) -> float | None:
    return scoring.reward(upstream.dataset_of(task), row, answer, verdict)


@hookimpl
def rrr_examples(task: str) -> Iterable[Example]:
    return examples.examples(upstream.dataset_of(task))


@hookimpl
def rrr_warmup(task: str, count: int, seed: int) -> Iterator[list[dict[str, str]]]:
    return lessons.conversations(upstream.dataset_of(task), count, seed)


@hookimpl
def rrr_default_model(task: str) -> str | None:
    return str(EMBEDDED_MODEL) if upstream.dataset_of(task) in lessons.TAUGHT else None


@hookimpl
def rrr_gold_answer(task: str, row: Row) -> str | None:
    return gold.gold_text(upstream.dataset_of(task), row)


@hookimpl
def rrr_final_answer(text: str) -> str | None:
    return answers.final_answer(text)


@hookimpl
def rrr_manifest(task: str) -> Manifest:
    return about.manifest(upstream.dataset_of(task))
