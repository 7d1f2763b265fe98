"""Tasks written for inspect_ai as a task: `--data task=NAME`, one answer a sample."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from rrr_core import DataOption, Example, Manifest, Message, Row, Verdict, hookimpl
from rrr_core.errors import DataError
from rrr_core.row_files import rows_of_process
from rrr_inspect.options import DECLARED, SAMPLE, WRONG


@hookimpl
def rrr_load_dataset(task: str, split: str, options: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    given = {option.name: options.get(option.name, option.default) for option in DECLARED}
    if not given["task"].strip():
        raise DataError(f"{task}: --data task= names no task of inspect_ai.")
    try:
        arguments = json.loads(given["args"])
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        raise DataError(f"{task}: --data args={given['args'][:100]}: a JSON object is expected.")
    # A task may draw, print and download, none of which may happen where a model is trained.
    return rows_of_process("rrr_inspect.maker", {"split": split, **given, "args": arguments, "rrr_task": task})


@hookimpl
def rrr_data_options() -> Iterable[DataOption]:
    return DECLARED


@hookimpl
def rrr_prompt(row: Row) -> Sequence[Message]:
    messages: Sequence[Message] = row["messages"]
    return messages


@hookimpl
def rrr_verify(row: Row, answer: str) -> Verdict:
    from rrr_inspect import replay

    return replay.verify(row, answer)


@hookimpl
def rrr_gold_answer(row: Row) -> str | None:
    gold: str | None = row["gold"]
    return gold


@hookimpl
def rrr_examples() -> Iterable[Example]:
    """Answers to a sum of the task that comes with the plugin. This imports inspect_ai before workers are forked."""
    from rrr_inspect import maker

    row = next(maker.rows({"split": "train", "task": SAMPLE, "args": {}, "size": "9", "full": "1", "rrr_task": ""}))
    right = row["sample"]["target"]
    yield Example(row, right, "passed", reason="the sum")
    yield Example(row, f"{right}0", "failed", WRONG, "another number")
    yield Example(row, "", "failed", WRONG, "nothing was said")
    yield Example(row, "[" * 50_000, "failed", WRONG, "fifty thousand brackets", hostile=True)


@hookimpl
def rrr_manifest() -> Manifest:
    return Manifest(
        summary="A task written for inspect_ai, answered at once; what its scorers count as right passes",
        source="the task named by --data task",
        revision=f"inspect_ai {version('inspect_ai')}",
        data_license="NOASSERTION",
        categories=(WRONG,),
    )
