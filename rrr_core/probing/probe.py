"""A probe: a sample of a model on a task, its figures, and what they forecast of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from rrr_core.errors import DataError
from rrr_core.generation.engine import Engine
from rrr_core.probing.findings import Findings, findings_of
from rrr_core.probing.forecast import Forecast, forecast_of
from rrr_core.probing.sampling import Plan, Sampler
from rrr_core.probing.settings import ProbeSettings
from rrr_core.progress import Progress
from rrr_core.tasks import Task
from rrr_core.verification import Judge, VerifySettings


@dataclass(frozen=True, slots=True)
class Probed:
    """The result of a probe."""

    findings: Findings
    forecast: Forecast

    def to_json(self) -> dict[str, Any]:
        return {"findings": self.findings.to_json(), "forecast": self.forecast.to_json()}


def probe(
    task: Task,
    engine: Engine,
    settings: ProbeSettings,
    data_options: Mapping[str, str],
    progress: Progress | None = None,
    verify: VerifySettings | None = None,
) -> Probed:
    """Sample the first rows of the train split, and forecast what training would do.

    Raises DataError if there are fewer than two rows or none gets a verdict, and any PluginError or ModelError.
    """
    found = try_first(task, engine, settings, data_options, progress, verify, reflects=True)
    return Probed(found, forecast_of(found, task.implements("rrr_warmup")))


def try_first(
    task: Task,
    engine: Engine,
    settings: ProbeSettings,
    data_options: Mapping[str, str],
    progress: Progress | None = None,
    verify: VerifySettings | None = None,
    *,
    reflects: bool = False,
) -> Findings:
    """The figures of first tries on the first rows of the train split and, if it `reflects`, of all that follows.

    Raises as `probe` does.
    """
    rows = list(islice(iter(task.load_dataset("train", data_options)), settings.rows))
    if len(rows) < 2:
        raise DataError(f"The train split of task {task.name!r} has {len(rows)} rows, and a probe needs two.")
    with Judge(task, settings=verify) as judge:
        sampler = Sampler(task, engine, judge, Plan.of(task, settings), progress or Progress())
        sample = sampler.sample(rows, reflects=reflects, seconds=60 * settings.minutes)
    try:
        return findings_of(sample)
    except ValueError as error:
        raise DataError(f"Task {task.name!r}: {error}: `rrr check {task.name}` says why.") from None
