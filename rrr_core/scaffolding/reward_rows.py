"""The rows of a reward function's data, and the answers that pass by what is in them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rrr_core.errors import DataError
from rrr_core.hookspecs import Message
from rrr_core.rewards import NoReward
from rrr_core.row_files import PlacedRow, Record, RowError, RowShape, read_rows

PROMPTS = ("prompt", "question")
"""The columns that a prompt may be in; the first that is there counts."""
LIKELY = ("answer", "solution", "ground_truth", "target", "gold", "label", "expected")
"""Columns that a right answer may be in, tried before the others."""
FORMS: dict[str, tuple[str, str]] = {
    "bare": ("", ""),
    "in answer tags": ("<answer>", "</answer>"),
    "in answer tags after a thought": ("<think>\nI think.\n</think>\n<answer>\n", "\n</answer>"),
    "in a box": ("\\boxed{", "}"),
    "after hashes": ("#### ", ""),
    "after 'Answer:'": ("Answer: ", ""),
}
"""How a right answer may be written → what comes before it and after it."""
PARTS: dict[str, tuple[str, Callable[[str], str]]] = {
    "": ("str(row[{column}])", str),
    ", after its ####": (
        'str(row[{column}]).rpartition("####")[2].strip()',
        lambda text: text.rpartition("####")[2].strip() if "####" in text else "",
    ),
}
"""Which part of a column's value it may be → the Python that takes it from a row, and the function that does."""
TRIED_FIRST, TRIED_ROWS, TRIED_SECONDS = 3, 100, 10.0
TEST_SHARE = 10
"""One prompt in so many is a test row's."""
NO_ANSWER = "I do not know."
Rows = list[dict[str, Any]]
Check = Callable[[Sequence[PlacedRow]], None]
"""What raises for the rows of a split, with their places, that a function cannot judge."""


@dataclass(frozen=True, slots=True)
class Form:
    """A way to write a right answer from what a row holds."""

    column: str
    part: str
    form: str

    def answer(self, row: Mapping[str, Any]) -> str:
        """The answer; empty where the row has none."""
        value = row.get(self.column)
        text = PARTS[self.part][1](str(value)) if isinstance(value, str | int | float) else ""
        before, after = FORMS[self.form]
        return before + text + after if text else ""

    @property
    def code(self) -> str:
        """A Python expression for it, of `row`."""
        before, after = map(_literal, FORMS[self.form])
        inner = PARTS[self.part][0].format(column=_literal(self.column))
        return " + ".join(each for each in (before, inner, after) if each != '""')

    def __str__(self) -> str:
        return f"the column {self.column!a}{self.part}, {self.form}"


@dataclass
class Trial:
    """What came of the texts that were tried."""

    form: Form | None = None
    """The way that passes for the most rows; None if no text passed."""
    passed: int = 0
    tried: int = 0
    """Rows that it was tried on."""
    highest: float | None = None
    """The highest reward of all texts."""
    fault: BaseException | None = None
    """The first exception."""
    faulty: dict[str, Any] = field(default_factory=dict)
    """The row that it was raised on."""
    gave_none: bool = False
    """Whether the function gave None for some of them."""
    columns: dict[str, str] = field(default_factory=dict)
    """The columns that answers were written from → the type of their first value."""
    right: Rows = field(default_factory=list)
    """The rows that it passes for."""


def read_data(path: Path, check: Check | None = None) -> tuple[Rows, Rows]:
    """The rows of `train` and of `test`: a folder's own splits, or a tenth of a file's prompts for test.

    Raises DataError for a file that cannot be read, a row without a prompt, and too few prompts to split; and what
    `check` raises.
    """
    if path.is_dir():
        return _rows(path, "train", check), _rows(path, "test", check)
    rows = _rows(path, "", check)
    prompts = sorted({_key(row) for row in rows}, key=lambda key: hashlib.sha256(key.encode()).digest())
    if len(prompts) < 2:
        raise DataError(f"{path}: {len(prompts)} different prompts, and a train and a test split need one each.")
    tests = set(prompts[: max(1, len(prompts) // TEST_SHARE)])
    return [row for row in rows if _key(row) not in tests], [row for row in rows if _key(row) in tests]


def prompt_column(rows: Sequence[Mapping[str, Any]]) -> str:
    """The column of the prompts, which every row has."""
    return next(name for name in PROMPTS if all(name in row for row in rows))


def tried(score: Callable[[dict[str, Any], str], float], threshold: float, rows: Rows) -> Trial:
    """Try to write right answers from the rows' columns, and keep the way that the function likes best."""
    trial = Trial()
    end = time.monotonic() + TRIED_SECONDS

    def passes(form: Form, row: dict[str, Any]) -> bool:
        text = form.answer(row)
        if not text:
            return False
        trial.columns.setdefault(form.column, type(row[form.column]).__name__)
        return reaches(text, row)

    def reaches(text: str, row: dict[str, Any]) -> bool:
        try:
            reward = score(json.loads(json.dumps(row)), text)
        except KeyboardInterrupt:
            raise
        except NoReward:
            trial.gave_none = True
            return False
        except BaseException as error:  # noqa: BLE001 - the user's own function, whose fault is reported
            if trial.fault is None:
                trial.fault, trial.faulty = error, row
            return False
        trial.highest = reward if trial.highest is None else max(trial.highest, reward)
        return reward >= threshold

    first = rows[:TRIED_FIRST]
    scores: dict[Form, int] = {}
    for form in _forms(first):
        scores[form] = sum(passes(form, row) for row in first)
        if scores[form] == len(first) or time.monotonic() > end:
            break
    if not trial.columns:
        for row in first:
            reaches(NO_ANSWER, row)  # Otherwise the function would not be called at all.
    if not any(scores.values()):
        return trial
    trial.form = max(scores, key=lambda form: scores[form])
    for row in rows[:TRIED_ROWS]:
        trial.tried += 1
        if passes(trial.form, row):
            trial.passed += 1
            trial.right.append(row)
        if time.monotonic() > end:
            break
    return trial


def examples_of(trial: Trial, rows: Rows) -> Iterator[dict[str, Any]]:
    """Examples for the package, as keyword arguments of Example; no passing one if no text passed."""
    row = trial.right[0] if trial.right else rows[0]
    if trial.form is not None and trial.right:
        yield {"row": row, "answer": trial.form.answer(row), "outcome": "passed", "reason": str(trial.form)}
    yield {"row": row, "answer": NO_ANSWER, "outcome": "failed", "category": "low reward", "reason": "no answer"}
    yield {"row": row, "answer": "", "outcome": "failed", "category": "low reward", "reason": "nothing was said"}


def _forms(rows: Sequence[Mapping[str, Any]]) -> Iterator[Form]:
    columns = [name for name in dict.fromkeys([*LIKELY, *rows[0]]) if name in rows[0] and name not in PROMPTS]
    for column in columns:
        for part in PARTS:
            yield from (Form(column, part, form) for form in FORMS)


def _rows(path: Path, split: str, check: Check | None) -> Rows:
    placed = list(read_rows(path, RowShape(columns=(), checked=_checked, optional=_columns(path)), split))
    if not placed:
        raise DataError(f"{path}: no rows{f' for the split {split!r}' if split else ''}.")
    if check is not None:
        check(placed)
    return [row for _, row in placed]


def _columns(path: Path) -> tuple[str, ...]:
    """The columns of a Parquet file, of which only those named are read."""
    if path.suffix != ".parquet" or not path.is_file():
        return ()
    try:
        from pyarrow import parquet
    except ModuleNotFoundError:
        return ()  # Its reader says what is missing.
    return tuple(parquet.read_schema(path).names)


def _checked(record: Record) -> dict[str, Any]:
    name = next((each for each in PROMPTS if record.get(each)), None)
    if name is None:
        raise RowError(f"it has no {' or '.join(PROMPTS)}")
    check_prompt(record[name])
    return dict(record)


def check_prompt(prompt: Any) -> None:
    """Raise RowError unless a prompt is a text, or messages of role and content that end with the user's."""
    if isinstance(prompt, str) and prompt.strip():
        return
    if not isinstance(prompt, list) or not all(_is_message(each) for each in prompt):
        raise RowError("its prompt is neither a text nor a list of messages with role and content, both texts")
    if prompt[-1]["role"] != "user":
        raise RowError(f"its last message is the {prompt[-1]['role']}'s, not the user's")


def _is_message(each: Any) -> bool:
    fields: Message = each if isinstance(each, dict) else {}
    return set(fields) == {"role", "content"} and all(isinstance(text, str) and text for text in fields.values())


def _key(row: Mapping[str, Any]) -> str:
    """What two rows of one split share."""
    prompt = next(row[name] for name in PROMPTS if row.get(name))
    return json.dumps(prompt, sort_keys=True)


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
