"""The process that loads an environment: `python -m rrr_openenv.maker REQUEST`, with `task`, `split` and `options`."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping
from typing import Any

from rrr_core.errors import DataError
from rrr_core.row_files import write_rows
from rrr_openenv import replay
from rrr_openenv.options import SIZE, wanted

SPLIT_METHODS = ("list_splits", "num_tasks")
"""What openenv's protocol TaskProvider asks of an environment that has tasks of its own."""


def rows(task: str, split: str, options: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The rows of a split, one episode each.

    An environment with tasks of its own (openenv's TaskProvider) has its own splits. Any other is reset with the seeds
    from 0 on, of which a hash puts half in each split. Raises DataError for what cannot be served.
    """
    base = wanted(task, options)
    size = int(options.get("size", SIZE))
    try:
        kind = replay.environment_class(base)
        resets = _tasks(kind, base, split, size) if _has_tasks(kind) else _seeds(kind, base, split, size)
        asked = replay.schema(replay.action_class(base, kind))
        for number, row in enumerate(resets):
            first = _first(row)
            if not number and _first(row) != first:
                raise replay.Unserved("the same reset twice shows something else, so no course can be replayed")
            about = " ".join((inspect.getdoc(kind) or kind.__name__).split())
            prompt = f"{about}\n\n{first.text}\n\nReply with your next action as a JSON object of this schema: {asked}"
            yield {**row, "seen": first.text, "messages": [{"role": "user", "content": prompt}]}
    except replay.Unserved as error:
        raise DataError(f"{task}: the environment {base['environment']} cannot be served: {error}.") from error


def _first(row: Mapping[str, Any]) -> replay.Seen:
    """The first observation of an episode. Raises Unserved if the environment, or its reset, raises."""
    try:
        return replay.first_seen(row)[1]
    except Exception as error:
        if isinstance(error, replay.Unserved):
            raise
        raise replay.Unserved(
            f"its reset raised {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        ) from error


def _has_tasks(kind: Any) -> bool:
    return all(hasattr(kind, name) for name in SPLIT_METHODS)


def _tasks(kind: Any, base: Mapping[str, Any], split: str, size: int) -> Iterator[dict[str, Any]]:
    env = kind(**base["settings"])
    names = [each if isinstance(each, str) else each["name"] for each in env.list_splits()]
    if split not in names:
        raise replay.Unserved(f"it has no split {split}, but {', '.join(names)}")
    for index in range(min(size, env.num_tasks(split))):
        yield {**base, "reset": {**base["reset"], "split": split, "index": index}}


def _seeds(kind: Any, base: Mapping[str, Any], split: str, size: int) -> Iterator[dict[str, Any]]:
    place = next((place for place in ("reset", "settings") if replay.takes(kind, place, "seed")), None)
    if place is None:
        raise replay.Unserved("it takes no seed, so all its episodes are one, and none is left to test on")
    for seed in range(size):
        digest = hashlib.sha256(json.dumps([base["environment"], seed]).encode()).digest()
        if ("train" if digest[0] % 2 else "test") == split:
            row = {**base, "reset": {**base["reset"], "episode_id": f"seed-{seed}"}}
            yield {**row, place: {**row[place], "seed": seed}}


if __name__ == "__main__":
    write_rows(lambda request: rows(request["task"], request["split"], request["options"]))
