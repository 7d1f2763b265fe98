"""A small sample of what training would meet: tries, reflections on failed ones, retries with and without them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from rrr_core.answering import play_answers
from rrr_core.answering.rounds import play_round
from rrr_core.config.limits import token_limit
from rrr_core.config.sections import section_class
from rrr_core.config.settings import build
from rrr_core.conversation import conversation, retry_request, with_reflection
from rrr_core.episode import Episode, Generation, Role, Segment
from rrr_core.generation.engine import Engine, Sampling
from rrr_core.hookspecs import Row
from rrr_core.probing.estimates import Passes
from rrr_core.probing.settings import ProbeSettings
from rrr_core.probing.waves import waves
from rrr_core.progress import Progress
from rrr_core.seeds import check_seed
from rrr_core.tasks import Task
from rrr_core.tasks.presets import checked_presets
from rrr_core.verification import Judge

FIRST = "first try"
STAGES = (
    FIRST,
    "reflection",
    "retry",
    "retry again",
    "retry without",
    "retry after another's",
    "retry after gold",
    "retry after written",
)
"""What is drawn, in order; the later actions of courses have names of their own."""


@dataclass(frozen=True, slots=True)
class Group:
    """Whether G retries on one failed try passed, in each of six ways.

    A None is a withheld verdict, or stands where there was nothing to retry after: no other row's reflection, no gold
    answer, no reflection that the task has written. Where neither a first try nor a retry has passed, `again` is all
    None, and each other way has one retry a group.
    """

    retries: Passes
    """After each of its G reflections."""
    again: Passes
    """A second retry after each reflection."""
    plain: Passes
    """Without a reflection."""
    others: Passes
    """After other rows' reflections."""
    gold: Passes
    """After the row's gold answer in place of a reflection."""
    written: Passes = ()
    """After a reflection that the task has written."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured."""

    tries: Sequence[Passes]
    """For each row."""
    classes: Counter[str]
    """Error class → failed tries."""
    groups: Sequence[Group]
    """One for each row with a failed try; none of first tries alone."""
    group_size: int
    batch_groups: int
    """Groups in one step of training."""
    cut_off: Mapping[str, tuple[int, int]]
    """What was written (`first try`, `reflection`, `retry`) → how many texts were cut off, of how many."""
    formless: tuple[int, int] | None
    """Failed tries in which the task finds no answer, of all failed ones; None if the task does not look for one."""
    distinct: float | None
    """Mean share of different texts among the reflections on one failure; None without a failure."""
    left_out: int = 0
    """Rows that were not tried for want of time."""


_TAKEN = {
    "mine": ("temperature", "max_tokens"),
    "train": ("temperature", "group_size", "batch_size", "max_reflection_tokens", "max_retry_tokens"),
}
"""Section → what a probe's settings say of it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the sample is drawn: as the task's demo mines and trains, and by the defaults where it has none."""

    mine: Any
    """Settings of mining."""
    train: Any
    """Settings of training."""
    tries: int = ProbeSettings.tries
    """Tries of each row."""

    @classmethod
    def of(cls, task: Task, settings: ProbeSettings | None = None) -> Plan:
        """The plan, with what the settings say otherwise. Raises PluginError for presets that cannot be set."""
        settings = settings or ProbeSettings()
        given = {name: value for name, value in asdict(settings).items() if value is not None}
        presets = checked_presets(task, "demo")
        mine, train = (
            build(
                section_class(section),
                presets.get(section, {}),
                {name: given[name] for name in names if name in given},
            )
            for section, names in _TAKEN.items()
        )
        return cls(mine, train, settings.tries)


class Sampler:
    """Draws the sample of one task from one engine."""

    def __init__(self, task: Task, engine: Engine, judge: Judge, plan: Plan, progress: Progress) -> None:
        self.task, self.engine, self.judge, self.plan, self.progress = task, engine, judge, plan, progress
        self._cut_off: Counter[str] = Counter()
        self._written: Counter[str] = Counter()
        self._distinct: list[float] = []
        self._wave = self._rows = 0

    def sample(self, rows: Sequence[Row], *, reflects: bool = True, seconds: float | None = None) -> Sample:
        """First tries and, if it `reflects`, what follows failed ones. Raises what task, engine and judge raise.

        With a limit in seconds, rows that would probably not be done in time are left out.
        """
        tries: list[list[Episode]] = []
        groups: list[Group] = []
        stages = len(STAGES) if reflects else 1
        with self.engine.prefix_caching():
            for self._wave, wave in enumerate(waves(rows, seconds)):
                self._rows = len(wave)
                # A bar for each wave: how many more rows there is time for is not known yet.
                title = f"Probing {self.task.name}{_part(len(tries), len(wave), len(rows))}"
                with self.progress.track(title, stages * len(wave)) as self.advance:
                    drawn = self._first_tries(wave)
                    tries += drawn
                    groups += self._groups(drawn) if reflects else []
        failed = [each for row in tries for each in row if each.verdict.is_failed]
        return Sample(
            tries=[[_passed(each) for each in row] for row in tries],
            classes=Counter(each.verdict.category for each in failed),
            groups=groups,
            group_size=self.plan.train.group_size,
            batch_groups=max(1, self.plan.train.batch_size // self.plan.train.group_size),
            cut_off={each: (self._cut_off[each], count) for each, count in self._written.items()},
            formless=self._formless(failed),
            distinct=fmean(self._distinct) if self._distinct else None,
            left_out=len(rows) - len(tries),
        )

    def _first_tries(self, rows: Sequence[Row]) -> list[list[Episode]]:
        """The first tries of each row."""
        prompts = [Segment("prompt", self.task.prompt(row, self.engine.model)) for row in rows]
        asked = [
            Episode(place, row, (prompt,))
            for place, (row, prompt) in enumerate(zip(rows, prompts, strict=True))
            for _ in range(self.plan.tries)
        ]
        tries = self._answers("attempt", asked, FIRST, self.plan.mine, self.plan.mine.max_tokens)
        return [tries[place * self.plan.tries : (place + 1) * self.plan.tries] for place in range(len(rows))]

    def _formless(self, failed: Sequence[Episode]) -> tuple[int, int] | None:
        """The failed tries without an answer in the task's form. In steps the answer is what they lead to."""
        if self.task.has_steps or not self.task.implements("rrr_final_answer"):
            return None
        return sum(self.task.final_answer(each.row, each.attempt.text) is None for each in failed), len(failed)

    def _groups(self, tries: Sequence[Sequence[Episode]]) -> list[Group]:
        """G reflections on a failed try of each row, two retries after each, and as many retries without."""
        from rrr_core.evaluation.borrowing import lenders

        model, size = self.engine.model, self.plan.train.group_size
        found = (next((each for each in row if each.verdict.is_failed), None) for row in tries)
        failures = [each for each in found if each is not None]
        repeated = [each for each in failures for _ in range(size)]

        def draw(stage: str, episodes: Sequence[Episode]) -> list[Generation]:
            return self._draw(stage, episodes, self.plan.train, self.plan.train.max_reflection_tokens)

        def given(failure: Episode, text: str | None) -> Episode | None:
            return None if text is None else with_reflection(self.task, failure, text, model)

        played = play_round(self.task, model, self.judge, repeated, draw, lambda _: False, fits=self._fits)
        reflected = [each if each.segments[-1].verdict is None else None for each in played]
        for start in range(0, len(reflected), size):
            own = [each.segments[-1].text for each in reflected[start : start + size] if each is not None]
            self._distinct += [len(set(own)) / len(own)] if own else []
        # The n-th reflections on all failures change places with each other.
        lent: dict[int, str] = {}
        for place in range(size):
            texts = {row: each.segments[-1].text for row, each in enumerate(reflected) if each and row % size == place}
            lent |= {row: texts[lender] for row, lender in lenders(texts, texts, seed=0).items()}
        gold = [self.task.gold_answer(each.row) for each in failures]
        written = [self.task.worked_reflection(each.row, each.segments[-1].answer) for each in failures]
        first = self._retried("retry", reflected)
        arms: dict[str, Sequence[Episode | None]] = {
            "retry again": reflected,
            "retry without": repeated,
            "retry after another's": [given(each, lent.get(place)) for place, each in enumerate(repeated)],
            "retry after gold": [given(each, gold[place // size]) for place, each in enumerate(repeated)],
            "retry after written": [given(each, written[place // size]) for place, each in enumerate(repeated)],
        }
        if not any(first) and not any(each.verdict.is_passed for row in tries for each in row):
            # A second retry would pick nothing, and one retry of each failure says whether anything else helps.
            arms = {name: _one_in(0 if name == "retry again" else size, arm) for name, arm in arms.items()}
        passed = [first, *(self._retried(stage, before) for stage, before in arms.items())]
        return [Group(*(arm[start : start + size] for arm in passed)) for start in range(0, len(repeated), size)]

    def _retried(self, stage: str, before: Sequence[Episode | None]) -> list[bool | None]:
        """Whether a retry after each of these passes; None where there is nothing to follow."""
        asked = {
            place: each.extended(retry_request(self.task, each, self.engine.model))
            for place, each in enumerate(before)
            if each is not None
        }
        played = self._answers("retry", list(asked.values()), stage, self.plan.train, self.plan.train.max_retry_tokens)
        passed = dict(zip(asked, map(_passed, played), strict=True))
        return [passed.get(place) for place in range(len(before))]

    def _answers(self, role: Role, asked: Sequence[Episode], stage: str, how: Any, tokens: int) -> list[Episode]:
        def draw(stage: str, episodes: Sequence[Episode]) -> list[Generation]:
            return self._draw(stage, episodes, how, tokens)

        return play_answers(
            self.task,
            self.judge,
            role,
            asked,
            draw,
            stage,
            how.max_steps,
            fits=self._fits,
            read_calls=self.engine.read_calls,
        )

    def _fits(self, episode: Episode) -> bool:
        return self.engine.has_room(conversation(episode.segments))

    def _draw(self, stage: str, episodes: Sequence[Episode], how: Any, tokens: int) -> list[Generation]:
        """A text after each episode. `how` are the settings of mining or training, which have the temperature."""
        sampling = Sampling(
            temperature=how.temperature,
            max_tokens=token_limit(tokens, self.engine.thinks),
            seed=check_seed(f"{stage} {self._wave}" if self._wave else stage),
        )
        done = 0

        def on_done(count: int) -> None:
            nonlocal done
            done += count
            self.advance(0, f"{stage}: {done} of {len(episodes)}")

        made = self.engine.generate([conversation(each.segments) for each in episodes], sampling, on_done)
        # The courses of a task with steps have names of their own, and each action is a text.
        kind = next((kind for kind in (FIRST, "reflection") if stage.startswith(kind)), "retry")
        self._cut_off[kind] += sum(each.is_cut_off for each in made)
        self._written[kind] += len(made)
        self.advance(self._rows if stage in STAGES else 0, stage)
        return made


def _one_in(size: int, arm: Sequence[Episode | None]) -> list[Episode | None]:
    """The first of each `size` episodes, with None in place of the others; no episode for a size of 0."""
    return [each if size and place % size == 0 else None for place, each in enumerate(arm)]


def _passed(played: Episode) -> bool | None:
    verdict = played.last_verdict
    return None if verdict.is_abstained else verdict.is_passed


def _part(done: int, size: int, rows: int) -> str:
    """Which of the rows a wave draws, for the bar's title; nothing if it draws all.

    >>> _part(4, 12, 64), _part(0, 64, 64)
    (', rows 5 to 16 of 64', '')
    """
    return "" if size == rows else f", rows {done + 1} to {done + size} of {rows}"
