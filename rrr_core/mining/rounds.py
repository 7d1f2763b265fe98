"""The rounds of a shard: its open rows are sampled, judged and counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rrr_core.answering import play_answers
from rrr_core.conversation import conversation
from rrr_core.episode import Episode, Failure, Generation, Segment, total_length
from rrr_core.generation.engine import Engine, Sampling
from rrr_core.hookspecs import Row
from rrr_core.mining.mined_row import MinedRow, Reflected, is_open
from rrr_core.mining.settings import MineSettings
from rrr_core.mining.tally import Tally
from rrr_core.progress import Advance
from rrr_core.seeds import mining_seed
from rrr_core.tasks import Task
from rrr_core.verdicts import Verdict
from rrr_core.verification import Judge

FULL_BATCH = 32
"""With fewer open rows than this, a round gives each several tries.

A 3M-parameter model on one core generates 1 text in 0.24 s, 32 in 1.1 s, 64 in 2.3 s: up to about 32 texts a larger
batch is nearly free, beyond that it saves nothing. On a GPU the limit is higher."""


@dataclass(slots=True)
class OpenRow:
    """A row while its shard's rounds run."""

    row_index: int
    row: Row
    tries: int = 0
    passes: int = 0
    tokens: int | None = 0
    sampled: int | None = 0
    sampled_tokens: int | None = 0
    cut_off: int = 0
    withheld: list[Verdict] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    reflected: Reflected | None = None

    @classmethod
    def resumed(cls, mined: MinedRow, row: Row) -> OpenRow:
        """The row as an earlier sweep left it."""
        return cls(
            row_index=mined.row_index,
            row=row,
            tries=mined.tries,
            passes=mined.passes,
            tokens=mined.tokens,
            sampled=mined.sampled,
            sampled_tokens=mined.sampled_tokens,
            cut_off=mined.cut_off,
            withheld=list(mined.withheld),
            failures=list(mined.failures),
            reflected=mined.reflected,
        )

    def mined(self) -> MinedRow:
        """The record of the row so far."""
        return MinedRow(
            row_index=self.row_index,
            tries=self.tries,
            passes=self.passes,
            tokens=self.tokens,
            sampled=self.sampled,
            sampled_tokens=self.sampled_tokens,
            cut_off=self.cut_off,
            withheld=tuple(self.withheld),
            failures=tuple(self.failures),
            reflected=self.reflected,
        )

    def is_open(self, settings: MineSettings) -> bool:
        """Whether the row may still be tried."""
        return is_open(self.tries, self.failures, self.withheld, settings)

    def draw(self, tried: Episode) -> int | None:
        """Record that a try was sampled, whether or not it will count. Returns its tokens, None if unknown."""
        tokens = total_length(tried.attempts)
        self.sampled = None if self.sampled is None else self.sampled + 1
        self.sampled_tokens = _sum(self.sampled_tokens, tokens)
        return tokens

    def count(self, tried: Episode, tokens: int | None) -> None:
        """Count one try. A repeated failing answer is a try but not another failure: it would teach nothing new.

        Neither is a course that filled the context: there is no room to reflect on it.
        """
        verdict, said = tried.verdict, _said(tried)
        if verdict.is_failed and not tried.is_full and all(_said(failure.episode) != said for failure in self.failures):
            self.failures.append(Failure(f"{self.row_index}-{self.tries}", self.tries, tried))
        self.tries += 1
        self.passes += verdict.is_passed
        self.cut_off += any(each.is_cut_off for each in tried.attempts)
        if verdict.is_abstained:
            self.withheld.append(verdict)
        self.tokens = _sum(self.tokens, tokens)


def tries_in_round(open_rows: int, tries_so_far: int, most: int) -> int:
    """Tries that each open row gets in the next round of a shard: at least 1, at most the `most - tries_so_far` left.

    One while the open rows fill a batch. After that, a few rows that the model nearly always passes would cost dozens
    of tiny batches, so they get up to as many tries at once as they have passed: 1, 1, 2, 4, 8, …. Tries sampled after
    the row's failing one are discarded uncounted; a row that passed t tries is expected (Laplace) to pass as many
    again.
    """
    return max(1, min(most - tries_so_far, tries_so_far, FULL_BATCH // open_rows))


def mine_rows(
    task: Task,
    engine: Engine,
    judge: Judge,
    settings: MineSettings,
    shard: int,
    rows: Sequence[OpenRow],
    depth: int,
    reporter: ProgressReporter,
) -> None:
    """Try the rows of a shard until each is closed or tried `depth` times. All must be open and equally often tried."""
    asked = {
        row.row_index: Episode(row.row_index, dict(row.row), (Segment("prompt", task.prompt(row.row, engine.model)),))
        for row in rows
    }
    open_rows, tries_so_far = rows, rows[0].tries if rows else 0
    round_index = tries_so_far  # A sweep has no more rounds than tries, so every round of a shard has its own index.
    # Later tries reuse the prefill of their prompt. The prefix cache lives no longer than the shard: otherwise the last
    # bit of a shard's arithmetic would depend on whether the shard before it ran in this process.
    with engine.prefix_caching():
        while open_rows and tries_so_far < depth:
            tries = tries_in_round(len(open_rows), tries_so_far, depth)
            # A row's tries are adjacent, so that an engine can share their prompt.
            drawn = [row for row in open_rows for _ in range(tries)]
            drawing = Drawing(engine, settings, shard, round_index, reporter, f"try {tries_so_far + 1}")
            requests = [asked[row.row_index] for row in drawn]
            tried = play_answers(
                task,
                judge,
                "attempt",
                requests,
                drawing,
                "",
                max_steps=settings.max_steps,
                fits=drawing.fits,
                read_calls=engine.read_calls,
            )
            for row, episode in zip(drawn, tried, strict=True):
                tokens = row.draw(episode)
                if row.is_open(settings):
                    row.count(episode, tokens)
            still_open = [row for row in open_rows if row.is_open(settings)]
            reporter.report_round(open_rows, tries_so_far, closed=len(open_rows) - len(still_open))
            open_rows, tries_so_far, round_index = still_open, tries_so_far + tries, round_index + 1


def sampling_of(settings: MineSettings, shard: int, round_index: int, stage: str = "") -> Sampling:
    """How to sample one call; see `rrr_core.seeds.mining_seed`."""
    return Sampling(
        temperature=settings.temperature,
        max_tokens=settings.max_tokens,
        top_p=settings.top_p,
        top_k=settings.top_k,
        min_p=settings.min_p,
        repetition_penalty=settings.repetition_penalty,
        seed=mining_seed(settings.seed, shard, round_index, stage),
    )


@dataclass(frozen=True, slots=True)
class Drawing:
    """Draws the texts of one round of tries, or of the rounds after it."""

    engine: Engine
    settings: MineSettings
    shard: int
    round_index: int
    reporter: ProgressReporter
    what: str = ""
    """What progress calls the texts, if the stage does not say."""

    def __call__(self, stage: str, episodes: Sequence[Episode]) -> list[Generation]:
        """A text to follow each episode, in the stage of that name."""
        if not episodes:
            return []
        sampling = sampling_of(self.settings, self.shard, self.round_index, stage)
        on_done = self.reporter.counter(", ".join(filter(None, (self.what, stage))), len(episodes))
        return self.engine.generate([conversation(each.segments) for each in episodes], sampling, on_done)

    def fits(self, episode: Episode) -> bool:
        """Whether there is room for a text after the episode."""
        return self.engine.has_room(conversation(episode.segments))


class ProgressReporter:
    """Reports closed rows and sampled answers to the progress bar; its note includes the unfinished shard's rows."""

    def __init__(self, advance: Advance, tally: Tally) -> None:
        self.advance, self.note = advance, tally.note()
        self._live = Tally(
            failures=tally.failures,
            failed_retries=tally.failed_retries,
            first_tries=tally.first_tries,
            first_try_passes=tally.first_try_passes,
        )

    def report_round(self, tried: Sequence[OpenRow], tries_so_far: int, closed: int) -> None:
        """Report the outcome of a round for the rows that were tried in it."""
        for row in tried:
            self._live.failures += sum(failure.try_index >= tries_so_far for failure in row.failures)
            if tries_so_far == 0:
                self._live.count_first(row.failures[0].try_index if row.failures else None, 1, len(row.withheld))
        self.note = self._live.note()
        self.advance(closed, self.note)

    def report_failures(self, failed_retries: int) -> None:
        """Report the retries of one round of reflections that failed."""
        self._live.failed_retries += failed_retries
        self.note = self._live.note()
        self.advance(0, self.note)

    def counter(self, what: str, wanted: int) -> Callable[[int], None]:
        """An `on_done` for one call. Answers appear in the note but do not move the bar: a row may need several."""
        done = 0

        def on_done(count: int) -> None:
            nonlocal done
            done += count
            self.advance(0, f"{self.note}, {what}: {done} of {wanted} answers")

        return on_done


def _said(episode: Episode) -> tuple[object, ...]:
    """What was written, called and judged of a first try, by which repeated ones are known."""
    return (episode.attempt.answer, *((each.text, each.calls) for each in episode.attempts))


def _sum(total: int | None, more: int | None) -> int | None:
    return None if total is None or more is None else total + more
