"""Runs one shard of rows through every stage of an evaluation: first try, reflection, retry, controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rrr_core.conversation import conversation, reflection_request, retry_request
from rrr_core.episode import Episode, Generation, Segment, written
from rrr_core.evaluation.controls import ALWAYS_SAMPLED, FailedRows, control_named
from rrr_core.evaluation.settings import GREEDY, EvalSettings
from rrr_core.generation.engine import Engine, Sampling
from rrr_core.hookspecs import Message, Row
from rrr_core.progress import Advance
from rrr_core.seeds import evaluation_seed
from rrr_core.tasks import Task
from rrr_core.verdicts import Verdict, no_answer
from rrr_core.verification import Judge

Judged = tuple[Generation, Verdict]
"""An answer and its verdict."""

ALWAYS = ("first_try", "reflection", "retry")


def stage_count(settings: EvalSettings) -> int:
    """Texts generated for a failed row in one mode."""
    return len(ALWAYS) + len(settings.controls)


@dataclass
class ShardEvaluation:
    """The evaluation of one shard in one mode.

    Its result depends only on its rows, the settings, the mode, the shard's number and the model, not on what ran
    before. A killed run therefore redoes whole shards and ends with the same result as an uninterrupted one.
    """

    task: Task
    engine: Engine
    judge: Judge
    settings: EvalSettings
    mode: str
    shard: int
    advance: Advance

    def episodes(self, rows: Sequence[tuple[int, Row]]) -> list[Episode]:
        """The rows' episodes, in order. Raises whatever task, engine and judge raise."""
        # Each stage's prompts extend those of an earlier stage. The prefix cache lives no longer than the shard:
        # otherwise the last bit of a shard's arithmetic would depend on whether the shard before it ran in this
        # process.
        with self.engine.prefix_caching():
            return self._episodes(rows)

    def _episodes(self, rows: Sequence[tuple[int, Row]]) -> list[Episode]:
        prompts = [self.task.prompt(row, self.engine.model) for _, row in rows]
        attempts = self._draw("first_try", prompts)
        verdicts = self.judge.judge_written([(row, attempt) for (_, row), attempt in zip(rows, attempts, strict=True)])
        episodes = [
            Episode(index, dict(row), (Segment("prompt", prompt), written("attempt", attempt, verdict)))
            for (index, row), prompt, attempt, verdict in zip(rows, prompts, attempts, verdicts, strict=True)
        ]
        failed = [episode for episode in episodes if episode.verdict.is_failed]
        self.advance((len(rows) - len(failed)) * (stage_count(self.settings) - 1))
        finished = {episode.row_index: episode for episode in self._second_tries(failed)}
        return [finished.get(episode.row_index, episode) for episode in episodes]

    def _second_tries(self, failed: Sequence[Episode]) -> list[Episode]:
        """The failed episodes with reflection, retry and controls. An empty or cut-off reflection is used as it is.

        Without an answer to the request to reflect there is nothing to retry after: the second try has none either.
        """
        asked = [each.extended(reflection_request(self.task, each, self.engine.model)) for each in failed]
        reflections = self._draw("reflection", [conversation(each.segments) for each in asked])
        self.judge.unanswered.count(reflections)
        reflected = [
            each.extended(written("reflection", made, no_answer(made.missing) if made.missing else None))
            for each, made in zip(asked, reflections, strict=True)
        ]
        again = {
            place: each.extended(retry_request(self.task, each, self.engine.model))
            for place, each in enumerate(reflected)
            if not reflections[place].missing
        }
        self.advance(len(failed) - len(again))
        retried = self._judged(
            "retry", [failed[place] for place in again], [conversation(each.segments) for each in again.values()]
        )
        retries = dict(zip(again, retried, strict=True))
        controls = self._controls(
            failed,
            [None if made.missing else each.segments[-1] for each, made in zip(reflected, reflections, strict=True)],
        )
        return [
            replace(
                again[place].extended(written("retry", *retries[place])) if place in retries else each,
                controls={
                    name: (answers[place][0].text, answers[place][1])
                    for name, answers in controls.items()
                    if place in answers
                },
            )
            for place, each in enumerate(reflected)
        ]

    def _controls(
        self, failed: Sequence[Episode], reflections: Sequence[Segment | None]
    ) -> dict[str, dict[int, Judged]]:
        """Control → index in `failed` → answer and verdict, for the rows that the control can be run on."""
        rows = FailedRows(self.task, self.engine.model, failed, reflections, self.settings.seed)
        made = {key: control_named(key).conversations(rows) for key in self.settings.controls}
        controls = {}
        for key, conversations in made.items():
            asked = {place: given for place, given in enumerate(conversations) if given is not None}
            self.advance(len(failed) - len(asked))
            judged = self._judged(key, [failed[place] for place in asked], list(asked.values()))
            controls[key] = dict(zip(asked, judged, strict=True))
        return controls

    def _judged(
        self, stage: str, episodes: Sequence[Episode], conversations: Sequence[Sequence[Message]]
    ) -> list[Judged]:
        answers = self._draw(stage, conversations)
        verdicts = self.judge.judge_written(
            [(each.row, answer) for each, answer in zip(episodes, answers, strict=True)]
        )
        return list(zip(answers, verdicts, strict=True))

    def _draw(self, stage: str, conversations: Sequence[Sequence[Message]]) -> list[Generation]:
        if not conversations:
            return []
        is_greedy = self.mode == GREEDY and stage not in {control.key for control in ALWAYS_SAMPLED}
        sampling = Sampling(
            temperature=0.0 if is_greedy else self.settings.temperature,
            max_tokens=self.settings.max_tokens,
            top_p=self.settings.top_p,
            top_k=self.settings.top_k,
            min_p=self.settings.min_p,
            repetition_penalty=self.settings.repetition_penalty,
            seed=evaluation_seed(self.settings.seed, self.mode, self.shard, stage),
        )
        note, reported = f"{self.mode}, {stage.replace('_', ' ')}", 0

        def on_done(count: int) -> None:
            nonlocal reported
            reported += count
            self.advance(count, note)

        generations = self.engine.generate(conversations, sampling, on_done)
        self.advance(len(conversations) - reported, note)
        return generations
