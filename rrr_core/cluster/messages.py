"""What driver and actors send each other: JSON in ASCII, which no cluster's data types can change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import rrr_core
from rrr_core import errors
from rrr_core.errors import RrrError
from rrr_core.evaluation.work import EvaluationWork
from rrr_core.generation import ModelSettings
from rrr_core.mining.shards import MiningWork
from rrr_core.processes.shards import ShardJob
from rrr_core.runs.files import decoded
from rrr_core.tasks.requests import write_request
from rrr_core.verification import VerifySettings

MINE, EVAL = "mine", "eval"
Work = MiningWork | EvaluationWork


def written(value: Any) -> str:
    """A JSON value as a text in ASCII. Raises ValueError on NaN and infinities."""
    return json.dumps(value, allow_nan=False)


def opening(model: ModelSettings) -> str:
    """What an actor needs to open its engine."""
    return written({"core": rrr_core.__version__, "folder": str(Path.cwd()), "model": asdict(model)})


def working(work: object, verify: VerifySettings) -> str:
    """What an actor needs to build its own `work`: the task with its overlays, and the settings."""
    assert isinstance(work, Work)
    task, *overlays = work.task.entries
    return written(
        {
            "stage": MINE if isinstance(work, MiningWork) else EVAL,
            "task": task.name,
            "overlays": [write_request(each.name, dict(each.options)) for each in overlays],
            "provenance": work.task.provenance(),
            "settings": asdict(work.settings),
            "verify": asdict(verify),
        }
    )


def write_job(job: ShardJob) -> str:
    """A shard's job as a text."""
    return written(
        {
            "name": job.name,
            "number": job.number,
            "rows": [[index, dict(row)] for index, row in job.rows],
            "mode": job.mode,
            "before": list(job.before),
            "depth": job.depth,
        }
    )


def read_job(text: str) -> ShardJob:
    """The job that `write_job` wrote."""
    fields = decoded(text)
    rows = [(index, row) for index, row in fields.pop("rows")]
    return ShardJob(rows=rows, before=tuple(fields.pop("before")), **fields)


def failed(error: RrrError, host: str) -> str:
    """An actor's answer that it cannot work."""
    return written({"error": type(error).__name__, "says": str(error), "host": host})


def answer(text: str) -> Mapping[str, Any]:
    """What an actor answered. Raises the error that it met, with the name of its machine."""
    content: dict[str, Any] = decoded(text)
    if "error" in content:
        kind = getattr(errors, content["error"], RrrError)
        raise kind(f"On {content['host']}: {content['says']}")
    return content
