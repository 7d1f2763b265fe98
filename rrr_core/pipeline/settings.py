"""The settings of a whole run, and the part of them that identifies it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rrr_core.cluster.settings import ClusterSettings
from rrr_core.evaluation import EvalSettings
from rrr_core.generation import ModelSettings
from rrr_core.mining import MineSettings
from rrr_core.pipeline.opening import OpenTask
from rrr_core.tasks.settings import TaskSettings
from rrr_core.training.settings import MAY_CHANGE as TRAIN_MAY_CHANGE
from rrr_core.training.settings import TrainSettings
from rrr_core.verification.settings import VerifySettings

MAY_CHANGE = TRAIN_MAY_CHANGE | {
    *("api_key_env", "concurrency", "timeout", "retries", "server_headers_env", "sync_address"),
    "max_no_answer",
}
"""Settings that may differ between two calls on one folder: they affect speed or when to stop, not results."""


@dataclass(frozen=True)
class RunSettings:
    """The settings of a whole run."""

    task: TaskSettings
    """Of one task or several."""
    model: ModelSettings
    mine: MineSettings
    train: TrainSettings
    eval: EvalSettings
    verify: VerifySettings = dataclasses.field(default_factory=VerifySettings)
    """Where verdicts are computed and within which limits; not part of the run's identity."""
    cluster: ClusterSettings = dataclasses.field(default_factory=ClusterSettings)
    """Who mines and evaluates; not part of the run's identity. Training stays in this process."""


def identity_of(settings: RunSettings, tasks: Sequence[OpenTask]) -> dict[str, Any]:
    """Everything that determines a run's results, as JSON."""
    identity = dataclasses.asdict(settings)
    del identity["verify"], identity["cluster"]
    identity["train"] = settings.train.identity()
    for section in ("model", "mine", "train", "eval"):
        identity[section] = {name: value for name, value in identity[section].items() if name not in MAY_CHANGE}
    # As earlier versions wrote it: a run is never at a server.
    identity["model"]["base_url"] = identity["model"]["base_url"] or None
    described = {each.name: {**each.task.provenance(), "data": dict(each.data)} for each in tasks}
    identity["task"] = described if len(tasks) > 1 else described[tasks[0].name]
    if not identity["model"]["server_body"]:
        del identity["model"]["server_body"]
    plain: dict[str, Any] = json.loads(json.dumps(identity))
    return plain
