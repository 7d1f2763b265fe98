"""The process that loads a task set: `python -m rrr_verifiers.maker REQUEST`, with `task`, `split` and `options`."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rrr_core.errors import DataError
from rrr_core.row_files import write_rows
from rrr_verifiers import replay
from rrr_verifiers.options import TURNS, Wanted, wanted

PROBE = "I do not know."
OUTSIDE = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system")
"""What a verdict cannot do in the sandbox: audit events by the beginning of their names."""
_watch: list[list[str] | None] = []
"""What to list refused events in, last; empty before the first use."""


class Outside(Exception):
    """A verdict reached for the network or for another process."""


def rows(task: str, split: str, options: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The rows of a split: of the first `size` tasks, those that belong to it, each content once.

    Task sets of verifiers have no such splits. A task belongs to `train` or `test`, half each, by a hash of its content
    without its place and names, so that no size or order moves one. Raises DataError for what cannot be served.
    """
    asked = wanted(task, options)
    try:
        env = replay.environment(asked.taskset, json.dumps(asked.config, sort_keys=True))
    except (
        ImportError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:  # As verifiers reports a mistake.
        raise DataError(f"{task}: --data taskset={asked.taskset}: {' '.join(str(error).split())[:500]}") from error
    except replay.Unserved as error:
        raise _refused(task, asked, error) from error
    try:
        seen: set[bytes] = set()
        for number, each in enumerate(_loaded(env, asked.size)):
            if not number:
                _require_sound(task, env, each)
            row = _row(asked, env, each)
            digest = hashlib.sha256(
                json.dumps([row["taskset"], _content(row["data"])], sort_keys=True).encode()
            ).digest()
            if digest in seen or split_of(digest) != split:
                continue
            seen.add(digest)
            yield row
    except (replay.Unserved, Outside) as error:
        raise _refused(task, asked, error) from error


def _refused(task: str, asked: Wanted, why: Exception) -> DataError:
    return DataError(f"{task}: the task set {asked.taskset} cannot be served: {why}.")


def _loaded(env: Any, size: int) -> Iterator[Any]:
    """The first tasks of a task set. Raises Unserved if it cannot load them, perhaps for want of a network."""
    tasks: Iterator[Any] | None = None
    for _ in range(size):
        try:
            tasks = tasks or iter(env.taskset)  # A list is loaded here, an endless task set bit by bit.
            task = next(tasks)
        except StopIteration:
            return
        except Exception as error:
            why = " ".join(str(error).split())[:300]
            raise replay.Unserved(f"loading its tasks raised {type(error).__name__}: {why}") from error
        yield task


def split_of(digest: bytes) -> str:
    """`train` or `test`, half of the tasks each."""
    return "train" if digest[0] % 2 else "test"


def _content(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in ("idx", "id", "name")}


def _row(asked: Wanted, env: Any, task: Any) -> dict[str, Any]:
    """The row of a task: what makes it again, and the messages that ask for it."""
    replay.require_served(env, task)
    data = task.data.model_dump(mode="json", exclude_defaults=True)
    again = replay.task_of(env, json.loads(json.dumps(data)))
    if again.data != task.data:
        raise replay.Unserved("its tasks' data do not come back from JSON as they were")
    messages = replay.plain(replay.opening(task.data))
    said = None
    if task.data.prompt is None:
        (said,) = replay.play(env, again, ()).said or ("",)
        messages.append({"role": "user", "content": said})
    return {
        "taskset": asked.taskset,
        "config": json.dumps(asked.config, sort_keys=True),
        "full": asked.full,
        "messages": messages,
        "opening": said,
        "data": data,
    }


def _require_sound(name: str, env: Any, task: Any) -> None:
    """Try one reply twice, as the sandbox would let it. Raises Unserved, or Outside for a score that asks elsewhere."""
    replay.require_served(env, task)
    first, second = (_try(env, task, (PROBE,)) for _ in range(2))
    if name != TURNS and isinstance(first, replay.Course) and first.waits:
        raise replay.Unserved(f"its environment answers the model: take the task {TURNS}")
    if first != second:
        raise replay.Unserved("the same reply twice led to different words or scores, so no course can be replayed")


def _try(env: Any, task: Any, replies: tuple[str, ...]) -> replay.Course | str:
    """What the replies come to, or the name of an exception: a fault that each verdict will report."""
    with _inside() as reached:
        try:
            return replay.play(env, task, replies)
        except Exception as error:
            if reached:
                raise Outside(
                    f"its environment or its score asks for {reached[0]}, and the sandbox has none"
                ) from error
            if isinstance(error, replay.Unserved):
                raise
            return type(error).__name__


@contextmanager
def _inside() -> Iterator[list[str]]:
    """Refuse what the sandbox refuses, and list it."""
    if not _watch:
        sys.addaudithook(_refuse)  # It cannot be removed again.
    reached: list[str] = []
    _watch.append(reached)
    try:
        yield reached
    finally:
        _watch[:] = [None]


def _refuse(event: str, _arguments: tuple[Any, ...]) -> None:
    if _watch[-1] is not None and event.startswith(OUTSIDE):
        _watch[-1].append(event)
        raise PermissionError(f"{event} is refused in the sandbox")


if __name__ == "__main__":
    write_rows(lambda request: rows(request["task"], request["split"], request["options"]))
