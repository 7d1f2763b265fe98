"""Countdown: reach the target with every number used exactly once. Only the hooks; the other modules do the work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rrr_core import DataOption, Example, Manifest, Message, Model, Row, Verdict, hookimpl, trusted
from rrr_countdown import equations, examples, gold, presets, prompts, row_check, rows, warmup
from rrr_countdown.generated import Recipe

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
def rrr_prompt(row: Row, model: Model) -> Sequence[Message]:
    return prompts.prompt(row, model)


@hookimpl
@trusted
def rrr_verify(row: Row, answer: str) -> Verdict:
    return equations.verify(row, answer)


@hookimpl
def rrr_reflection_prompt(model: Model) -> str:
    return prompts.reflection_prompt(model)


@hookimpl
def rrr_examples() -> Iterable[Example]:
    return examples.examples()


@hookimpl
def rrr_warmup(count: int, seed: int) -> Iterator[list[dict[str, str]]]:
    return warmup.conversations(count, prompts.tiny_turns, Recipe(), seed)


@hookimpl
def rrr_gold_answer(row: Row) -> str | None:
    return gold.gold_answer(tuple(row["nums"]), row["target"])


@hookimpl
def rrr_final_answer(text: str) -> str | None:
    return equations.left_side(text)


@hookimpl
def rrr_worked_reflection(row: Row, attempt: str) -> str | None:
    return warmup.written(list(row["nums"]), row["target"], attempt)


@hookimpl
def rrr_manifest() -> Manifest:
    from importlib.metadata import version  # imported here: it takes longer than the rest of this module

    return Manifest(
        summary="Reach a target number by arithmetic that uses each given number exactly once.",
        source="generated (or Jiayi-Pan/Countdown-Tasks-3to4, or a file: --data source=…)",
        revision=f"rrr-countdown {version('rrr-countdown')}, seed 0",
        data_license="Apache-2.0",
        categories=(equations.INVALID, equations.WRONG_NUMBERS, equations.MISSED),
    )


@hookimpl
def rrr_default_model() -> str | None:
    return str(EMBEDDED_MODEL) if (EMBEDDED_MODEL / "config.json").is_file() else None


@hookimpl
def rrr_presets(command: str) -> Mapping[str, Mapping[str, Any]] | None:
    return presets.PRESETS.get(command)
