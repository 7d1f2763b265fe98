"""The protocol between the core and its workers: JSON, with every reply parsed as hostile input.

Nothing is pickled, on purpose. A verifier that runs model text as code gives that text control of its worker, and a
pool that unpickles what a worker sends (multiprocessing, concurrent.futures, pebble) would give it the core as well.

A batch goes to a worker as 8 bytes of length and a JSON object that holds each distinct row once; items refer to the
rows. The worker replies with one line per item, as soon as it is judged: `[NUMBER, "passed"]` or `[NUMBER, OUTCOME,
CATEGORY, DETAIL]`. A batch that holds its items' verdicts asks for their rewards; a reply then ends with the score, if
there is one. A batch that holds states, and perhaps calls, asks for steps: `[NUMBER, "observed", OBSERVATION, STATE]`
or `[NUMBER, "final", ANSWER]`, or a failed verdict on an action that made its step too long. Each batch's numbers start
at a random one, so a blind forgery is detected. Code that runs inside a worker can read the number and forge a verdict:
isolation protects the user, not the verdict.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from rrr_core.episode.calls import calls_to_json
from rrr_core.errors import DataError
from rrr_core.hookspecs import Call, Row, Step, final, observed
from rrr_core.tasks.course_values import LONGEST_ANSWER, LONGEST_OBSERVATION, LONGEST_STATE, checked_step
from rrr_core.text import one_line
from rrr_core.verdicts import TOO_LONG, Verdict, abstained, failed, passed

ENTERED = b'"entered"'
"""A worker's first line: it is locked in. What ends it before this is not the plugin's."""
READY = b'"ready"'
"""A worker's first line, once its sandbox is in force."""
ALLOWED = "allowed"
"""A probe's outcome for an attempt that nothing stopped."""
LONGEST_REPLY = 16_384
"""Longest reply, in bytes. An honest one has 80 characters of category and 500 of detail, 12 bytes each at most."""
LONGEST_STEP = 12 * (LONGEST_OBSERVATION + LONGEST_STATE + LONGEST_ANSWER)
"""The same of a reply to an action."""
WORKER_KINDS = ("exception", "timeout", "memory", "exit", "bad verdict", "bad reward", "bad step")
"""The kinds of abstention that a worker detects itself."""
_LENGTH = 8
_PASSED = passed()


class BadReply(ValueError):
    """A reply that no honest worker sends; the message says what is wrong with it."""


def encode_batch(
    pairs: Sequence[tuple[Row, str]],
    first: int,
    judged: Sequence[Verdict] = (),
    states: Sequence[Any] = (),
    calls: Sequence[Sequence[Call]] = (),
) -> bytes:
    """The batch as sent to a worker; `judged` are the pairs' verdicts, to ask for their rewards.

    With `states` the texts are actions, with their `calls`, and it asks for the steps from there. Raises DataError for
    a row that is not JSON-able.
    """
    places: dict[int, int] = {}
    rows: list[Row] = []
    items: list[tuple[int, str]] = []
    for row, answer in pairs:
        place = places.setdefault(id(row), len(rows))
        if place == len(rows):
            rows.append(row)
        items.append((place, answer))
    batch: dict[str, Any] = {"first": first, "rows": rows, "items": items}
    if judged:
        batch["judged"] = [verdict.to_json() for verdict in judged]
    if states:
        batch["states"] = states
    if any(calls):
        batch["calls"] = [calls_to_json(each) for each in calls]
    try:
        body = json.dumps(batch, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"a row cannot be sent to its verifier: it is not JSON-able: {one_line(str(error))}") from None
    return len(body).to_bytes(_LENGTH, "big") + body


def read_batch(read: Any) -> dict[str, Any] | None:
    """The next batch from `read(count)`, or None at the end. For workers, which trust the core."""
    length = read(_LENGTH)
    if len(length) < _LENGTH:
        return None
    batch: dict[str, Any] = json.loads(read(int.from_bytes(length, "big")))
    return batch


def first_number() -> int:
    """The first number of a batch: hard to guess and short to write."""
    return int.from_bytes(os.urandom(6), "big")


def encode_reply(number: int, verdict: Verdict) -> bytes:
    if verdict == _PASSED:
        return b'[%d,"passed"]\n' % number
    score = [] if verdict.score is None else [verdict.score]
    return (json.dumps([number, verdict.outcome, verdict.category, verdict.detail, *score]) + "\n").encode()


def encode_step(number: int, given: Step | Verdict) -> bytes:
    if isinstance(given, Verdict):
        return encode_reply(number, given)
    said = ["observed", given.observation, given.state] if given.answer is None else ["final", given.answer]
    return (json.dumps([number, *said]) + "\n").encode()


def checked_step_reply(line: bytes, number: int) -> Step | Verdict:
    """The step in a worker's line, which may be any bytes, or the verdict that ends a course. Raises BadReply."""
    said = _said(line, number)
    try:
        match said:
            case ["observed", str(observation), state]:
                return checked_step(observed(observation, state))
            case ["final", str(answer)]:
                return checked_step(final(answer))
            case ["failed", category, str(detail)] if category == TOO_LONG:
                return failed(TOO_LONG, one_line(detail, 500))
    except ValueError as error:
        raise BadReply(f"a reply {error}") from None
    return _withheld(said, line)


def checked_reply(line: bytes, number: int, may_score: bool = False) -> Verdict:
    """The verdict in a worker's line, which may be any bytes; with its score, if one was asked. Raises BadReply."""
    said = _said(line, number)
    match said:
        case ["passed"]:
            return _PASSED
        case ["passed" | "failed" as outcome, str(category), str(detail)]:
            return Verdict(outcome, one_line(category, 80), one_line(detail, 500))
        case ["passed" | "failed" as outcome, str(category), str(detail), float(score)] if (
            may_score and 0 <= score <= 1
        ):
            return Verdict(outcome, one_line(category, 80), one_line(detail, 500), score)
    return _withheld(said, line)


def _said(line: bytes, number: int) -> list[Any]:
    """What a worker says of an item. Raises BadReply for what is not a reply, or one to another item."""
    try:
        reply = json.loads(line)
    except (ValueError, RecursionError):
        raise BadReply(f"{one_line(ascii(line[:80]))} is not a reply") from None
    if not isinstance(reply, list) or not reply or reply[0] != number or type(reply[0]) is not int:
        raise BadReply(f"{one_line(ascii(line[:80]))} does not answer what was asked")
    return reply[1:]


def _withheld(said: list[Any], line: bytes) -> Verdict:
    """The abstention that a worker reports. Raises BadReply if it reports nothing of the kind."""
    match said:
        case ["abstained", str(kind), str(detail)] if kind in WORKER_KINDS:
            return abstained(kind, one_line(detail, 500))
    raise BadReply(f"{one_line(ascii(line[:80]))} holds no verdict")
