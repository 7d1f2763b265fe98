"""The shards of a failure set as jobs: which sweeps there are, and what is left of one for a process that assists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, islice, takewhile
from pathlib import Path

from rrr_core.hookspecs import Row
from rrr_core.mining.failure_set import read_shard
from rrr_core.mining.settings import MineSettings
from rrr_core.mining.shards import MiningWork, depth_of
from rrr_core.mining.tally import MiningSummary
from rrr_core.processes.shards import Executor, ShardJob
from rrr_core.runs.files import read_lines
from rrr_core.runs.layout import MineFolder
from rrr_core.tasks import Task

Rows = Iterable[tuple[int, Row]]
"""Rows with their places in the split."""


def depths(settings: MineSettings) -> list[int]:
    """The depth of each sweep: the most tries a row has had after it.

    >>> depths(MineSettings(tries=64)), depths(MineSettings(tries=10, failures_wanted=1000))
    ([64], [1, 2, 4, 8, 10])
    """
    first = 1 if settings.failures_wanted else settings.tries
    return [*takewhile(lambda depth: depth < settings.tries, (first << n for n in count())), settings.tries]


def rows_to_mine(task: Task, settings: MineSettings, data_options: Mapping[str, str]) -> Rows:
    """The rows, lazily."""
    return enumerate(islice(iter(task.load_dataset("train", data_options)), settings.rows))


def in_shards(rows: Rows, size: int) -> Iterator[list[tuple[int, Row]]]:
    """The rows shard by shard."""
    iterator = iter(rows)
    while chunk := list(islice(iterator, size)):
        yield chunk


def job_of(path: Path, shard: int, chunk: Sequence[tuple[int, Row]], depth: int) -> ShardJob:
    """The work of deepening a shard: from its file, if it has one, or from its rows alone."""
    before = tuple(read_lines(path)) if path.exists() else ()
    return ShardJob(f"{path.stem}-{depth}", shard, chunk, before=before, depth=depth)


def assist_mining(work: MiningWork, folder: Path, data_options: Mapping[str, str], executor: Executor) -> MiningSummary:
    """Mine what the leading process leaves to this one, and give its summary. Raises as `rrr_core.mining.mine`."""
    settings = work.settings
    for depth in depths(settings):
        if executor.agree(f"mining {folder} to {depth} tries", False):
            undone = _undone(rows_to_mine(work.task, settings, data_options), depth, MineFolder(folder), settings)
            for _ in executor.in_order(folder, undone, work, may_stop=settings.failures_wanted > 0):
                raise AssertionError("only the leading process is given what is done")
    return MiningSummary(**executor.agree(f"the failure set {folder}", {}))


def _undone(rows: Rows, depth: int, folder: MineFolder, settings: MineSettings) -> Iterator[ShardJob]:
    """The shards that are not yet mined to a depth, as far as their files say."""
    for shard, chunk in enumerate(in_shards(rows, settings.shard_rows)):
        path = folder.shard(shard)
        # Without a number of failures to reach there is one sweep, and a shard that is there is done.
        if not path.exists() or (settings.failures_wanted and depth_of(read_shard(path), settings) < depth):
            yield job_of(path, shard, chunk, depth)
