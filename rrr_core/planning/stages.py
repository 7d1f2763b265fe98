"""What each stage of a run computes: its settings, the texts' lengths and the pass rates, as counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from rrr_core.evaluation.controls import INDEPENDENT, NO_REFLECTION, OTHER_REFLECTION
from rrr_core.evaluation.settings import GREEDY, EvalSettings
from rrr_core.mining.settings import MineSettings
from rrr_core.planning.lengths import Lengths, Texts
from rrr_core.planning.rates import Behaviour
from rrr_core.planning.tries import Played, play_mining
from rrr_core.planning.work import Asked, Engine, Work, work_of

YES_OR_NO = Lengths((3.0,))
"""The reply to a decider's question."""


@dataclass(frozen=True, slots=True)
class Conversations:
    """What the requests of an episode look like, with the texts as long as they are."""

    texts: Texts
    limit: float
    """The most tokens of each text."""

    def first(self, count: float, distinct: float) -> Asked:
        """First answers to so many prompts, of which so many are read for the first time."""
        texts = self.texts
        fresh = distinct * (texts.prompt.mean - texts.shared) + (texts.shared if distinct else 0) + (count - distinct)
        return self._answers(count, texts.prompt.mean, fresh, texts.attempt, self._longer_prompt)

    def reflections(self, count: float, unread: float | None = None) -> Asked:
        """A reflection on each of so many failed answers, which were read and written just now.

        With `unread`, so many distinct ones are read as a whole, and the others are further reflections on these.
        """
        texts = self.texts
        if unread is None:
            fresh = count * (texts.reflect + 1 if texts.extends else texts.reflected_on - texts.prompt.mean)
        else:
            fresh = unread * texts.reflected_on + count - unread
        return Asked(count, texts.reflected_on, fresh, texts.reflection, self.limit, self._longer)

    def retries(self, count: float) -> Asked:
        """A retry after each of so many reflections."""
        texts = self.texts
        given = texts.reflected_on + texts.reflection.mean * texts.reflection_shown + texts.again
        new = texts.again + 1 if texts.extends else given - texts.prompt.mean
        longer = self._longer + (texts.reflection.longest - texts.reflection.mean) * texts.reflection_shown
        return self._answers(count, given, count * new, texts.retry, longer)

    def at_once(self, count: float) -> Asked:
        """A retry of each without a reflection."""
        texts = self.texts
        given = texts.reflected_on - texts.reflect + texts.again
        return self._answers(count, given, count * (texts.again + 1), texts.retry, self._longer)

    def after_anothers(self, count: float) -> Asked:
        """A retry of each after another row's reflection, which is new to its context."""
        asked = self.retries(count)
        new = self.texts.reflection.mean * self.texts.reflection_shown + self.texts.again + 1
        return self._answers(count, asked.given, count * new, self.texts.retry, asked.longer)

    @property
    def _longer_prompt(self) -> float:
        return self.texts.prompt.longest - self.texts.prompt.mean

    @property
    def _longer(self) -> float:
        return self._longer_prompt + (self.texts.attempt.longest - self.texts.attempt.mean) * self.texts.shown

    def _answers(self, count: float, given: float, fresh: float, written: Lengths, longer: float) -> Asked:
        texts = self.texts
        limit = self.limit * texts.actions
        return Asked(count, given, fresh, written, limit, longer, texts.actions, texts.observed, judged=True)


@dataclass(frozen=True, slots=True)
class Stage:
    """What a stage takes in all, and what it samples in one context of its prefix cache."""

    work: Work
    together: tuple[Asked, ...]


def mining(
    settings: MineSettings, texts: Texts, behaviour: Behaviour, rows: int, engine: Engine
) -> tuple[Stage, Played]:
    """Mining, and what it came to."""
    played = play_mining(settings, behaviour.sampled, rows)
    talk = Conversations(texts, settings.max_tokens)
    work, unread = Work(), played.rows
    for together, times in played.calls.items():
        # A row's prompt is read at its first try.
        distinct = min(unread, together * times)
        unread -= distinct
        work += talk.first(together, distinct / times).work(engine) * times
    shards = max(played.rows / settings.shard_rows, 1.0)
    failed, rounds = played.failures / shards, []
    for _ in range(1, settings.rounds):
        rounds += [talk.reflections(failed), talk.retries(failed * (1 - behaviour.without_retry))]
        failed *= max(1 - behaviour.without_retry - behaviour.retries.mean, 0.0)
    work = (work + work_of(rounds, engine) * shards) * played.scale
    in_a_shard = min(float(settings.shard_rows), played.rows)
    tries = talk.first(played.tries / shards, in_a_shard)
    full = talk.first(in_a_shard, in_a_shard)
    return Stage(work, (full, replace(tries, count=max(tries.count - full.count, 0.0)), *rounds)), played


def evaluation(
    settings: EvalSettings, texts: Texts, behaviour: Behaviour, rows: int, engine: Engine, deciders: DeciderTexts
) -> Stage:
    """The evaluation of one model, over all modes."""
    talk = Conversations(texts, settings.max_tokens)
    work, largest = Work(), tuple[Asked, ...]()
    sizes = {settings.shard_rows: rows // settings.shard_rows, rows % settings.shard_rows: 1}
    for mode in settings.modes:
        passes = behaviour.greedy if mode == GREEDY else behaviour.sampled.mean
        for size, times in sizes.items():
            if size and times:
                asked = (*_shard(settings, talk, behaviour, size, passes), *deciders(talk, size, passes))
                work += work_of(asked, engine) * times
                largest = max(largest, asked, key=lambda each: sum(one.kept for one in each))
    return Stage(work, largest)


DeciderTexts = Callable[[Conversations, float, float], list[Asked]]
"""What deciders have written for so many rows, of which a share passes at first."""


def no_deciders(_talk: Conversations, _rows: float, _passes: float) -> list[Asked]:
    """Without `--decide`."""
    return []


def of_deciders(texts: int, samples: int) -> DeciderTexts:
    """Deciders that ask so many questions and take so many samples of each row; right answers get a second try too."""

    def asked(talk: Conversations, rows: float, passes: float) -> list[Asked]:
        given = talk.texts.reflected_on
        questions = Asked(rows * texts, given, rows * texts * talk.texts.reflect, YES_OR_NO, talk.limit)
        samples_of = [talk.first(rows, 0) for _ in range(samples)]
        return [talk.reflections(rows * passes), talk.retries(rows * passes), questions, *samples_of]

    return asked


def _shard(
    settings: EvalSettings, talk: Conversations, behaviour: Behaviour, rows: float, passes: float
) -> list[Asked]:
    failed = rows * (1 - passes)
    asked = [talk.first(rows, rows)]
    kinds: dict[str, Callable[[float], Asked]] = {
        NO_REFLECTION.key: talk.at_once,
        OTHER_REFLECTION.key: talk.after_anothers,
        INDEPENDENT.key: lambda count: talk.first(count, 0),
    }
    # Of the controls' own pass rates nothing is known, so they are taken to go on as long as the rounds do.
    left = failed
    for _ in range(settings.rounds):
        asked += [talk.reflections(left), talk.retries(left)]
        asked += [kinds.get(control, talk.after_anothers)(left) for control in settings.controls]
        left *= 1 - behaviour.retries.mean
    return asked
