"""Runs one shard of rows through an evaluation: first tries, then rounds of reflection, retry and controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rrr_core.conversation import conversation
from rrr_core.episode import Episode, Generation, Segment, written
from rrr_core.evaluation.chains import Chain
from rrr_core.evaluation.controls import ALWAYS_SAMPLED, control_named
from rrr_core.evaluation.deciders import Decider, decisions_of, is_decidable
from rrr_core.evaluation.deciding import texts_per_row
from rrr_core.evaluation.settings import GREEDY, EvalSettings
from rrr_core.generation.engine import Engine, Sampling
from rrr_core.hookspecs import Message, Row
from rrr_core.progress import Advance
from rrr_core.rounds import play_round
from rrr_core.seeds import evaluation_seed
from rrr_core.tasks import Task
from rrr_core.verdicts import Verdict
from rrr_core.verification import Judge

Judged = tuple[Generation, Verdict]
"""An answer and its verdict."""

ROUND = ("reflection", "retry")
"""What a round draws, apart from its controls."""
UNNEEDED = "unneeded "
"""Before these names, for the second try of rows that were right at first."""


def stage_count(settings: EvalSettings, deciders: Sequence[Decider] = ()) -> int:
    """Most texts generated for a row in one mode."""
    return 1 + settings.rounds * (len(ROUND) + len(settings.controls)) + texts_per_row(deciders)


def _reflection(played: Episode) -> Segment | None:
    """The reflection of the last round; None if the model gave none."""
    reflection = played.rounds[-1].reflection
    return reflection if _is_answered(reflection) else None


def _is_answered(reflection: Segment) -> bool:
    """Whether the model gave it."""
    return reflection.verdict is None or not reflection.verdict.is_unanswered


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
    deciders: Sequence[Decider] = ()

    def episodes(self, rows: Sequence[tuple[int, Row]]) -> list[Episode]:
        """The rows' episodes, in order. Raises whatever task, engine and judge raise."""
        # Each stage's prompts extend those of an earlier stage. The prefix cache lives no longer than the shard:
        # otherwise the last bit of a shard's arithmetic would depend on whether the shard before it ran in this
        # process.
        with self.engine.prefix_caching():
            return self._episodes(rows)

    def _episodes(self, rows: Sequence[tuple[int, Row]]) -> list[Episode]:
        episodes = self._first_tries(rows)
        failed = [episode for episode in episodes if episode.verdict.is_failed]
        self.advance((len(rows) - len(failed)) * (stage_count(self.settings) - 1) - self._unneeded_texts(episodes))
        finished = {episode.row_index: episode for episode in self._rounds(failed)}
        episodes = [finished.get(episode.row_index, episode) for episode in episodes]
        return self._decided(episodes) if self.deciders else episodes

    def _decided(self, episodes: Sequence[Episode]) -> list[Episode]:
        """The episodes with each decider's decision, and with a second try of those that were right at first.

        It comes last, and its stages have names of their own, so that all other texts stay the same.
        """
        right = {each.row_index: each for each in episodes if each.verdict.is_passed}
        unneeded = dict(zip(right, self._round(1, list(right.values()), UNNEEDED), strict=True))
        judged = [each for each in episodes if not each.verdict.is_abstained]
        decisions = decisions_of(self.deciders, self.task, judged, self._draw_to_decide)
        asked = sum(is_decidable(each) for each in judged)
        self.advance((len(episodes) - asked) * texts_per_row(self.deciders))
        made = {
            each.row_index: replace(
                each, decisions=own, unneeded=unneeded[each.row_index].segments[2:] if each.row_index in right else ()
            )
            for each, own in zip(judged, decisions, strict=True)
        }
        return [made.get(each.row_index, each) for each in episodes]

    def _unneeded_texts(self, episodes: Sequence[Episode]) -> int:
        """How many texts the rows that are right at first get, for deciders alone."""
        return len(ROUND) * sum(each.verdict.is_passed for each in episodes) if self.deciders else 0

    def _draw_to_decide(
        self, stage: str, conversations: Sequence[Sequence[Message]], is_always_sampled: bool
    ) -> list[Generation]:
        return self._draw(stage, 1, conversations, is_always_sampled)

    def _first_tries(self, rows: Sequence[tuple[int, Row]]) -> list[Episode]:
        prompts = [self.task.prompt(row, self.engine.model) for _, row in rows]
        attempts = self._draw("first_try", 1, prompts)
        verdicts = self.judge.judge_written([(row, attempt) for (_, row), attempt in zip(rows, attempts, strict=True)])
        return [
            Episode(index, dict(row), (Segment("prompt", prompt), written("attempt", attempt, verdict)))
            for (index, row), prompt, attempt, verdict in zip(rows, prompts, attempts, verdicts, strict=True)
        ]

    def _rounds(self, failed: Sequence[Episode]) -> list[Episode]:
        """The failed episodes with their rounds, up to the first that passes, and with the controls of each round."""
        tried = {each.row_index: each for each in failed}
        chains = [Chain(control_named(key), failed) for key in self.settings.controls]
        for number in range(1, self.settings.rounds + 1):
            reached = [each for each in tried.values() if each.last_verdict.is_failed]
            self.advance((len(failed) - len(reached)) * len(ROUND))
            played = {each.row_index: each for each in self._round(number, reached)}
            tried |= played
            reflections = {row: _reflection(each) for row, each in played.items()}
            for chain in chains:
                self._control_round(number, chain, reflections, len(failed))
        return [
            replace(
                each, controls={chain.control.key: tuple(chain.answers[row]) for chain in chains if chain.answers[row]}
            )
            for row, each in tried.items()
        ]

    def _round(self, number: int, failed: Sequence[Episode], prefix: str = "") -> list[Episode]:
        """Episodes that end in a failed answer, with one more reflection and retry. `prefix` renames these two stages.

        An empty or cut-off reflection is used as it is. Without an answer to the request to reflect there is nothing to
        retry after: the retry has none either.
        """

        def draw(stage: str, episodes: Sequence[Episode]) -> list[Generation]:
            return self._draw(f"{prefix}{stage}", number, [conversation(each.segments) for each in episodes])

        played = play_round(self.task, self.engine.model, self.judge, failed, draw, _is_answered)
        self.advance(sum(each.segments[-1].role == "reflection" for each in played))
        return played

    def _control_round(self, number: int, chain: Chain, reflections: Mapping[int, Segment | None], failed: int) -> None:
        """One more try of a control at the rows that it has yet to answer right, of `failed` in the shard."""
        asked = chain.asked(self.task, self.engine.model, reflections, self.settings.seed)
        self.advance(failed - len(asked))
        rows = [chain.open[row].row for row in asked]
        chain.add(asked, self._judged(chain.control.key, number, rows, list(asked.values())))

    def _judged(
        self, stage: str, number: int, rows: Sequence[Row], conversations: Sequence[Sequence[Message]]
    ) -> list[Judged]:
        answers = self._draw(stage, number, conversations)
        verdicts = self.judge.judge_written(list(zip(rows, answers, strict=True)))
        return list(zip(answers, verdicts, strict=True))

    def _draw(
        self,
        stage: str,
        number: int,
        conversations: Sequence[Sequence[Message]],
        is_always_sampled: bool = False,
    ) -> list[Generation]:
        """A text for each conversation, in the round of that number."""
        if not conversations:
            return []
        name = stage if number == 1 else f"{stage} {number}"
        is_sampled = is_always_sampled or stage in {control.key for control in ALWAYS_SAMPLED}
        is_greedy = self.mode == GREEDY and not is_sampled
        sampling = Sampling(
            temperature=0.0 if is_greedy else self.settings.temperature,
            max_tokens=self.settings.max_tokens,
            top_p=self.settings.top_p,
            top_k=self.settings.top_k,
            min_p=self.settings.min_p,
            repetition_penalty=self.settings.repetition_penalty,
            seed=evaluation_seed(self.settings.seed, self.mode, self.shard, name),
        )
        note, reported = f"{self.mode}, {name.replace('_', ' ')}", 0

        def on_done(count: int) -> None:
            nonlocal reported
            reported += count
            self.advance(count, note)

        generations = self.engine.generate(conversations, sampling, on_done)
        self.advance(len(conversations) - reported, note)
        return generations
