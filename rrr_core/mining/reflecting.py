"""Rounds after a failing attempt: reflection and retry by the model being mined. A failed retry is a failure, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rrr_core.answering import play_round
from rrr_core.episode import Episode, Failure, total_length
from rrr_core.generation.engine import Engine
from rrr_core.mining.mined_row import Reflected
from rrr_core.mining.rounds import Drawing, OpenRow, ProgressReporter
from rrr_core.mining.settings import MineSettings
from rrr_core.tasks import Task
from rrr_core.verification import Judge


class Reflecting:
    """Plays the rounds of one sweep of a shard; `round_index` is that of the sweep's first round of tries."""

    def __init__(
        self,
        task: Task,
        engine: Engine,
        judge: Judge,
        settings: MineSettings,
        shard: int,
        round_index: int,
        reporter: ProgressReporter,
    ) -> None:
        self.task, self.engine, self.judge, self.settings = task, engine, judge, settings
        self.round_index, self.reporter = round_index, reporter
        self._drawing = Drawing(engine, settings, shard, round_index, reporter)

    def play(self, rows: Sequence[OpenRow]) -> None:
        """Play the rounds of the rows' failures of this sweep, and count them in the rows.

        Each of them gets up to one round less than the settings say: the last round is training's, which starts from
        what failed. It stops at a pass, at a withheld verdict, and at a reflection that gets no retry.
        """
        found = {
            failure.failure_id: (row, failure)
            for row in rows
            for failure in row.failures
            if failure.try_index >= self.round_index
        }
        open_failures = {name: failure.episode for name, (_, failure) in found.items()}
        with self.engine.prefix_caching():
            for number in range(1, self.settings.rounds):
                played = self._round(number, open_failures)
                for name, episode in played.items():
                    row, first = found[name]
                    row.reflected = _counted(row.reflected or Reflected(), first, number, episode)
                self.reporter.report_failures(sum(map(_is_failed, played.values())))
                open_failures = {name: episode for name, episode in played.items() if _is_failed(episode)}
        for row in rows:
            if row.reflected is not None:
                failures = sorted(row.reflected.failures, key=lambda each: (each.try_index, len(each.episode.rounds)))
                row.reflected = replace(row.reflected, failures=tuple(failures))

    def _round(self, number: int, failures: dict[str, Episode]) -> dict[str, Episode]:
        """Each episode with one more reflection, and a retry unless the reflection is empty, cut off or missing."""
        played = play_round(
            self.task,
            self.engine.model,
            self.judge,
            list(failures.values()),
            self._drawing,
            lambda reflection: bool(reflection.text.strip()) and not reflection.is_cut_off,
            (f"reflection {number}", f"retry {number}"),
            self.settings.max_steps,
            self._drawing.fits,
            self._drawing.engine.read_calls,
        )
        return dict(zip(failures, played, strict=True))


def _is_failed(episode: Episode) -> bool:
    """Whether its last round has a retry, which failed; with room in the context to reflect on it."""
    last = episode.segments[-1]
    return last.role == "retry" and last.verdict is not None and last.verdict.is_failed and not episode.is_full


def _counted(before: Reflected, first: Failure, number: int, episode: Episode) -> Reflected:
    """The sums with one more round of a failing attempt."""
    last = episode.rounds[-1]
    reflection, verdict = last.reflection, last.verdict
    tokens = total_length(last.written)
    is_judged = last.retry is not None and verdict is not None and not verdict.is_unanswered and not episode.is_full
    failed = Failure(f"{first.failure_id}-{number}", first.try_index, episode)
    return Reflected(
        reflections=before.reflections + (reflection.verdict is None),
        retries=before.retries + is_judged,
        passes=before.passes + (verdict is not None and verdict.is_passed),
        tokens=None if before.tokens is None or tokens is None else before.tokens + tokens,
        withheld=(*before.withheld, *([verdict] if verdict is not None and verdict.is_abstained else [])),
        failures=(*before.failures, *([failed] if _is_failed(episode) else [])),
    )
