"""The benchmarks: lm-eval's tasks, the figure that counts, and the rows that local files must hold.

They are those of the paper (arXiv 2505.24726). MATH is `hendrycks_math`, which compares answers as texts: lm-eval's
other one parses what the model wrote as mathematics, which can take for ever and needs further packages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rrr_core.row_files.reading import Record, RowError, RowShape, listed


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark."""

    key: str
    title: str
    home: str
    """lm-eval's folder of its tasks."""
    subtasks: Mapping[str, str | None]
    """lm-eval's name → the `category` of its rows; None for all rows."""
    category: str | None
    """The column that says which subtask a row is of."""
    metric: str
    filter: str
    """lm-eval's name for how the answer is found in what the model wrote."""
    test_split: str
    example_split: str | None
    """Where the examples before an item come from; None if there are none."""
    shots: int
    """Examples before an item."""
    shape: RowShape
    parts: tuple[str, ...] = ()
    """The folders over which its repository on the hub spreads its files."""

    @property
    def splits(self) -> tuple[str, ...]:
        return (self.test_split, *([self.example_split] if self.example_split else []))


def _texts(*columns: str) -> Callable[[Record], dict[str, Any]]:
    def checked(record: Record) -> dict[str, Any]:
        for name in columns:
            if not isinstance(record[name], str):
                raise RowError(f"{name!r} must be a text, but is {record[name]!a:.60}")
        return {name: record[name] for name in columns}

    return checked


def _choices(record: Record, column: str, least: int, most: int) -> list[str]:
    found = record[column]
    if not isinstance(found, list | tuple) or not all(isinstance(each, str) for each in found):
        raise RowError(f"{column!r} must be a list of texts")
    if not least <= len(found) <= most:
        raise RowError(f"{column!r} must hold {least} to {most} texts, and has {len(found)}")
    return list(found)


LETTERS = "ABCDEFGHIJ"


def _mmlu_pro(record: Record) -> dict[str, Any]:
    row = _texts("question", "answer", "cot_content", "category")(record)
    row["options"] = _choices(record, "options", 2, len(LETTERS))
    if row["answer"] not in tuple(LETTERS[: len(row["options"])]):
        raise RowError(f"'answer' must be the letter of one of the {len(row['options'])} options")
    return row


def _hellaswag(record: Record) -> dict[str, Any]:
    row = _texts("ctx_a", "ctx_b", "activity_label")(record)
    row["endings"] = _choices(record, "endings", 2, 26)
    label = str(record["label"])
    if label not in map(str, range(len(row["endings"]))) or isinstance(record["label"], bool):
        raise RowError("'label' must be the place of one of the endings, from 0")
    return {**row, "label": label}


def _math(record: Record) -> dict[str, Any]:
    row = _texts("problem", "solution", "type")(record)
    # lm-eval fails with an assertion on a solution from which it cannot take the answer.
    _, boxed, last = row["solution"].rpartition("\\boxed")
    if "\\boxed " not in row["solution"] and not (boxed and last.startswith("{") and _closes(last)):
        raise RowError("'solution' must hold the answer as \\boxed{…}")
    return row


def _closes(text: str) -> bool:
    """Whether the first brace has its closing one."""
    depth = 0
    for mark in text:
        depth += (mark == "{") - (mark == "}")
        if mark == "}" and depth == 0:
            return True
    return False


_SUBJECTS = (
    *("biology", "business", "chemistry", "computer science", "economics", "engineering", "health", "history"),
    *("law", "math", "other", "philosophy", "physics", "psychology"),
)
_MATH = {
    "algebra": "Algebra",
    "counting_and_prob": "Counting & Probability",
    "geometry": "Geometry",
    "intermediate_algebra": "Intermediate Algebra",
    "num_theory": "Number Theory",
    "prealgebra": "Prealgebra",
    "precalc": "Precalculus",
}
_ALL = (
    Benchmark(
        key="mmlu_pro",
        title="MMLU-Pro",
        home="mmlu_pro",
        subtasks={f"mmlu_pro_{each.replace(' ', '_')}": each for each in _SUBJECTS},
        category="category",
        metric="exact_match",
        filter="custom-extract",
        test_split="test",
        example_split="validation",
        shots=5,
        shape=RowShape(("question", "options", "answer", "cot_content", "category"), _mmlu_pro),
    ),
    Benchmark(
        key="gsm8k",
        title="GSM8K",
        home="gsm8k",
        subtasks={"gsm8k": None},
        category=None,
        metric="exact_match",
        filter="flexible-extract",
        test_split="test",
        example_split="train",
        shots=5,
        shape=RowShape(("question", "answer"), _texts("question", "answer")),
        parts=("main",),
    ),
    Benchmark(
        key="hellaswag",
        title="HellaSwag",
        home="hellaswag",
        subtasks={"hellaswag": None},
        category=None,
        metric="acc_norm",
        filter="none",
        test_split="validation",
        example_split=None,
        shots=0,
        shape=RowShape(("ctx_a", "ctx_b", "activity_label", "endings", "label"), _hellaswag),
    ),
    Benchmark(
        key="math",
        title="MATH",
        home="hendrycks_math",
        subtasks={f"hendrycks_math_{name}": kind for name, kind in _MATH.items()},
        category="type",
        metric="exact_match",
        filter="none",
        test_split="test",
        example_split="train",
        # lm-eval's own default is none, and then few models write the bare answer that is compared.
        shots=4,
        shape=RowShape(("problem", "solution", "type"), _math),
        parts=(
            *("algebra", "counting_and_probability", "geometry", "intermediate_algebra", "number_theory"),
            *("prealgebra", "precalculus"),
        ),
    ),
)
BENCHMARKS: Mapping[str, Benchmark] = {each.key: each for each in _ALL}
"""By their names in options and files."""


def subtask_of(benchmark: Benchmark, row: Mapping[str, Any]) -> str | None:
    """The task of lm-eval that a row is an item of; None for an unknown category."""
    wanted = None if benchmark.category is None else row[benchmark.category]
    return next((name for name, category in benchmark.subtasks.items() if category == wanted), None)


def categories(benchmark: Benchmark) -> str:
    """The categories that rows may have, for an error."""
    return listed([repr(each) for each in benchmark.subtasks.values() if each is not None], "or")
