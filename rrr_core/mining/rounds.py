"""The rounds in which a shard's open rows are tried, judged and counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rrr_core.episode import Failure, Generation, Messages
from rrr_core.generation.base import Generator, Sampling, remembering
from rrr_core.hookspecs import Row
from rrr_core.mining.settings import MineSettings
from rrr_core.mining.tally import Tally
from rrr_core.progress import Advance
from rrr_core.seeds import mining_seed
from rrr_core.tasks import Task
from rrr_core.verdicts import Verdict
from rrr_core.verification import Judge

FULL_BATCH = 32
"""Open rows in a shard below which a round gives them several tries each.

A 3M-parameter model on one core writes 1 text in 0.24 s, 32 in 1.1 s, 64 in 2.3 s: below about 32 texts a larger batch
is nearly free, and above it saves nothing. On a GPU the free part is larger."""


@dataclass(slots=True)
class MinedRow:
    """A row on its way through its shard's rounds; its record is all that a later sweep needs to go on."""

    row_index: int
    row: Row
    tries: int = 0
    passes: int = 0
    tokens: int | None = 0
    sampled: int | None = 0
    """All tries drawn, those thrown away included; None where an older version did not count them."""
    sampled_tokens: int | None = 0
    withheld: list[Verdict] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @classmethod
    def from_json(cls, record: Mapping[str, Any], row: Row) -> MinedRow:
        return cls(
            row_index=record["row_index"],
            row=row,
            tries=record["tries"],
            passes=record["passes"],
            tokens=record.get("tokens"),
            sampled=record.get("sampled"),
            sampled_tokens=record.get("sampled_tokens"),
            withheld=[Verdict(**each) for each in record["withheld"]],
            failures=[Failure.from_json(each) for each in record["failures"]],
        )

    def is_open(self, settings: MineSettings) -> bool:
        return _is_open(self.tries, self.failures, self.withheld, settings)

    def draw(self, generation: Generation) -> int | None:
        """Note that a try was sampled, whether or not it will count. Gives its tokens, None where unknown."""
        tokens = len(generation.token_ids) or None
        self.sampled = None if self.sampled is None else self.sampled + 1
        self.sampled_tokens = _sum(self.sampled_tokens, tokens)
        return tokens

    def count(self, prompt: Messages, generation: Generation, verdict: Verdict, tokens: int | None) -> None:
        """Count one try. The same failing text again is a try, not another failure: it would teach nothing new."""
        if verdict.is_failed and all(failure.attempt != generation.text for failure in self.failures):
            self.failures.append(
                Failure(
                    failure_id=f"{self.row_index}-{self.tries}",
                    row_index=self.row_index,
                    row=dict(self.row),
                    prompt=prompt,
                    attempt=generation.text,
                    verdict=verdict,
                    try_index=self.tries,
                )
            )
        self.tries += 1
        self.passes += verdict.is_passed
        if verdict.is_abstained:
            self.withheld.append(verdict)
        self.tokens = _sum(self.tokens, tokens)

    def to_json(self) -> dict[str, Any]:
        return {
            "row_index": self.row_index,
            "tries": self.tries,
            "passes": self.passes,
            "abstentions": len(self.withheld),
            "tokens": self.tokens,
            "sampled": self.sampled,
            "sampled_tokens": self.sampled_tokens,
            "withheld": [asdict(verdict) for verdict in self.withheld],
            "failures": [failure.to_json() for failure in self.failures],
        }


def is_open(record: Mapping[str, Any], settings: MineSettings) -> bool:
    """Whether a mined row, given as its record, may still be tried."""
    return _is_open(record["tries"], record["failures"], record["withheld"], settings)


def _is_open(tries: int, failures: Sequence[object], withheld: Sequence[object], settings: MineSettings) -> bool:
    return len(failures) < settings.failures_per_row and tries < settings.tries and not withheld


def tries_in_round(open_rows: int, tries_so_far: int, most: int) -> int:
    """Tries that each open row gets in the next round of a shard, at least 1 of the `most - tries_so_far` left.

    One while the open rows fill a batch. A few rows that the model nearly always passes would then cost dozens of
    tiny batches, so they get up to as many tries at once as they have passed: 1, 1, 2, 4, 8, …. Those drawn after the
    row's failing one are thrown away uncounted; a row that passed t tries is expected (Laplace) to pass as many again.
    """
    return max(1, min(most - tries_so_far, tries_so_far, FULL_BATCH // open_rows))


def mine_rows(
    task: Task,
    generator: Generator,
    judge: Judge,
    settings: MineSettings,
    shard: int,
    rows: Sequence[MinedRow],
    depth: int,
    teller: Teller,
) -> None:
    """Try the rows of a shard, all open and tried equally often, until each is closed or tried `depth` times."""
    prompts = {row.row_index: task.prompt(row.row, generator.model) for row in rows}
    open_rows, tries_so_far = rows, rows[0].tries if rows else 0
    round_index = tries_so_far  # A sweep has fewer rounds than tries, so no two rounds of a shard have one index.
    # Further tries have a prompt that was read. No longer than the shard, so that no shard's arithmetic depends, in the
    # last bit, on whether the one before it was done in this process.
    with remembering(generator):
        while open_rows and tries_so_far < depth:
            tries = tries_in_round(len(open_rows), tries_so_far, depth)
            # A row's tries stand side by side, so that an engine can share their prompt.
            drawn = [row for row in open_rows for _ in range(tries)]
            sampling = Sampling(
                temperature=settings.temperature,
                max_tokens=settings.max_tokens,
                top_p=settings.top_p,
                seed=mining_seed(settings.seed, shard, round_index),
            )
            on_done = teller.counter(tries_so_far, len(drawn))
            generations = generator.generate([prompts[row.row_index] for row in drawn], sampling, on_done)
            verdicts = judge.judge([(row.row, made.text) for row, made in zip(drawn, generations, strict=True)])
            for row, generation, verdict in zip(drawn, generations, verdicts, strict=True):
                tokens = row.draw(generation)
                if row.is_open(settings):
                    row.count(prompts[row.row_index], generation, verdict, tokens)
            still_open = [row for row in open_rows if row.is_open(settings)]
            teller.tell_round(open_rows, tries_so_far, closed=len(open_rows) - len(still_open))
            open_rows, tries_so_far, round_index = still_open, tries_so_far + tries, round_index + 1


class Teller:
    """Tells the bar of closed rows and sampled answers; its note counts the unfinished shard's rows too."""

    def __init__(self, advance: Advance, tally: Tally) -> None:
        self.advance, self.note = advance, tally.note()
        self._live = Tally(
            failures=tally.failures, first_tries=tally.first_tries, first_try_passes=tally.first_try_passes
        )

    def tell_round(self, tried: Sequence[MinedRow], tries_so_far: int, closed: int) -> None:
        """Tell what came of a round for the rows that were tried in it."""
        for row in tried:
            self._live.failures += sum(failure.try_index >= tries_so_far for failure in row.failures)
            if tries_so_far == 0:
                self._live.count_first(row.failures[0].try_index if row.failures else None, 1, len(row.withheld))
        self.note = self._live.note()
        self.advance(closed, self.note)

    def counter(self, tries_so_far: int, wanted: int) -> Callable[[int], None]:
        """An `on_done` for one round: answers move no bar, since a row may need more of them, but they show."""
        done = 0

        def on_done(count: int) -> None:
            nonlocal done
            done += count
            self.advance(0, f"{self.note}, try {tries_so_far + 1}: {done} of {wanted} answers")

        return on_done


def _sum(total: int | None, more: int | None) -> int | None:
    return None if total is None or more is None else total + more
