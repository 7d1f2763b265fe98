"""The failure set: up to N tries a row, and the failing ones kept for training to start from.

Rows are taken in shards. In each round of a shard every row that is still open gets a try (or several, see
`tries_in_round`); a row is closed by its last wanted failure, by an abstention of its verifier, or by its Nth try. A
shard is written whole when its last row is closed, and its sampling seeds depend on nothing but the run's seed, the
shard and the round: so a killed run, called again, redoes the missing shards only and gives the same failure set.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from rrr_core.episode import Failure, Generation, Messages
from rrr_core.errors import DataError, RrrError
from rrr_core.failure_sets import FINISHED, no_failures, read_failures, read_shard, shard_path
from rrr_core.generation.base import Generator, Sampling
from rrr_core.hookspecs import Row
from rrr_core.mining_tally import MiningSummary, Tally
from rrr_core.progress import Advance, Progress
from rrr_core.runs import about_this_run, open_stage, stage_lock, write_json, write_lines
from rrr_core.settings import option
from rrr_core.tasks import Task
from rrr_core.verdicts import Verdict
from rrr_core.verification import Judge, VerifySettings

__all__ = ["MineSettings", "MiningSummary", "mine", "no_failures", "read_failures"]

FULL_BATCH = 32
"""Open rows in a shard below which a round gives them several tries each.

A 3M-parameter model on one core writes 1 text in 0.24 s, 32 in 1.1 s, 64 in 2.3 s: below about 32 texts a larger batch
is nearly free, and above it saves nothing. On a GPU the free part is larger."""


@dataclass(frozen=True)
class MineSettings:
    """How failures are mined."""

    rows: int = option(2000, "Rows of the train split to try.", minimum=1)
    tries: int = option(64, "Tries a row at most.", minimum=1)
    failures_per_row: int = option(1, "Different failing attempts after which a row is done.", minimum=1)
    temperature: float = option(0.9, "Sampling temperature of the tries; 0 is greedy.", minimum=0)
    top_p: float = option(1.0, "Share of the probability mass to sample from.", minimum=0, maximum=1)
    max_tokens: int = option(512, "Longest attempt, in tokens.", minimum=1)
    shard_rows: int = option(256, "Rows a shard: what a killed run may have to redo.", minimum=1)
    seed: int = option(0, "Seed of the sampling.")
    max_abstain: float = option(
        0.01, "Share of verdicts that the verifier may withhold before mining stops.", minimum=0, maximum=1
    )


def mine(
    task: Task,
    generator: Generator,
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
    with stage_lock(folder, progress), Judge(task, settings.max_abstain, settings=verify) as judge:
        open_stage(folder, "mine", _identity(task, generator, settings, data_options), about_this_run())
        tally, shards = Tally(), 0
        rows = enumerate(islice(iter(task.load_dataset("train", data_options)), settings.rows))
        with progress.track(f"Mining {task.name}", settings.rows) as advance:
            for shard, chunk in enumerate(_chunks(rows, settings.shard_rows)):
                path, shards = shard_path(folder, shard), shard + 1
                if path.exists():
                    for record in _finished_records(path, chunk):
                        tally.add(record)
                        judge.recall(record["tries"], [Verdict(**each) for each in record["withheld"]])
                    advance(len(chunk), tally.note())
                    continue
                (folder / FINISHED).unlink(missing_ok=True)
                mined_rows = _mine_shard(task, generator, judge, settings, shard, chunk, _Teller(advance, tally))
                write_lines(path, (row.to_json() for row in mined_rows))
                for row in mined_rows:
                    tally.add(row.to_json())
        if shard_path(folder, shards).exists():
            raise _changed(shard_path(folder, shards))
        judge.finish()
        summary = tally.summary(time.monotonic() - began)
        if not summary.rows:
            raise DataError(f"The train split of task {task.name!r} has no rows: check the `--data` options.")
        if summary.rows < settings.rows:
            progress.say(
                f"The train split has {summary.rows} rows, fewer than the {settings.rows} asked for: all mined."
            )
        if not (folder / FINISHED).exists():
            write_json(folder / FINISHED, asdict(summary))
    return summary


def sampling_seed(seed: int, shard: int, round_index: int) -> int:
    """The seed of one round: 31 bits, so that every engine takes it, and a function of its arguments alone."""
    return int.from_bytes(hashlib.sha256(f"mine {seed} {shard} {round_index}".encode()).digest()[:4], "big") >> 1


def tries_in_round(open_rows: int, tries_so_far: int, most: int) -> int:
    """Tries that each open row gets in the next round of a shard, at least 1 of the `most - tries_so_far` left.

    One while the open rows fill a batch. A few rows that the model nearly always passes would then cost dozens of
    tiny batches, so they get up to as many tries at once as they have passed: 1, 1, 2, 4, 8, …. Those drawn after the
    row's failing one are thrown away uncounted; a row that passed t tries is expected (Laplace) to pass as many again.
    """
    return max(1, min(most - tries_so_far, tries_so_far, FULL_BATCH // open_rows))


@dataclass
class _Mined:
    """A row on its way through its shard's rounds."""

    row_index: int
    row: Row
    prompt: Messages
    tries: int = 0
    passes: int = 0
    withheld: list[Verdict] = field(default_factory=list)
    tokens: int | None = 0
    failures: list[Failure] = field(default_factory=list)

    def is_open(self, settings: MineSettings) -> bool:
        wanted = len(self.failures) < settings.failures_per_row
        return wanted and self.tries < settings.tries and not self.withheld

    def count(self, generation: Generation, verdict: Verdict) -> None:
        """Count one try. The same failing text again is a try, not another failure: it would teach nothing new."""
        if verdict.is_failed and all(failure.attempt != generation.text for failure in self.failures):
            self.failures.append(
                Failure(
                    failure_id=f"{self.row_index}-{self.tries}",
                    row_index=self.row_index,
                    row=dict(self.row),
                    prompt=self.prompt,
                    attempt=generation.text,
                    verdict=verdict,
                    try_index=self.tries,
                )
            )
        self.tries += 1
        self.passes += verdict.is_passed
        if verdict.is_abstained:
            self.withheld.append(verdict)
        known = self.tokens is not None and len(generation.token_ids) > 0
        self.tokens = (self.tokens or 0) + len(generation.token_ids) if known else None

    def to_json(self) -> dict[str, Any]:
        return {
            "row_index": self.row_index,
            "tries": self.tries,
            "passes": self.passes,
            "abstentions": len(self.withheld),
            "tokens": self.tokens,
            "withheld": [asdict(verdict) for verdict in self.withheld],
            "failures": [failure.to_json() for failure in self.failures],
        }


def _mine_shard(
    task: Task,
    generator: Generator,
    judge: Judge,
    settings: MineSettings,
    shard: int,
    chunk: Sequence[tuple[int, Row]],
    teller: _Teller,
) -> list[_Mined]:
    mined = [_Mined(index, row, task.prompt(row, generator.model)) for index, row in chunk]
    open_rows, tries_so_far, round_index = mined, 0, 0
    while open_rows:
        tries = tries_in_round(len(open_rows), tries_so_far, settings.tries)
        # A row's tries stand side by side, so that an engine can share their prompt.
        drawn = [row for row in open_rows for _ in range(tries)]
        sampling = Sampling(
            temperature=settings.temperature,
            max_tokens=settings.max_tokens,
            top_p=settings.top_p,
            seed=sampling_seed(settings.seed, shard, round_index),
        )
        on_done = teller.counter(round_index, len(drawn))
        generations = generator.generate([row.prompt for row in drawn], sampling, on_done)
        verdicts = judge.judge([(row.row, made.text) for row, made in zip(drawn, generations, strict=True)])
        for row, generation, verdict in zip(drawn, generations, verdicts, strict=True):
            if row.is_open(settings):
                row.count(generation, verdict)
        still_open = [row for row in open_rows if row.is_open(settings)]
        teller.tell_round(len(open_rows) - len(still_open), mined)
        open_rows, tries_so_far, round_index = still_open, tries_so_far + tries, round_index + 1
    return mined


class _Teller:
    """Tells the bar of closed rows and sampled answers; its note counts the unfinished shard's rows too."""

    def __init__(self, advance: Advance, tally: Tally) -> None:
        self.advance, self.tally, self.note = advance, tally, tally.note()

    def tell_round(self, closed: int, mined: Sequence[_Mined]) -> None:
        live = deepcopy(self.tally)
        for row in mined:
            live.add(row.to_json())
        self.note = live.note()
        self.advance(closed, self.note)

    def counter(self, round_index: int, wanted: int) -> Callable[[int], None]:
        """An `on_done` for one round: answers move no bar, since a row may need more of them, but they show."""
        done = 0

        def on_done(count: int) -> None:
            nonlocal done
            done += count
            self.advance(0, f"{self.note}, round {round_index + 1}: {done} of {wanted} answers")

        return on_done


def _identity(
    task: Task, generator: Generator, settings: MineSettings, data_options: Mapping[str, str]
) -> dict[str, Any]:
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


def _finished_records(path: Path, chunk: Sequence[tuple[int, Row]]) -> list[dict[str, Any]]:
    """The records of a finished shard, after a check that it was mined from these rows."""
    records = list(read_shard(path))
    if [record["row_index"] for record in records] != [index for index, _ in chunk]:
        raise _changed(path)
    for record, (_, row) in zip(records, chunk, strict=True):
        if record["failures"] and record["failures"][0]["row"] != json.loads(json.dumps(row)):
            raise _changed(path)
    return records


def _changed(path: Path) -> DataError:
    return DataError(f"{path} was mined from other rows: the data set has changed since, so use another folder.")
