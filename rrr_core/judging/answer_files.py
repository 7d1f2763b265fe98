"""Judges answers from a file or a pipe as they arrive: the JSON lines of `rrr verify`."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NoReturn, Protocol

from rrr_core.answering import play_answers
from rrr_core.chat.marks import THINK, Marks, generation_of
from rrr_core.episode import Episode, Generation, Segment
from rrr_core.episode.calls import calls_from_json
from rrr_core.errors import DataError, nearest
from rrr_core.hookspecs import Action, Row
from rrr_core.tasks.course_values import checked_calls
from rrr_core.text import one_line
from rrr_core.verdicts import Verdict
from rrr_core.verification import Judge

KEYS = ("row", "answer")
"""The exact keys of each line."""
COURSE_KEYS = ("row", "actions")
"""Those of a line that plays a course, for a task that acts in steps."""
Given = str | tuple[str | Action, ...]
"""An answer, or the actions of a course."""
CHUNK = 1 << 18
"""Most bytes to read at once."""
BATCHES = (16, 4096)
"""Smallest and largest batch of answers."""
PATIENCE = 0.5
"""Seconds a batch may take; if one takes longer, the next is smaller."""


class Source(Protocol):
    """A binary file whose `read1` returns what is available, up to a size, without waiting for more."""

    def read1(self, size: int, /) -> bytes: ...


def judge_file(
    source: Source,
    name: str,
    judge: Judge,
    write: Callable[[str], None],
    limit: Judge,
    marks: Marks | None = THINK,
) -> Counter[str]:
    """Judge each line of `source` and `write` one line for it, in order. Returns outcome → count.

    Answers are split at `marks`: the verifier sees no thought. Where a task acts in steps, a line may have `actions` in
    place of an answer: they are played, and the answer that they come to is judged.

    Lines are written batch by batch and then dropped from memory. `limit` is checked only after a batch is written, so
    no verdict is lost when it raises TooManyAbstentions. Rows may be as published or as the task gives them. Raises
    DataError naming `name` and the line for one that is not `{"row": {…}, "answer": "…"}`, and for a row that is none
    of the task's, after writing the verdicts of all lines before it.
    """
    outcomes: Counter[str] = Counter()
    own_row = judge.task.row if judge.task.implements("rrr_row") else as_it_is
    for batch in _paced(read_answers(source, name, own_row, judge.task.has_steps)):
        texts = [(row, generation_of(given, marks)) for row, given in batch if isinstance(given, str)]
        judged = iter(judge.judge_written(texts))
        verdicts = [
            next(judged) if isinstance(given, str) else _course_verdict(judge, row, given, marks)
            for row, given in batch
        ]
        write("".join(f"{verdict_line(verdict)}\n" for verdict in verdicts))
        outcomes.update(verdict.outcome for verdict in verdicts)
        limit.recall(len(verdicts), [verdict for verdict in verdicts if verdict.is_abstained])
        if limit.judged >= limit.minimum:
            limit.finish()
    limit.finish()
    return outcomes


def _course_verdict(judge: Judge, row: Row, actions: tuple[str | Action, ...], marks: Marks | None) -> Verdict:
    """The verdict on a course of these actions, as in a run with as many steps; what follows its end is not played."""
    to_play = iter(actions)

    def next_action(_stage: str, _episodes: Sequence[Episode]) -> list[Generation]:
        action = next(to_play)
        if isinstance(action, str):
            return [generation_of(action, marks)]
        return [replace(generation_of(action.text, marks), calls=action.calls)]

    asked = Episode(0, row, (Segment("prompt"),))
    (played,) = play_answers(judge.task, judge, "attempt", [asked], next_action, "", len(actions))
    return played.verdict


def _paced(
    batches: Iterable[list[tuple[Row, Given]]], clock: Callable[[], float] = time.monotonic
) -> Iterator[list[tuple[Row, Given]]]:
    """The same answers in batches sized to take about `PATIENCE` seconds at most, going by the batches before.

    Large batches save a fast verifier's workers messages; small ones let a slow verifier's verdicts appear early.
    """
    fewest, most = BATCHES
    size = fewest
    for batch in batches:
        start = 0
        while start < len(batch):
            began = clock()
            part = batch[start : start + size]
            yield part
            start += len(part)
            if clock() - began > PATIENCE:
                size = max(fewest, size // 4)
            elif len(part) == size:
                size = min(most, size * 2)


def verdict_record(verdict: Verdict) -> dict[str, str]:
    """A verdict as a JSON object, as `rrr verify` writes it."""
    return {"verdict": verdict.outcome, "category": verdict.category, "detail": verdict.detail}


def verdict_line(verdict: Verdict) -> str:
    r"""A verdict as one line of ASCII, whatever its texts contain.

    >>> verdict_line(Verdict("failed", "wrong numbers", "7 × \ud800"))
    '{"verdict": "failed", "category": "wrong numbers", "detail": "7 \\u00d7 \\ud800"}'
    """
    return json.dumps(verdict_record(verdict))


def as_it_is(row: Row, place: str) -> Row:  # noqa: ARG001 - as `Task.row` takes it
    """The row, unchanged."""
    return row


def read_answers(
    source: Source, name: str, own_row: Callable[[Row, str], Row] = as_it_is, has_steps: bool = False
) -> Iterator[list[tuple[Row, Given]]]:
    """The (row, answer) pairs of a source, batched by what is available so as not to wait for a slow writer.

    `own_row` turns a row and its place into the task's own row. With `has_steps`, actions may take an answer's place.
    Raises DataError at the first invalid line, after
    yielding the lines before it.
    """
    number = 0
    for lines in _lines(source):
        batch: list[tuple[Row, Given]] = []
        broken = None
        for line in lines:
            number += 1
            try:
                place = f"{name}:{number}"
                row, given = _answer(line, place, is_first=number == 1, has_steps=has_steps)
                batch.append((own_row(row, place), given))
            except DataError as error:
                broken = error
                break
        if batch:
            yield batch
        if broken is not None:
            raise broken


def _lines(source: Source) -> Iterator[list[bytes]]:
    """Complete lines without their newlines, one list per read; the last line may lack a newline."""
    partial: list[bytes] = []
    while chunk := source.read1(CHUNK):
        whole, end, rest = chunk.rpartition(b"\n")
        if not end:
            partial.append(rest)
            continue
        yield b"".join((*partial, whole)).split(b"\n")
        partial = [rest] if rest else []
    if partial:
        yield [b"".join(partial)]


def _answer(line: bytes, place: str, *, is_first: bool, has_steps: bool) -> tuple[Row, Given]:
    shape = f"{_SHAPE} or {_COURSE_SHAPE}" if has_steps else _SHAPE
    try:
        text = line.decode("utf-8-sig" if is_first else "utf-8")
        if not text.strip():
            raise DataError(f"{place}: the line is blank, and each must hold {shape}: remove it.")
        record = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{place}: not JSON: {error.msg} at column {error.colno}.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not JSON: {one_line(error)}.") from None
    if not isinstance(record, dict):
        raise DataError(f"{place}: found {type(record).__name__}, and each line must hold {shape}.")
    keys = COURSE_KEYS if has_steps and "actions" in record else KEYS
    for key in record:
        if key not in keys:
            raise DataError(f"{place}: unknown key {ascii(key)[:80]}.{nearest(key, keys)} Each line is {shape}.")
    for key in keys:
        kind, what = _KINDS[key]
        if key not in record:
            raise DataError(f"{place}: {key!r} is missing: each line must hold {shape}.")
        if not isinstance(record[key], kind):
            raise DataError(f"{place}: {key!r} must be {what}, found {type(record[key]).__name__}.")
    if keys == KEYS:
        return record["row"], record["answer"]
    try:
        actions = tuple(map(_action, record["actions"]))
    except ValueError:
        actions = ()
    if not actions:
        raise DataError(
            f"{place}: 'actions' must be a list of at least one action, and each be a text or"
            ' {"text": "…", "calls": [{"name": "…", "arguments": {…}}]}.'
        )
    return record["row"], actions


def _action(given: object) -> str | Action:
    """An action as a line holds it. Raises ValueError for anything else."""
    if isinstance(given, str):
        return given
    if not isinstance(given, dict) or set(given) != {"text", "calls"} or not isinstance(given["text"], str):
        raise ValueError("neither a text nor a text with calls")
    return Action(given["text"], checked_calls(calls_from_json(given["calls"])))


_SHAPE = '{"row": {…}, "answer": "…"}'
_COURSE_SHAPE = '{"row": {…}, "actions": ["…", …]}'
_KINDS = {"row": (dict, "a JSON object"), "answer": (str, "a text"), "actions": (list, "a list of actions")}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object, if its keys are unique. Raises ValueError otherwise: which of two answers was meant is unknown."""
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise ValueError(f"the key {ascii(twice)[:80]} is there twice")
    return made


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not of JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
