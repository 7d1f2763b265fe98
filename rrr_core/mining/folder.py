"""The failure set: up to N tries per row, with the failing ones kept for training.

Rows are mined in shards. In each round of a shard every open row gets one try (or several, see `tries_in_round`). A row
is closed by its last wanted failure, by an abstention of its verifier, or by its Nth try. When a number of failures is
wanted, mining sweeps over the shards several times, doubling the depth each time (1, 2, 4, … tries per row), and stops
after the shard that reaches the number: an untried row is a better place to look for a failure than one the model has
just passed.

With `--rounds` above 1, each failing attempt then gets reflections and retries, and a failed retry is kept as well
(`rrr_core.mining.reflecting`). Only failing attempts count towards the wanted numbers.

A shard is written atomically after each sweep. Its records are all that the next sweep needs, and its sampling seeds
depend only on the run's seed, the shard, the round and the stage. A killed run therefore redoes only what was not
written and ends with the same failure set.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rrr_core.answering import check_max_steps
from rrr_core.config.limits import STOPS, token_limit
from rrr_core.errors import DataError, RrrError
from rrr_core.generation.engine import Engine
from rrr_core.generation.measured import measured
from rrr_core.generation.notes import EngineNotes
from rrr_core.hookspecs import Row
from rrr_core.mining.failure_set import check_summary, how_to_repair, read_shard
from rrr_core.mining.jobs import assist_mining, depths, in_shards, job_of, rows_to_mine
from rrr_core.mining.mined_row import MinedRow
from rrr_core.mining.rounds import ProgressReporter
from rrr_core.mining.settings import MineSettings
from rrr_core.mining.shards import MiningWork, depth_of
from rrr_core.mining.tally import MiningSummary, Tally
from rrr_core.processes.alike import check_alike
from rrr_core.processes.shards import Done, Executor, ShardJob, ThisProcess
from rrr_core.profiling.profile import profiled
from rrr_core.progress import Advance, Progress
from rrr_core.runs.about import about_this_run
from rrr_core.runs.digests import Digests
from rrr_core.runs.layout import MineFolder
from rrr_core.runs.stage import open_stage, stage_lock
from rrr_core.tasks import Task
from rrr_core.text import counted
from rrr_core.verification import Judge, VerifySettings


def mine(
    task: Task,
    engine: Engine,
    folder: Path,
    settings: MineSettings,
    data_options: Mapping[str, str],
    progress: Progress | None = None,
    verify: VerifySettings | None = None,
    executor: Executor | None = None,
) -> MiningSummary:
    """Mine the failure set of `task`'s train split into `folder`, or resume; `executor` decides who mines its shards.

    Raises RrrError if the folder belongs to another run or is locked by another process, TooManyAbstentions if the
    verifier abstains too often, TooManyWithoutAnswer if the engine has too few answers, and any PluginError or
    ModelError; finished shards are kept in each case.
    """
    if settings.temperature == 0 and settings.tries > 1:
        raise RrrError(
            "At temperature 0 all tries of a row give the same text: set --tries 1 or a higher --temperature."
        )
    check_max_steps([task], settings.max_steps)
    settings = replace(settings, max_tokens=token_limit(settings.max_tokens, engine.thinks))
    began = time.monotonic()
    folder, progress, executor = Path(folder), progress or Progress(), executor or ThisProcess()
    if not executor.leads:
        with Judge(task, settings.max_abstain, settings=verify, max_no_answer=settings.max_no_answer) as judge:
            work = MiningWork(task, measured(engine, judge.profile), judge, settings)
            check_alike(executor, folder, _identity(task, engine, settings, data_options))
            return assist_mining(work, folder, data_options, executor)
    with (
        stage_lock(folder, progress),
        profiled(folder, progress) as profile,
        Judge(
            task, settings.max_abstain, settings=verify, profile=profile, max_no_answer=settings.max_no_answer
        ) as judge,
    ):
        identity = _identity(task, engine, settings, data_options)
        open_stage(folder, "mine", identity, about_this_run())
        check_alike(executor, folder, identity)
        with progress.track(f"Mining {task.name}", settings.rows) as advance:
            work = MiningWork(task, measured(engine, profile), judge, settings)
            miner = _Miner(work, folder, executor, advance, EngineNotes(engine, folder, progress))
            for depth in depths(settings):
                if executor.agree(f"mining {folder} to {depth} tries", not miner.is_done(depth)):
                    miner.sweep(rows_to_mine(task, settings, data_options), depth)
        judge.finish()
        summary = miner.tally.summary(time.monotonic() - began)
        if not summary.rows:
            raise DataError(f"The train split of task {task.name!r} has no rows: check the `--data` options.")
        if summary.rows < settings.rows and not miner.has_enough:
            progress.say(
                f"The train split has {counted(summary.rows, 'row')}, fewer than the {settings.rows} asked for:"
                " all mined."
            )
        miner.finish(summary)
    executor.agree(f"the failure set {folder}", asdict(summary))
    return summary


class _Miner:
    """Has shards mined into a folder and tracks what is already there."""

    def __init__(
        self, work: MiningWork, folder: Path, executor: Executor, advance: Advance, notes: EngineNotes
    ) -> None:
        self.settings, self.judge = work.settings, work.judge
        self.folder, self.executor, self.advance, self.notes = MineFolder(folder), executor, advance, notes
        self.tally = Tally()
        self.work = replace(work, reporter=lambda: ProgressReporter(advance, self.tally))
        self.digests = Digests(folder)
        self._depths: list[int] = []
        """Shard → tries that its open rows have had; `settings.tries` if none is open."""

    @property
    def has_enough(self) -> bool:
        """Whether the wanted number of failures is reached."""
        return 0 < self.settings.failures_wanted <= self.tally.failures

    def is_done(self, depth: int) -> bool:
        """Whether a sweep to this depth has nothing to do. False before the first, which reads existing shards."""
        return bool(self._depths) and (self.has_enough or min(self._depths) >= depth)

    def sweep(self, rows: Iterable[tuple[int, Row]], depth: int) -> None:
        """Mine all shards to a depth, or until there are enough failures. The first sweep reads existing shards."""
        may_stop, jobs = self.settings.failures_wanted > 0, self._jobs(rows, depth)
        for done in self.executor.in_order(self.folder.path, jobs, self.work, may_stop=may_stop):
            self._write(done)
            self.notes.update()
            if self.has_enough:
                return
        if (surplus := self.folder.shard(len(self._depths))).exists():
            raise _changed(surplus)

    def finish(self, summary: MiningSummary) -> None:
        """Write the summary, or hold the one of an earlier call against the shards."""
        if self.folder.summary.exists():
            check_summary(self.folder, self.tally)
            return
        self.digests.settle(self.folder.shards())
        self.digests.write_json(self.folder.summary, summary.to_json())

    def _jobs(self, rows: Iterable[tuple[int, Row]], depth: int) -> Iterator[ShardJob]:
        """The shards that a sweep has to mine; existing ones are read on the way."""
        for shard, chunk in enumerate(in_shards(rows, self.settings.shard_rows)):
            path, is_new = self.folder.shard(shard), shard == len(self._depths)
            if is_new and path.exists():
                self._recall(path, chunk)
            elif self.has_enough:
                return
            elif is_new:
                self._check_order(path)
                self._depths.append(0)
            if self._depths[shard] < depth and not self.has_enough:
                self.folder.summary.unlink(missing_ok=True)
                yield job_of(path, shard, chunk, depth)

    def _check_order(self, path: Path) -> None:
        """Raise DataError for a lost shard that others depend on: they would be mined to another depth without it."""
        if self.settings.failures_wanted and any(later > path for later in self.folder.shards()):
            raise DataError(f"{path} is missing: {how_to_repair(self.folder, path)}")

    def _recall(self, path: Path, chunk: Sequence[tuple[int, Row]]) -> None:
        records = _finished_records(path, chunk)
        self.digests.check(path, how_to_repair(self.folder, path))
        for record in records:
            self.tally.add(record)
        self._count(records)
        self._depths.append(depth_of(records, self.settings))
        self.advance(sum(not record.is_open(self.settings) for record in records), self.tally.note())

    def _count(self, records: Iterable[MinedRow]) -> None:
        """Count verdicts that this call's judge did not give, so that the limits hold for all."""
        for record in records:
            self.judge.recall(record.tries, record.withheld)
            if (later := record.reflected) is not None:
                self.judge.recall(later.retries + later.unanswered, later.withheld)
                self.judge.unanswered.recall(later.reflections, ())

    def _write(self, done: Done[MinedRow]) -> None:
        """Write a mined shard, and count it."""
        job, path = done.job, self.folder.shard(done.job.number)
        before = [self.work.read(record, job.name) for record in job.before]
        self.digests.write_lines(path, done.lines())
        for record in before:
            self.tally.add(record, times=-1)
        for record in done.records:
            self.tally.add(record)
        if done.elsewhere is not None:
            self.judge.profile.add(done.elsewhere.spent)
            self._count(done.records)
            open_before = sum(record.is_open(self.settings) for record in before) if before else len(job.rows)
            still_open = sum(record.is_open(self.settings) for record in done.records)
            self.advance(open_before - still_open)
        self.advance(0, self.tally.note())
        self.judge.profile.write(self.folder.path)
        self._depths[job.number] = depth_of(done.records, self.settings)


def _identity(task: Task, engine: Engine, settings: MineSettings, data_options: Mapping[str, str]) -> dict[str, Any]:
    """Everything that determines the failure set. The limits do not: they may be raised to resume."""
    decisive = {name: value for name, value in asdict(settings).items() if name not in STOPS}
    return {
        "task": task.provenance(),
        "model": engine.describe(),
        "data": dict(data_options),
        "split": "train",
        "settings": decisive,
    }


def _finished_records(path: Path, chunk: Sequence[tuple[int, Row]]) -> list[MinedRow]:
    """The mined rows of a finished shard. Raises DataError if it was mined from other rows."""
    records = list(read_shard(path))
    if [record.row_index for record in records] != [index for index, _ in chunk]:
        raise _changed(path)
    for record, (_, row) in zip(records, chunk, strict=True):
        if record.failures and record.failures[0].row != row:
            raise _changed(path)
    return records


def _changed(path: Path) -> DataError:
    return DataError(f"{path} was mined from other rows: the data set has changed since, so use another folder.")
