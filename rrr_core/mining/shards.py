"""Mines one shard: its rows are tried to a depth, then reflected on. Who calls it and who writes is elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from rrr_core.generation.engine import Engine
from rrr_core.mining.mined_row import MinedRow
from rrr_core.mining.reflecting import Reflecting
from rrr_core.mining.rounds import OpenRow, ProgressReporter, mine_rows
from rrr_core.mining.settings import MineSettings
from rrr_core.mining.tally import Tally
from rrr_core.processes.shards import ShardJob
from rrr_core.profiling.profile import Profile
from rrr_core.tasks import Task
from rrr_core.verification import Judge


def _unseen() -> ProgressReporter:
    return ProgressReporter(lambda _count, _note="": None, Tally())


@dataclass(frozen=True)
class MiningWork:
    """Makes the mined rows of a shard, with this process's engine and judge."""

    task: Task
    engine: Engine
    judge: Judge
    settings: MineSettings
    """With `max_tokens` as the engine needs it (`rrr_core.config.limits.token_limit`)."""
    reporter: Callable[[], ProgressReporter] = _unseen
    """What the rounds of the next shard are reported to."""

    @property
    def profile(self) -> Profile:
        """What measures engine and judge."""
        return self.judge.profile

    def make(self, job: ShardJob) -> list[MinedRow]:
        """The shard's rows, mined to the job's depth."""
        if job.before:
            before = [self.read(record, job.name) for record in job.before]
            rows = [OpenRow.resumed(record, row) for record, (_, row) in zip(before, job.rows, strict=True)]
        else:
            rows = [OpenRow(index, row) for index, row in job.rows]
        open_rows = [row for row in rows if row.is_open(self.settings)]
        sweep_began = open_rows[0].tries if open_rows else 0
        reporter, makers = self.reporter(), (self.task, self.engine, self.judge, self.settings)
        mine_rows(*makers, job.number, open_rows, job.depth, reporter)
        if self.settings.rounds > 1:
            Reflecting(*makers, job.number, sweep_began, reporter).play(open_rows)
        return [row.mined() for row in rows]

    def read(self, record: Any, place: str) -> MinedRow:
        """A mined row from JSON. Raises DataError naming `place`."""
        return MinedRow.from_json(record, place)


def depth_of(records: Iterable[MinedRow], settings: MineSettings) -> int:
    """The tries that a mined shard's open rows have had; `settings.tries` if none is open."""
    return next((record.tries for record in records if record.is_open(settings)), settings.tries)
