"""Runs one shard of rows through an evaluation: first tries, then rounds of reflection, retry and controls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from rrr_core.answering import Draw, play_answers, play_courses, play_round, texts_per_answer
from rrr_core.conversation import conversation
from rrr_core.episode import Episode, Generation, Segment, total_length
from rrr_core.evaluation.chains import Chain
from rrr_core.evaluation.controls import control_named
from rrr_core.evaluation.deciders import Decider, decisions_of, is_decidable
from rrr_core.evaluation.deciding import texts_per_row
from rrr_core.evaluation.settings import GREEDY, EvalSettings
from rrr_core.generation.engine import Engine, Sampling
from rrr_core.hookspecs import Message, Row
from rrr_core.progress import Advance
from rrr_core.seeds import evaluation_seed
from rrr_core.tasks import Task
from rrr_core.verification import Judge

UNNEEDED = "unneeded "
"""Before the names of a round's stages, for the second try of rows that were right at first."""


def stage_count(settings: EvalSettings, deciders: Sequence[Decider] = (), steps: int = 1) -> int:
    """Most texts generated for a row in one mode, if an answer takes up to that many steps."""
    answers = 1 + settings.rounds * (1 + len(settings.controls))
    return answers * steps + settings.rounds + texts_per_row(deciders, steps)


def _reflection(played: Episode) -> Segment | None:
    """The reflection of the last round; None if the model gave none."""
    reflection = played.rounds[-1].reflection
    return reflection if reflection.verdict is None else None


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
    _drawn: int = 0
    """Texts so far."""

    @property
    def steps(self) -> int:
        """Most texts of an answer."""
        return texts_per_answer(self.task, self.settings.max_steps)

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
        later = stage_count(self.settings, steps=self.steps) - self.steps
        self.advance((len(rows) - len(failed)) * later - self._unneeded_texts(episodes))
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
        decisions = decisions_of(self.deciders, self.task, judged, self._draw_to_decide, self._sampled_answers)
        asked = sum(is_decidable(each) for each in judged)
        self.advance((len(episodes) - asked) * texts_per_row(self.deciders, self.steps))
        made = {
            each.row_index: replace(
                each,
                decisions=own,
                unneeded=unneeded[each.row_index].segments[len(each.segments) :] if each.row_index in right else (),
            )
            for each, own in zip(judged, decisions, strict=True)
        }
        return [made.get(each.row_index, each) for each in episodes]

    def _unneeded_texts(self, episodes: Sequence[Episode]) -> int:
        """How many texts the rows that are right at first get, for deciders alone."""
        return (1 + self.steps) * sum(each.verdict.is_passed for each in episodes) if self.deciders else 0

    def _draw_to_decide(self, stage: str, conversations: Sequence[Sequence[Message]]) -> list[Generation]:
        """A text for each conversation; after a course that left no room for one, a text that is cut off at once."""
        has_room = [not self.task.has_steps or self.engine.has_room(each) for each in conversations]
        made = iter(self._draw(stage, [each for each, has in zip(conversations, has_room, strict=True) if has]))
        self.advance(has_room.count(False))
        return [next(made) if has else Generation("", finish="length", counted=0) for has in has_room]

    def _sampled_answers(self, stage: str, prompts: Sequence[Episode]) -> list[Generation]:
        """One more first answer to each prompt, sampled in greedy mode too. No verifier is asked about it."""
        if not self.task.has_steps:
            return self._draw(stage, [conversation(each.segments) for each in prompts], is_always_sampled=True)
        draw = self._drawing(is_always_sampled=True)
        with self._at_most(self.steps * len(prompts)):
            courses = play_courses(self.judge, "attempt", prompts, draw, stage, self.steps, **self._reading)
        return [_as_one_text(each) for each in courses]

    def _first_tries(self, rows: Sequence[tuple[int, Row]]) -> list[Episode]:
        asked = [
            Episode(index, dict(row), (Segment("prompt", self.task.prompt(row, self.engine.model)),))
            for index, row in rows
        ]
        return self._answered(asked, "first_try")

    def _answered(self, asked: Sequence[Episode], stage: str, is_always_sampled: bool = False) -> list[Episode]:
        """Prompts with judged first answers."""
        draw = self._drawing(is_always_sampled)
        with self._at_most(self.steps * len(asked)):
            return play_answers(self.task, self.judge, "attempt", asked, draw, stage, self.steps, **self._reading)

    def _rounds(self, failed: Sequence[Episode]) -> list[Episode]:
        """The failed episodes with their rounds, up to the first that passes, and with the controls of each round."""
        tried = {each.row_index: each for each in failed}
        chains = [Chain(control_named(key), failed) for key in self.settings.controls]
        for number in range(1, self.settings.rounds + 1):
            reached = [each for each in tried.values() if each.last_verdict.is_failed]
            self.advance((len(failed) - len(reached)) * (1 + self.steps))
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
        names = _in_round(f"{prefix}reflection", number), _in_round(f"{prefix}retry", number)
        with self._at_most((1 + self.steps) * len(failed)):
            return play_round(
                self.task,
                self.engine.model,
                self.judge,
                failed,
                self._drawing(),
                stages=names,
                max_steps=self.steps,
                **self._reading,
            )

    def _control_round(self, number: int, chain: Chain, reflections: Mapping[int, Segment | None], failed: int) -> None:
        """One more try of a control at the rows that it has yet to answer right, of `failed` in the shard."""
        asked = chain.asked(self.task, self.engine.model, reflections, self.settings.seed)
        self.advance((failed - len(asked)) * self.steps)
        control = chain.control
        chain.add(self._answered(asked, _in_round(control.key, number), control.is_always_sampled))

    def _drawing(self, is_always_sampled: bool = False) -> Draw:
        """What draws a text to follow each episode, in the stage of a name."""
        return lambda stage, episodes: self._draw(
            stage, [conversation(each.segments) for each in episodes], is_always_sampled
        )

    @property
    def _reading(self) -> dict[str, Any]:
        """What a course asks of the engine besides its texts."""
        return {"fits": self._fits, "read_calls": self.engine.read_calls}

    def _fits(self, episode: Episode) -> bool:
        """Whether the model's context leaves room for a text after the episode."""
        return self.engine.has_room(conversation(episode.segments))

    @contextmanager
    def _at_most(self, texts: int) -> Iterator[None]:
        """Draws in it; those of so many texts that were not needed are counted as done, so that progress ends full."""
        before = self._drawn
        yield
        self.advance(texts - (self._drawn - before))

    def _draw(
        self, name: str, conversations: Sequence[Sequence[Message]], is_always_sampled: bool = False
    ) -> list[Generation]:
        """A text for each conversation, in the stage of that name."""
        if not conversations:
            return []
        is_greedy = self.mode == GREEDY and not is_always_sampled
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
        self._drawn += len(conversations)
        return generations


def _in_round(stage: str, number: int) -> str:
    """The name of a stage in the round of that number."""
    return stage if number == 1 else f"{stage} {number}"


def _as_one_text(course: Episode) -> Generation:
    """What a course came to, as one answer of all its tokens; a fault of its step is an answer that is missing."""
    last = course.attempt
    why = last.verdict.category if last.verdict is not None and last.verdict.is_abstained else ""
    return Generation(last.answer, missing=why, counted=total_length(course.attempts))
