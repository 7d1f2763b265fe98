"""The process that builds a task of inspect_ai: `python -m rrr_inspect.maker REQUEST`."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from inspect_ai import Task
from inspect_ai._eval.registry import task_create
from inspect_ai.solver._chain import Chain

from rrr_core.errors import DataError
from rrr_core.row_files import write_rows
from rrr_inspect import replay

PROBE = "I do not know."
GOLD = ("{}", "ANSWER: {}", "Answer: {}", "The answer is {}.", "\\boxed{{{}}}")
"""How a right answer may be written: the first of these that passes is a sample's gold answer."""


def rows(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of a split: of the first `size` samples, those that belong to it, each content once.

    inspect_ai has no splits of ours. A sample belongs to `train` or `test`, half each, by a hash of its content without
    its id, so that no size or order moves one. Raises DataError for what cannot be served.
    """
    name = request["task"]
    try:
        task = _task(name, request["args"])
        shared = _shared(task, float(request["full"]))
    except replay.Unserved as error:
        raise DataError(f"{request['rrr_task']}: {name} cannot be served: {error}.") from error
    except Exception as error:
        why = " ".join(str(error).split())[:500]
        raise DataError(f"{request['rrr_task']}: --data task={name}: {type(error).__name__}: {why}") from error
    seen: set[bytes] = set()
    checked = False
    for sample in task.dataset[: int(request["size"])]:
        try:
            row = _row(shared, sample)
            if not checked:
                _try(row)
                checked = True
        except replay.Unserved as error:
            raise DataError(f"{request['rrr_task']}: {name} cannot be served: {error}.") from error
        content = {key: value for key, value in row["sample"].items() if key != "id"}
        digest = hashlib.sha256(json.dumps([shared, content], sort_keys=True).encode()).digest()
        if digest in seen or ("train" if digest[0] % 2 else "test") != request["split"]:
            continue
        seen.add(digest)
        yield {**row, "gold": _gold(row)}


def _task(name: str, arguments: dict[str, Any]) -> Task:
    module, colon, function = name.partition(":")
    if not colon:
        return task_create(name, **arguments)
    made = getattr(importlib.import_module(module), function)(**arguments)
    if not isinstance(made, Task):
        raise TypeError(f"{name} gives {type(made).__name__}, not a Task")
    return made


def _shared(task: Task, full: float) -> dict[str, Any]:
    """What all rows have in common. Raises Unserved."""
    if task.sandbox is not None:
        raise replay.Unserved("it runs in a sandbox of inspect_ai's, such as a container")
    if task.setup is not None:
        raise replay.Unserved("it has a setup step")
    if not task.scorer:
        raise replay.Unserved("it has no scorer")
    solvers = [replay.recipe(each) for each in _flat(task.solver)]
    shared: dict[str, Any] = {"solvers": solvers, "scorers": [replay.recipe(each) for each in task.scorer]}
    shared["full"] = full
    try:
        if json.loads(json.dumps(shared)) != shared:
            raise TypeError
    except (TypeError, ValueError):
        raise replay.Unserved("an argument of its solvers or scorers is nothing that JSON holds") from None
    for each in (*solvers, *shared["scorers"]):
        try:
            replay.made(each)
        except Exception as error:
            why = " ".join(str(error).split())[:200]
            raise replay.Unserved(f"{each['name']} cannot be made again from its arguments: {why}") from error
    return shared


def _flat(solver: Any) -> list[Any]:
    return [each for part in solver for each in _flat(part)] if isinstance(solver, Chain) else [solver]


def _row(shared: Mapping[str, Any], sample: Any) -> dict[str, Any]:
    """The row of a sample: what plays it again, and the messages that ask for it. Raises Unserved."""
    if sample.sandbox is not None or sample.files or sample.setup:
        raise replay.Unserved("its samples need files or a sandbox")
    kept = sample.model_dump(mode="json", exclude_none=True, exclude={"sandbox", "files", "setup"})
    row = {**shared, "sample": json.loads(json.dumps(kept)), "messages": []}
    return {**row, "messages": replay.opening(row)}


def _try(row: Mapping[str, Any]) -> None:
    """Judge one answer, as the sandbox will. Raises Unserved if that raises, as it does for scores by a model."""
    try:
        replay.verify(row, PROBE)
    except replay.Unscored:
        return
    except Exception as error:
        why = " ".join(str(error).split())[:300]
        raise replay.Unserved(f"a score raised {type(error).__name__}: {why}") from error


def _gold(row: Mapping[str, Any]) -> str | None:
    target = row["sample"].get("target", "")
    target = target[0] if isinstance(target, list) and target else target
    for form in GOLD if isinstance(target, str) and target.strip() else ():
        answer = form.format(target)
        try:
            if replay.verify(row, answer).is_passed:
                return answer
        except Exception:  # noqa: BLE001 - what a score raises is reported by its verdicts
            return None
    return None


if __name__ == "__main__":
    write_rows(rows)
