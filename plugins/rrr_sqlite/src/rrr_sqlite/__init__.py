"""SQL: answer a question over a small SQLite database in a few steps. Only the hooks; the other modules do the work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rrr_core import DataOption, Example, Manifest, Model, Row, Step, Verdict, hookimpl
from rrr_sqlite import actions, examples, generated, judging, presets, prompts, row_check, rows, warmup
from rrr_sqlite.generated import Recipe

EMBEDDED_MODEL = Path(__file__).with_name("model")


@hookimpl
def rrr_load_dataset(split: str, options: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    return rows.load(split, options)


@hookimpl
def rrr_data_options() -> Iterable[DataOption]:
    return rows.OPTIONS


@hookimpl
def rrr_row(row: Row) -> Row:
    return row_check.own_row(row)


@hookimpl
def rrr_prompt(row: Row, model: Model) -> str:
    return prompts.prompt(row, model)


@hookimpl
def rrr_step(row: Row, action: str) -> Step:
    return actions.step(row, action)


@hookimpl
def rrr_verify(row: Row, answer: str) -> Verdict:
    return judging.verify(row, answer)


@hookimpl
def rrr_reflection_prompt(model: Model) -> str:
    return prompts.reflection_prompt(model)


@hookimpl
def rrr_retry_prompt(row: Row, model: Model) -> str | None:
    return prompts.retry_prompt(row, model)


@hookimpl
def rrr_examples() -> Iterable[Example]:
    return examples.examples()


@hookimpl
def rrr_warmup(count: int, seed: int) -> Iterator[list[dict[str, str]]]:
    return warmup.conversations(count, Recipe(), seed)


@hookimpl
def rrr_gold_answer(row: Row) -> str | None:
    return str(row["gold"])


@hookimpl
def rrr_final_answer(text: str) -> str | None:
    return actions.final_answer(text)


@hookimpl
def rrr_manifest() -> Manifest:
    from importlib.metadata import version  # imported here: it takes longer than the rest of this module

    return Manifest(
        summary="Answer a question over a small SQLite database with one query, in a few steps.",
        source="generated (or a file: --data source=…)",
        revision=f"rrr-sqlite {version('rrr-sqlite')}, rows {generated.VERSION}, seed 0",
        data_license="Apache-2.0",
        categories=judging.CATEGORIES,
    )


@hookimpl
def rrr_default_model() -> str | None:
    return str(EMBEDDED_MODEL) if (EMBEDDED_MODEL / "config.json").is_file() else None


@hookimpl
def rrr_presets(command: str) -> Mapping[str, Mapping[str, Any]] | None:
    return presets.PRESETS.get(command)
