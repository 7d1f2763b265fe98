"""APIGen: answer a query with exactly the right function calls. Only the hooks; the other modules do the work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rrr_apigen import calls, differences, examples, generated, presets, prompts, row_shape, rows, tiny, warmup
from rrr_apigen.generated import Recipe
from rrr_core import DataOption, Example, Manifest, Message, Model, Row, Verdict, hookimpl, trusted

EMBEDDED_MODEL = Path(__file__).with_name("model")


@hookimpl
def rrr_load_dataset(split: str, options: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    return rows.load(split, options)


@hookimpl
def rrr_data_options() -> Iterable[DataOption]:
    return rows.OPTIONS


@hookimpl
def rrr_row(row: Row) -> Row:
    return row_shape.own_row(row)


@hookimpl
def rrr_prompt(row: Row, model: Model) -> Sequence[Message]:
    return prompts.prompt(row, model)


@hookimpl
@trusted
def rrr_verify(row: Row, answer: str) -> Verdict:
    return calls.verify(row, answer)


@hookimpl
def rrr_reflection_prompt(model: Model) -> str:
    return prompts.reflection_prompt(model)


@hookimpl
def rrr_retry_prompt(row: Row, model: Model) -> str | None:
    return prompts.retry_prompt(row, model)


@hookimpl
def rrr_examples() -> Iterable[Example]:
    return examples.EXAMPLES


@hookimpl
def rrr_warmup(count: int, seed: int) -> Iterator[list[dict[str, str]]]:
    return warmup.conversations(count, Recipe(), seed)


@hookimpl
def rrr_gold_answer(row: Row) -> str | None:
    return tiny.answer(row["answers"])


@hookimpl
def rrr_final_answer(text: str) -> str | None:
    return calls.final_answer(text)


@hookimpl
def rrr_worked_reflection(row: Row, attempt: str) -> str | None:
    return warmup.written(row["answers"], calls.final_answer(attempt) or "")


@hookimpl
def rrr_manifest() -> Manifest:
    from importlib.metadata import version  # imported here: it takes longer than the rest of this module

    return Manifest(
        summary="Answer a query with exactly the right calls of the functions on offer, as JSON.",
        source="generated (or Salesforce/xlam-function-calling-60k, or a file: --data source=…)",
        revision=f"rrr-apigen {version('rrr-apigen')}, rows {generated.VERSION}, seed 0",
        data_license="Apache-2.0",
        categories=(
            calls.FORMAT,
            differences.TOOL_CHOICE,
            differences.PARAMETER_NAMES,
            differences.PARAMETER_VALUES,
        ),
    )


@hookimpl
def rrr_default_model() -> str | None:
    return str(EMBEDDED_MODEL) if (EMBEDDED_MODEL / "config.json").is_file() else None


@hookimpl
def rrr_presets(command: str) -> Mapping[str, Mapping[str, Any]] | None:
    return presets.PRESETS.get(command)
