"""Faults injected during a real training run: no fault enters a reward, and every count agrees with what was injected.

An overlay on the real task (`injected_faults.py`) crashes, hangs, exits, hoards memory, forges and raises on a share
of its verdicts, by a keyed hash of row and answer, so this process knows which in advance. Rows are mined and a model
is trained with it, with a raised limit on abstentions; then everything that the run kept is audited
(`fault_audit.py`). The share is of distinct answers; some occur a dozen times, so the share of verdicts varies around
it.

    python benchmarks/faults.py FOLDER [--task NAME] [--steps 8] [--batch-size 512] [--share 0.04] …

FOLDER must be new. The last lines are the counts as JSON, also in `FOLDER/faults.json`. The exit status
is 1 if any check failed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import fault_audit
from fault_audit import Judged
from injected_faults import OVERLAY, Plan, fault_of, install

from rrr_core.cli.progress import make_progress
from rrr_core.episode import Episode, Failure
from rrr_core.generation import ModelSettings
from rrr_core.generation.transformers_backend import load_transformers
from rrr_core.hookspecs import Row
from rrr_core.mining import MineSettings, mine
from rrr_core.mining.failure_set import read_failures
from rrr_core.progress import Progress
from rrr_core.runs.files import read_lines, read_numbered_lines
from rrr_core.tasks import Task, load_task
from rrr_core.tasks.presets import presets_of
from rrr_core.tasks.settings import TaskSettings
from rrr_core.training.run import train
from rrr_core.training.settings import TrainSettings
from rrr_core.verdicts import Verdict
from rrr_core.verification import Judge, VerifySettings

PATIENT = VerifySettings(seconds=60.0, cpu_seconds=30.0)
"""For the verdicts without faults, and for judging time-outs again."""


def mine_and_audit(
    task: Task, plan: Plan, model: str, folder: Path, settings: MineSettings, verify: VerifySettings, progress: Progress
) -> tuple[list[Failure], list[Judged], list[str]]:
    """The failures mined with faults, everything judged on the way, and what does not hold."""
    with recorded_verdicts() as record:
        mine(task, load_transformers(model), folder, settings, {}, progress, verify)
    judged, failures = settled(task, plan, record, verify), read_failures(folder)
    problems = [
        *fault_audit.wrong_verdicts(judged, verdicts_without_faults(task, judged)),
        *fault_audit.wrong_failures(failures, judged),
    ]
    return failures, judged, problems


def train_and_audit(
    task: Task,
    plan: Plan,
    failures: Sequence[Failure],
    model: str,
    folder: Path,
    settings: TrainSettings,
    verify: VerifySettings,
    progress: Progress | None = None,
) -> tuple[list[Judged], list[str]]:
    """Train with faults and keep every episode. Returns everything judged, in order, and what does not hold."""
    settings = dataclasses.replace(settings, episodes_per_step=settings.batch_size, log_every=1)
    with recorded_verdicts() as record:
        summary = train(task, failures, ModelSettings(model=model), folder, settings, progress, verify)
    judged = settled(task, plan, record, verify)
    path = folder / "episodes.jsonl"
    episodes = [Episode.from_json(line, f"{path}:{number}") for number, line in read_numbered_lines(path)]
    unanswered = Counter(episode.step or 0 for episode in episodes if episode.rounds[-1].retry is None)
    metrics = list(read_lines(folder / "metrics.jsonl"))
    load_transformers(summary.model)  # The run has finished with a complete model.
    return judged, [
        *fault_audit.wrong_verdicts(judged, verdicts_without_faults(task, judged)),
        *fault_audit.wrong_rewards(episodes, judged, settings.group_size),
        *fault_audit.wrong_counts(judged, metrics, summary.abstentions, settings.steps, unanswered),
    ]


@contextmanager
def recorded_verdicts() -> Iterator[list[tuple[Row, str, Verdict]]]:
    """Everything that any judge judges within the block, in order."""
    record: list[tuple[Row, str, Verdict]] = []
    judge = Judge.judge

    def recording(self: Judge, pairs: Sequence[tuple[Row, str]]) -> list[Verdict]:
        verdicts = judge(self, pairs)
        record.extend((row, answer, verdict) for (row, answer), verdict in zip(pairs, verdicts, strict=True))
        return verdicts

    with mock.patch.object(Judge, "judge", recording):
        yield record


def settled(task: Task, plan: Plan, record: Sequence[tuple[Row, str, Verdict]], verify: VerifySettings) -> list[Judged]:
    """The record with what was injected; late verdicts are judged again, alone and with enough time."""
    judged = [Judged(row, answer, fault_of(plan, row, answer), verdict) for row, answer, verdict in record]
    patient = dataclasses.replace(
        verify, seconds=PATIENT.seconds, cpu_seconds=PATIENT.cpu_seconds, isolation="process", workers=1
    )
    with Judge(task, max_abstain=1.0, settings=patient) as judge:
        return [
            dataclasses.replace(item, alone=judge.judge([(item.row, item.answer)])[0]) if item.is_late else item
            for item in judged
        ]


def verdicts_without_faults(task: Task, judged: Sequence[Judged]) -> list[Verdict]:
    """The plain task's verdicts on the same answers."""
    with Judge(load_task(task.name), max_abstain=1.0, settings=PATIENT) as judge:
        return judge.judge([(item.row, item.answer) for item in judged])


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The whole benchmark, as one record for JSON."""
    began, plan = time.monotonic(), Plan(options.share, options.salt)
    site = (options.folder / "site").absolute()
    install(site, plan)
    sys.path.insert(0, str(site))
    task, progress = load_task(options.task, [OVERLAY]), make_progress()
    demo: Mapping[str, Mapping[str, Any]] = presets_of(TaskSettings(name=options.task), "demo")
    model = options.model or str(task.default_model())
    verify = VerifySettings(seconds=options.seconds, cpu_seconds=options.cpu_seconds, memory_mb=options.memory_mb)
    limit = {"max_abstain": options.max_abstain}
    mining = MineSettings(**{**demo["mine"], **limit, "rows": options.rows, "tries": 1})
    sizes = {"steps": options.steps, "batch_size": options.batch_size, "micro_batch_size": options.micro_batch_size}
    training = TrainSettings(**{**demo["train"], **limit, **sizes, "save_every": options.steps})
    failures, mined, problems = mine_and_audit(task, plan, model, options.folder / "mine", mining, verify, progress)
    started = time.monotonic()
    trained, more = train_and_audit(task, plan, failures, model, options.folder / "train", training, verify, progress)
    return {
        "task": options.task,
        "steps": options.steps,
        "failures": len(failures),
        "mining": fault_audit.counted(mined),
        "training": fault_audit.counted(trained),
        "train seconds": round(time.monotonic() - started, 1),
        "seconds": round(time.monotonic() - began, 1),
        "what does not hold": problems + more,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--task", default="countdown")
    parser.add_argument("--model", help="the model to train  [default: the task's own]")
    parser.add_argument("--rows", type=int, default=384, help="rows of the train split to mine")
    parser.add_argument("--steps", type=int, default=8, help="optimiser steps")
    parser.add_argument("--batch-size", type=int, default=512, help="reflections in a step")
    parser.add_argument("--micro-batch-size", type=int, default=128, help="reflections in a forward pass")
    parser.add_argument("--share", type=float, default=0.04, help="share of distinct answers with a fault")
    parser.add_argument("--salt", default="rrr", help="decides which answers, and which fault")
    parser.add_argument("--max-abstain", type=float, default=0.1, help="share of verdicts that may be withheld")
    parser.add_argument("--seconds", type=float, default=5.0, help="wall-clock seconds per verdict")
    parser.add_argument("--cpu-seconds", type=float, default=2.0, help="CPU seconds per verdict")
    parser.add_argument("--memory-mb", type=int, default=256, help="megabytes per verifier")
    chosen = parser.parse_args()
    if chosen.folder.exists():
        parser.error(f"{chosen.folder} exists already: name a new folder, since every verdict must be seen.")
    result = run(chosen)
    written = json.dumps(result, indent=1)
    (chosen.folder / "faults.json").write_text(written + "\n")
    print(written)
    sys.exit(1 if result["what does not hold"] else 0)
