"""The failure set: up to N tries a row, and the failing ones kept for training to start from.

Rows are taken in shards. In each round of a shard every row that is still open gets a try (or several, see
`tries_in_round`); a row is closed by its last wanted failure, by an abstention of its verifier, or by its Nth try.
Where a number of failures is wanted, mining goes over the shards several times, each time twice as deep (1, 2, 4, …
tries a row), and stops after the shard that completes the number: a row that the model has just passed is a worse place
to look for a failure than a row not tried yet.

A shard is written whole after each such sweep. Its records are all that the next sweep needs, and its sampling seeds
depend on nothing but the run's seed, the shard and the round: so a killed run, called again, redoes what was not
written only and gives the same failure set.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import count, islice, takewhile
from pathlib import Path
from typing import Any

from rrr_core.errors import DataError, RrrError
from rrr_core.generation.engine import Engine
from rrr_core.generation.measured import measured
from rrr_core.hookspecs import Row
from rrr_core.mining.failure_set import read_shard
from rrr_core.mining.mined_row import MinedRow
from rrr_core.mining.rounds import OpenRow, Teller, mine_rows
from rrr_core.mining.settings import MineSettings
from rrr_core.mining.tally import MiningSummary, Tally
from rrr_core.profiling.profile import profiled
from rrr_core.progress import Advance, Progress
from rrr_core.runs.about import about_this_run
from rrr_core.runs.files import write_json, write_lines
from rrr_core.runs.layout import MineFolder
from rrr_core.runs.stage import open_stage, stage_lock
from rrr_core.tasks import Task
from rrr_core.verification import Judge, VerifySettings


def mine(
    task: Task,
    generator: Engine,
    folder: Path,
    settings: MineSettings,
    data_options: Mapping[str, str],
    progress: Progress | None = None,
    verify: VerifySettings | None = None,
) -> MiningSummary:
    """Mine the failure set of `task`'s train split into `folder`, or resume doing so.

    Raises RrrError where the folder is of another run or held by another process, PluginError and ModelError as they
    come, and TooManyAbstentions where the verifier fails too often; finished shards are kept in each case.
    """
    if settings.temperature == 0 and settings.tries > 1:
        raise RrrError("At temperature 0 all tries of a row are one text: give --tries 1, or a higher --temperature.")
    began = time.monotonic()
    folder, progress = Path(folder), progress or Progress()
    with (
        stage_lock(folder, progress),
        profiled(folder) as profile,
        Judge(task, settings.max_abstain, settings=verify, profile=profile) as judge,
    ):
        open_stage(folder, "mine", _identity(task, generator, settings, data_options), about_this_run())
        with progress.track(f"Mining {task.name}", settings.rows) as advance:
            miner = _Miner(task, measured(generator, profile), judge, settings, folder, advance)
            for depth in depths(settings):
                if miner.is_done(depth):
                    continue
                rows = enumerate(islice(iter(task.load_dataset("train", data_options)), settings.rows))
                miner.sweep(rows, depth)
        judge.finish()
        summary = miner.tally.summary(time.monotonic() - began)
        if not summary.rows:
            raise DataError(f"The train split of task {task.name!r} has no rows: check the `--data` options.")
        if summary.rows < settings.rows and not miner.has_enough:
            progress.say(
                f"The train split has {summary.rows} rows, fewer than the {settings.rows} asked for: all mined."
            )
        if not (finished := MineFolder(folder).summary).exists():
            write_json(finished, asdict(summary))
    return summary


def depths(settings: MineSettings) -> list[int]:
    """The tries that rows have at most after each sweep over them.

    >>> depths(MineSettings(tries=64)), depths(MineSettings(tries=10, failures_wanted=1000))
    ([64], [1, 2, 4, 8, 10])
    """
    first = 1 if settings.failures_wanted else settings.tries
    return [*takewhile(lambda depth: depth < settings.tries, (first << n for n in count())), settings.tries]


class _Miner:
    """Mines shards into a folder, and knows what lies there."""

    def __init__(
        self, task: Task, generator: Engine, judge: Judge, settings: MineSettings, folder: Path, advance: Advance
    ) -> None:
        self.task, self.generator, self.judge, self.settings = task, generator, judge, settings
        self.folder, self.advance = MineFolder(folder), advance
        self.tally = Tally()
        self._depths: list[int] = []
        """Shard → tries that its open rows have had; `settings.tries` where none is open."""

    @property
    def has_enough(self) -> bool:
        """Whether as many failures as were wanted are there."""
        return 0 < self.settings.failures_wanted <= self.tally.failures

    def is_done(self, depth: int) -> bool:
        """Whether a sweep to this depth would find nothing to do; not before the first, which reads what lies there."""
        return bool(self._depths) and (self.has_enough or min(self._depths) >= depth)

    def sweep(self, rows: Iterable[tuple[int, Row]], depth: int) -> None:
        """Mine all shards to a depth, unless there are failures enough; the first sweep reads what lies there."""
        for shard, chunk in enumerate(_chunks(rows, self.settings.shard_rows)):
            path, is_new = self.folder.shard(shard), shard == len(self._depths)
            if is_new and path.exists():
                self._recall(path, chunk)
            elif self.has_enough:
                break
            elif is_new:
                self._depths.append(0)
            if self._depths[shard] < depth and not self.has_enough:
                self._deepen(shard, path, chunk, depth)
        if (surplus := self.folder.shard(len(self._depths))).exists():
            raise _changed(surplus)

    def _recall(self, path: Path, chunk: Sequence[tuple[int, Row]]) -> None:
        records = _finished_records(path, chunk)
        for record in records:
            self.tally.add(record)
            self.judge.recall(record.tries, record.withheld)
        still_open = [record.tries for record in records if record.is_open(self.settings)]
        self._depths.append(still_open[0] if still_open else self.settings.tries)
        self.advance(len(chunk) - len(still_open), self.tally.note())

    def _deepen(self, shard: int, path: Path, chunk: Sequence[tuple[int, Row]], depth: int) -> None:
        """Mine a shard's open rows to a depth, and write it whole."""
        self.folder.summary.unlink(missing_ok=True)
        before = list(read_shard(path)) if self._depths[shard] else []
        if before:
            rows = [OpenRow.resumed(record, row) for record, (_, row) in zip(before, chunk, strict=True)]
        else:
            rows = [OpenRow(index, row) for index, row in chunk]
        open_rows = [row for row in rows if row.is_open(self.settings)]
        teller = Teller(self.advance, self.tally)
        mine_rows(self.task, self.generator, self.judge, self.settings, shard, open_rows, depth, teller)
        records = [row.mined() for row in rows]
        write_lines(path, (record.to_json() for record in records))
        self.judge.profile.write(self.folder.path)
        for record in before:
            self.tally.add(record, times=-1)
        for record in records:
            self.tally.add(record)
        self._depths[shard] = depth if any(row.is_open(self.settings) for row in rows) else self.settings.tries


def _identity(task: Task, generator: Engine, settings: MineSettings, data_options: Mapping[str, str]) -> dict[str, Any]:
    """All that decides the failure set. The limit on abstentions does not: it may be raised to go on."""
    decisive = {name: value for name, value in asdict(settings).items() if name != "max_abstain"}
    return {
        "task": task.provenance(),
        "model": generator.describe(),
        "data": dict(data_options),
        "split": "train",
        "settings": decisive,
    }


def _chunks(rows: Iterable[tuple[int, Row]], size: int) -> Iterator[list[tuple[int, Row]]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _finished_records(path: Path, chunk: Sequence[tuple[int, Row]]) -> list[MinedRow]:
    """The mined rows of a finished shard, after a check that it was mined from these rows."""
    records = list(read_shard(path))
    if [record.row_index for record in records] != [index for index, _ in chunk]:
        raise _changed(path)
    for record, (_, row) in zip(records, chunk, strict=True):
        if record.failures and record.failures[0].row != row:
            raise _changed(path)
    return records


def _changed(path: Path) -> DataError:
    return DataError(f"{path} was mined from other rows: the data set has changed since, so use another folder.")
