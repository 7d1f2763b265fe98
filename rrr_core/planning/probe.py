"""The probe: a few rows of the task are played with the model here, and timed, and so is a training pass.

It takes seconds for a small model. The lengths of texts, the pass rates and the speeds of the plan come from it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice

from rrr_core.answering import play_answers, play_round
from rrr_core.conversation import conversation
from rrr_core.episode import Episode, Generation, Segment, total_length
from rrr_core.errors import DataError
from rrr_core.evaluation.settings import GREEDY
from rrr_core.generation.engine import Engine, Sampling
from rrr_core.pipeline.opening import OpenTask
from rrr_core.pipeline.settings import RunSettings
from rrr_core.planning.budget import Budget, Clock
from rrr_core.planning.fit_speeds import Call, fit_speeds
from rrr_core.planning.lengths import Lengths, Limits, Texts
from rrr_core.planning.rates import Behaviour, fitted
from rrr_core.planning.rendered import Rendered
from rrr_core.planning.speeds import Speeds
from rrr_core.profiling.profile import Profile
from rrr_core.verification import Judge

ROWS = 64
"""Most rows that are tried."""
TRIES = 3
"""Most tries of a row, to see how much rows differ."""
REFLECTED, MEMBERS = 12, 4
"""Failures that are reflected on, and how often each of them."""
MANY_CUT = 0.05
"""Share of texts cut off above which nobody knows how long they become."""
FEW = 4
"""Rows of a small batch, which shows what a decoding step costs however many rows it has."""

ANSWERS, ROUNDS = TRIES + 2, 2
"""Calls that answer rows: a small batch, the tries and the greedy ones; and those of a reflection and its retry."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What a probe found about one task."""

    texts: Texts
    behaviour: Behaviour
    calls: tuple[Call, ...]
    verdict_seconds: float
    rows: int
    is_cut: bool
    """Whether so many texts were cut off that nobody knows how long they become."""
    notes: tuple[str, ...] = ()


@dataclass
class Player:
    """Plays rows of one task with an engine, and times each call."""

    each: OpenTask
    engine: Engine
    settings: RunSettings
    rendered: Rendered
    limits: Limits
    seconds: float
    """About how long the probe may take."""
    clock: Clock = time.perf_counter
    calls: list[Call] = field(default_factory=list)
    made: int = 0
    """Texts that were written."""
    cut: int = 0
    """Texts that the probe cut off before their own limit."""
    shortest: int = 0
    """After how many tokens a text was cut off at the earliest."""
    _shortens: bool = False
    """Whether the last call had less than its own limit."""
    _budget: Budget = field(init=False)

    def __post_init__(self) -> None:
        # Courses rarely take all the steps that they may.
        steps = (self._steps + 1) // 2
        self._budget = Budget(self.seconds, (ANSWERS + 1) * steps + 3, self.clock)

    def play(self) -> Probed:
        """Try, reflect, try again. Raises what task and engine raise, and DataError for a task without rows."""
        profile = Profile(clock=self.clock)
        settings, task = self.settings, self.each.task
        rows = list(islice(iter(task.load_dataset("train", self.each.data)), min(ROWS, settings.mine.rows)))
        if not rows:
            raise DataError(f"The train split of task {task.name!r} has no rows: check the `--data` options.")
        with Judge(task, settings=settings.verify, profile=profile) as judge:
            asked = [
                Episode(index, dict(row), (Segment("prompt", task.prompt(row, self.engine.model)),))
                for index, row in enumerate(rows)
            ]
            self._warm(asked[:2])
            self._answers(judge, asked[:FEW], "few", settings.mine.temperature)
            asked = asked[: self._budget.rows(len(asked), self.limits.attempt)]
            judged, began = profile.verdicts, profile.spent().seconds.get("judge", 0.0)
            tried = self._tries(judge, asked)
            greedy = []
            if GREEDY in settings.eval.modes and not self._budget.is_over:
                greedy = self._answers(judge, asked, "greedy", 0.0)
            failed = [each for each in tried[0] if each.verdict.is_failed]
            again = self._reflect(judge, failed or tried[0])
            spent = profile.spent()
            verdicts = max(spent.verdicts - judged, 1)
            per_verdict = (spent.seconds.get("judge", 0.0) - began) / verdicts
        return Probed(
            self._texts(tried, again),
            self._behaviour(tried, greedy, again),
            tuple(self.calls),
            per_verdict,
            len(asked),
            self.cut > MANY_CUT * self.made,
            tuple(self._notes(failed)),
        )

    def _warm(self, few: Sequence[Episode]) -> None:
        """Two short calls: the first pays for what is loaded late, the second says what a token costs."""
        for stage, tokens in (("warm", 4), ("first", 8)):
            with self._called(stage) as call:
                self._generate(few, tokens, 1.0, "warm", call)

    def _tries(self, judge: Judge, asked: Sequence[Episode]) -> list[list[Episode]]:
        """The tries of each round: a row is tried until it fails, as in mining."""
        rounds, going_on = list[list[Episode]](), list(asked)
        for number in range(min(TRIES, self.settings.mine.tries)):
            if not going_on or (rounds and self._budget.is_over):
                break
            tried = self._answers(judge, going_on, f"try {number}", self.settings.mine.temperature)
            rounds.append(tried)
            passed = {each.row_index for each in tried if each.verdict.is_passed}
            going_on = [each for each in going_on if each.row_index in passed]
        return rounds

    def _answers(self, judge: Judge, asked: Sequence[Episode], stage: str, temperature: float) -> list[Episode]:
        with self.engine.prefix_caching():
            return play_answers(
                self.each.task,
                judge,
                "attempt",
                asked,
                self._drawing(self.limits.attempt, temperature, stage),
                stage,
                self._steps,
                fits=self._fits,
                read_calls=self.engine.read_calls,
            )

    def _reflect(self, judge: Judge, failed: Sequence[Episode]) -> list[Episode]:
        most = min(len(failed), REFLECTED)
        rows = self._budget.rows(most * MEMBERS, max(self.limits.reflection, self.limits.retry))
        repeated = [each for each in failed[: max(rows // MEMBERS, 1)] for _ in range(MEMBERS)]
        draw = self._drawing(self.limits.reflection, self.settings.train.temperature, "reflection")
        with self.engine.prefix_caching():
            return play_round(
                self.each.task,
                self.engine.model,
                judge,
                repeated,
                draw,
                lambda reflection: bool(reflection.text.strip()) and (self._shortens or not reflection.is_cut_off),
                ("reflection", "retry"),
                self._steps,
                fits=self._fits,
                read_calls=self.engine.read_calls,
            )

    @property
    def _steps(self) -> int:
        return self.settings.mine.max_steps if self.each.task.has_steps else 1

    def _fits(self, episode: Episode) -> bool:
        return self.engine.has_room(conversation(episode.segments))

    def _drawing(
        self, limit: int, temperature: float, seed: str
    ) -> Callable[[str, Sequence[Episode]], list[Generation]]:
        def draw(stage: str, episodes: Sequence[Episode]) -> list[Generation]:
            most = self.limits.retry if stage.startswith("retry") else limit
            if not episodes:
                return []
            with self._called(stage) as call:
                return self._generate(episodes, most, temperature, f"{seed} {stage}", call)

        return draw

    def _generate(
        self, episodes: Sequence[Episode], limit: int, temperature: float, seed: str, call: dict[str, float]
    ) -> list[Generation]:
        most = self._budget.tokens(len(episodes), limit)
        self._shortens = most < limit
        sampling = Sampling(temperature=temperature, max_tokens=most, seed=sum(seed.encode()))
        made = self.engine.generate([conversation(each.segments) for each in episodes], sampling)
        lengths = [each.length or 0 for each in made]
        self.made += len(made)
        if self._shortens and (cut := sum(each.is_cut_off for each in made)):
            self.cut += cut
            self.shortest = min(self.shortest or most, most)
            # Nobody knows how long they would have become.
            made = [replace(each, counted=limit, token_ids=()) if each.is_cut_off else each for each in made]
        call["rows"], call["written"], call["steps"] = len(made), sum(lengths), max(lengths, default=0)
        return made

    @contextmanager
    def _called(self, stage: str) -> Iterator[dict[str, float]]:
        before, began = self.engine.prefix_cache_hits, self.clock()
        call: dict[str, float] = {}
        yield call
        seconds, after = self.clock() - began, self.engine.prefix_cache_hits
        prefilled = 0
        if before is not None and after is not None:
            prefilled = after.prompt_tokens - before.prompt_tokens - (after.cached_tokens - before.cached_tokens)
        if stage != "warm":
            self._budget.saw(int(call["rows"]), int(call["steps"]), seconds)
            self.calls.append(Call(prefilled, call.get("steps", 0), call.get("written", 0), seconds))

    def _texts(self, tried: Sequence[Sequence[Episode]], again: Sequence[Episode]) -> Texts:
        attempts = [episode for one in tried for episode in one]
        rounds = [one for episode in again for one in episode.rounds]
        retries = [total_length(one.actions) for one in rounds if one.actions]
        actions = [len(each.attempts) for each in attempts]
        observed = [self.rendered.observed(each) for each in attempts]
        written = sum(len(json.dumps(each.to_json())) for each in again)
        tokens = sum(self.rendered.tokens(each) for each in again)
        rows = sum(len(json.dumps(dict(each.row))) for each in again)
        return Texts(
            prompt=self.rendered.prompt,
            attempt=Lengths.of(total_length(each.attempts) or 0 for each in attempts),
            reflect=self.rendered.reflect,
            reflection=Lengths.of(one.reflection.length or 0 for one in rounds),
            again=self.rendered.again,
            retry=Lengths.of(length or 0 for length in retries),
            shared=self.rendered.shared,
            actions=sum(actions) / len(actions),
            observed=sum(observed) / len(observed),
            row_bytes=rows / len(again),
            bytes_per_token=max((written - rows) / max(tokens, 1) - 1, 1.0),
            extends=self.rendered.extends,
            shown=self.rendered.shown(action for episode in attempts for action in episode.attempts),
            reflection_shown=self.rendered.shown(one.reflection for one in rounds),
        )

    def _behaviour(
        self, tried: Sequence[Sequence[Episode]], greedy: Sequence[Episode], again: Sequence[Episode]
    ) -> Behaviour:
        counts = _counted(episode for one in tried for episode in one)
        retries = [one for episode in again for one in episode.rounds]
        verdicts: dict[int, tuple[int, int]] = {}
        for episode in again:
            for one in episode.rounds:
                passes, failures = verdicts.get(episode.row_index, (0, 0))
                passed = one.retry is not None and one.retry.verdict is not None and one.retry.verdict.is_passed
                verdicts[episode.row_index] = (passes + passed, failures + (not passed))
        sampled = fitted(counts)
        return Behaviour(
            sampled=sampled,
            greedy=sum(each.verdict.is_passed for each in greedy) / len(greedy) if greedy else sampled.mean,
            retries=fitted(verdicts.values()),
            without_retry=sum(one.retry is None for one in retries) / max(len(retries), 1),
        )

    def _notes(self, failed: Sequence[Episode]) -> Iterator[str]:
        if self.cut:
            yield (
                f"{self.each.name}: {self.cut} texts of the probe were cut off, the first after {self.shortest} tokens,"
                " to save time, and count as long as they may become: give it more with --probe-seconds"
            )
        if not failed:
            yield f"{self.each.name}: no try of the probe failed, so reflections are on right answers"


def _counted(episodes: Iterator[Episode]) -> list[tuple[int, int]]:
    found: dict[int, tuple[int, int]] = {}
    for each in episodes:
        passes, failures = found.get(each.row_index, (0, 0))
        found[each.row_index] = (passes + each.verdict.is_passed, failures + each.verdict.is_failed)
    return list(found.values())


def timed_speeds(
    calls: Sequence[Call], verdict: float, timed: Mapping[str, float], source: str, save: float = 0.0
) -> Speeds:
    """The speeds of a run from a probe's calls and its timed pass."""
    decoding = fit_speeds(calls)
    return Speeds(
        prefilled=decoding.prefilled,
        step=decoding.step,
        written=decoding.written,
        verdict=verdict,
        save=save,
        source=source,
        **timed,
    )
