"""The board: what the page may read of the current sitting, and what it may do with it. All of it is JSON.

    state            → the current sitting, its progress, and each item's outcome
    item?sitting=3&index=0 → one item: its question, row and answer, with the verdict on it
    verdict {sitting, index, outcome, category}, undo {sitting}, finish {sitting}, stop {sitting} → the state after it

A sitting has a number, so a page left open cannot judge the wrong answer.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from rrr_core import Verdict
from rrr_core.errors import RrrError
from rrr_core.overlays import one_line
from rrr_person_judge.record import verdict_of
from rrr_person_judge.sitting import Sitting
from rrr_person_judge.words import question_of, row_text

Then = Callable[[], None]
"""What to do after the response has been sent: ending a sitting may end the process, and its server with it."""


def nothing() -> None:
    """Do nothing more."""


class Refused(Exception):
    """A refused request."""

    def __init__(self, status: HTTPStatus, reason: str, then: Then = nothing) -> None:
        super().__init__(reason)
        self.status, self.then = status, then


def read_request(body: bytes) -> dict[str, Any]:
    """The page's request. Raises Refused."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict):
        raise Refused(HTTPStatus.BAD_REQUEST, "A JSON object is expected.")
    return request


class Board:
    """What the page sees and acts on; safe to call from any thread."""

    def __init__(self, task: str) -> None:
        self.task = task
        self._number = 0
        self._sitting: Sitting | None = None
        self._lock = threading.RLock()

    def put(self, sitting: Sitting) -> None:
        """Show a sitting to the person."""
        with self._lock:
            self._number, self._sitting = self._number + 1, sitting

    def clear(self) -> None:
        """Show nothing until the next `put`."""
        with self._lock:
            self._sitting = None

    def read(self, what: str, query: str) -> bytes:
        """The response to `state` or `item?…`. Raises Refused."""
        with self._lock:
            if what == "state":
                return _json(self._state())
            if what == "item":
                return _json(self._item(_numbers(query)))
        raise Refused(HTTPStatus.NOT_FOUND, "Nothing is here.")

    def take(self, what: str, request: dict[str, Any]) -> tuple[bytes, Then]:
        """Do what the person decided, and give the state after it. Raises Refused."""
        with self._lock:
            sitting = self._asked_for(request)
            undone, then = None, nothing
            with self._ending(sitting):
                match what:
                    case "verdict":
                        sitting.give(self._index(request), _verdict(request))
                    case "undo":
                        undone = sitting.take_back()
                    case "finish" if sitting.is_complete:
                        self.clear()
                        then = sitting.end
                    case "stop":
                        self.clear()
                        then = partial(sitting.end, sitting.stopped())
                    case _:
                        raise Refused(HTTPStatus.CONFLICT, "That cannot be done now.")
            return _json({**self._state(), "undone": undone}), then

    @contextmanager
    def _ending(self, sitting: Sitting) -> Iterator[None]:
        """End the job if a verdict cannot be kept or a question cannot be worded, with the line that says why."""
        try:
            yield
        except RrrError as error:
            self.clear()
            raise Refused(HTTPStatus.INTERNAL_SERVER_ERROR, str(error), partial(sitting.end, error)) from None

    def _state(self) -> dict[str, Any]:
        sitting = self._sitting
        if sitting is None:
            return {"task": self.task, "sitting": None}
        verdicts = [sitting.verdict(index) for index in range(len(sitting.items))]
        return {
            "task": self.task,
            "sitting": self._number,
            "outcomes": [verdict.outcome if verdict else "" for verdict in verdicts],
            "categories": [name for name, _ in sitting.file.categories.most_common(20)],
        }

    def _item(self, request: dict[str, Any]) -> dict[str, Any]:
        sitting, index = self._asked_for(request), self._index(request)
        item, verdict = sitting.items[index], sitting.verdict(index)
        with self._ending(sitting):
            question = question_of(self.task, item.row)
        return {
            "index": index,
            "question": question,
            "row": row_text(item.row),
            "answer": item.answer,
            "outcome": verdict.outcome if verdict else "",
            "category": verdict.category if verdict and verdict.is_failed else "",
        }

    def _asked_for(self, request: dict[str, Any]) -> Sitting:
        if self._sitting is None or request.get("sitting") != self._number:
            raise Refused(HTTPStatus.CONFLICT, "These answers are no longer asked for.")
        return self._sitting

    def _index(self, request: dict[str, Any]) -> int:
        index = request.get("index")
        if type(index) is not int or self._sitting is None or not 0 <= index < len(self._sitting.items):
            raise Refused(HTTPStatus.BAD_REQUEST, "There is no such answer.")
        return index


def _numbers(query: str) -> dict[str, Any]:
    """
    >>> _numbers("sitting=3&index=0&index=9&more=x")
    {'sitting': 3, 'index': 0}
    """
    first = {key: values[0] for key, values in parse_qs(query).items()}
    return {key: int(value) for key, value in first.items() if value.isdecimal() and len(value) < 10}


def _verdict(request: dict[str, Any]) -> Verdict:
    outcome, category = request.get("outcome"), request.get("category", "")
    if outcome not in ("passed", "failed", "abstained") or not isinstance(category, str):
        raise Refused(HTTPStatus.BAD_REQUEST, "There is no such verdict.")
    return verdict_of(outcome, one_line(category, 80))


def _json(value: Any) -> bytes:
    """JSON in ASCII, which can hold any Python text, including lone surrogates."""
    return json.dumps(value).encode()
