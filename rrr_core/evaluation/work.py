"""Evaluates one shard in one mode. Who calls it, and who writes, is not its concern."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rrr_core.answering import texts_per_answer
from rrr_core.episode import Episode
from rrr_core.evaluation.controls import read_evaluated
from rrr_core.evaluation.deciders import Decider
from rrr_core.evaluation.settings import EvalSettings
from rrr_core.evaluation.shards import ShardEvaluation, stage_count
from rrr_core.generation.engine import Engine
from rrr_core.processes.shards import ShardJob
from rrr_core.profiling.profile import Profile
from rrr_core.progress import Advance
from rrr_core.tasks import Task
from rrr_core.verdicts import Verdict
from rrr_core.verification import Judge


def _unseen(count: int, note: str = "") -> None:
    pass


@dataclass(frozen=True)
class EvaluationWork:
    """Makes the episodes of a shard, with this process's engine, judge and deciders."""

    task: Task
    engine: Engine
    judge: Judge
    settings: EvalSettings
    """With `max_tokens` as the engine needs it (`rrr_core.config.limits.token_limit`)."""
    deciders: Sequence[Decider] = ()
    advance: Advance = _unseen
    """What the texts of a shard are reported to."""

    @property
    def texts(self) -> int:
        """Most texts for a row in one mode."""
        return stage_count(self.settings, self.deciders, texts_per_answer(self.task, self.settings.max_steps))

    @property
    def profile(self) -> Profile:
        """What measures engine and judge."""
        return self.judge.profile

    def make(self, job: ShardJob) -> list[Episode]:
        """The episodes of the shard's rows, in order."""
        makers = self.task, self.engine, self.judge, self.settings
        return ShardEvaluation(*makers, job.mode, job.number, self.advance, self.deciders).episodes(job.rows)

    def read(self, record: Any, place: str) -> Episode:
        """An episode from JSON. Raises DataError naming `place`."""
        return read_evaluated(record, place)

    def recall(self, finished: Sequence[Episode]) -> None:
        """Count what an earlier call or another process evaluated, so that the limits hold for all."""
        given = list(_verdicts(finished))
        self.judge.recall(len(given), [verdict for verdict in given if verdict.is_abstained])
        self.judge.unanswered.recall(sum(map(_unjudged, finished)), ())
        for decider in self.deciders:
            decider.recall([each.decisions[decider.name] for each in finished if decider.name in each.decisions])

    def finish(self) -> None:
        """Check the limits. Raises TooManyAbstentions or TooManyWithoutAnswer."""
        self.judge.finish()
        for decider in self.deciders:
            decider.finish()


def _verdicts(episodes: Sequence[Episode]) -> Iterator[Verdict]:
    for episode in episodes:
        written = (*episode.segments, *episode.unneeded)
        yield from (segment.verdict for segment in written if segment.verdict is not None)
        yield from (verdict for answers in episode.controls.values() for _, verdict in answers)


def _unjudged(episode: Episode) -> int:
    """Texts of an episode without a verdict: its reflections, and the actions of its courses but for the last."""
    written = (*episode.segments, *episode.unneeded)
    return sum(not segment.is_read and segment.verdict is None for segment in written)
