"""The judge: the only source of verdicts in mining, training and evaluation, with the limit on withheld ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from rrr_core.episode import Generation
from rrr_core.errors import TooManyAbstentions
from rrr_core.hookspecs import Call, Row, Step
from rrr_core.profiling.profile import Profile
from rrr_core.tasks import Task
from rrr_core.verdicts import CUT_OFF, Verdict, failed, no_answer
from rrr_core.verification.panel import panel_verdicts
from rrr_core.verification.runner import Runner
from rrr_core.verification.settings import VerifySettings
from rrr_core.verification.unanswered import Unanswered


def without_verifier(made: Generation) -> Verdict | None:
    """The verdict on a text that no verifier is asked about; None for all others.

    >>> without_verifier(Generation("", thought="Let me", is_thinking=True)).category
    'cut off'
    """
    if made.missing:
        return no_answer(made.missing)
    if made.is_thinking:
        return failed(CUT_OFF, "the text ended within its thought, so there is no answer")
    return None


@dataclass(frozen=True, slots=True)
class Counted:
    """What a judge has counted."""

    judged: int
    withheld: Counter[Verdict]
    asked: int
    """Texts asked for."""
    unanswered: Counter[str]
    """Kind → texts without an answer."""

    def minus(self, before: Counted) -> Counted:
        """What was counted since `before`."""
        return Counted(
            self.judged - before.judged,
            self.withheld - before.withheld,
            self.asked - before.asked,
            self.unanswered - before.unanswered,
        )


class Judge:
    """Judges answers with a task's verifier and stops the run when too many verdicts are withheld.

    A run with a broken verifier must not continue to train on what is left. Close the judge, or use it in `with`, so an
    untrusted verifier's processes end with the job.
    """

    def __init__(
        self,
        task: Task,
        max_abstain: float = 0.01,
        minimum: int = 100,
        settings: VerifySettings | None = None,
        profile: Profile | None = None,
        max_no_answer: float = 0.02,
        scores: bool = False,
    ) -> None:
        """At most the share `max_abstain` (0 to 1) of verdicts may be withheld, checked once there are `minimum`.

        `max_no_answer` is the same for texts without an answer, which no verifier is asked about. `profile` records the
        time that verdicts take. With `scores`, each verdict that is not withheld gets the task's reward (`rrr_reward`),
        whose fault withholds it. Raises RrrError if the verifier needs a process of its own that the system cannot
        provide.
        """
        self.task, self.max_abstain, self.minimum = task, max_abstain, minimum
        self.settings = settings or VerifySettings()
        self.profile = profile or Profile()
        self.judged = 0
        """Verdicts so far, including abstentions."""
        self.abstained = 0
        self.unanswered = Unanswered(max_no_answer, minimum)
        self.withheld: Counter[Verdict] = Counter()
        """The verdicts that the verifier withheld, each with how often it came."""
        where = self.settings.isolation
        self.scores = scores
        trusted = task.trusted and task.steps_trusted and (not scores or task.rewards_trusted)
        here = where == "none" or (where == "auto" and trusted)
        self._runner = None if here else Runner(task, self.settings, scores)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def isolated(self) -> bool:
        """Whether verdicts come from sandboxed processes."""
        return self._runner is not None

    def judge(self, pairs: Sequence[tuple[Row, str]]) -> list[Verdict]:
        """The verdicts on (row, answer) pairs, in order. Raises TooManyAbstentions as soon as the limit is exceeded."""
        verdicts: list[Verdict] = []
        before = self.judged
        with self.profile.during("judge"), closing(self._verdicts(pairs)) as coming:
            try:
                for verdict in coming:
                    verdicts.append(verdict)
                    if verdict.outcome == "abstained":
                        self.abstained += 1
                        self.withheld[verdict] += 1
                    if self.abstained and before + len(verdicts) >= self.minimum:
                        self.judged = before + len(verdicts)
                        self._check()
            finally:
                self.judged = before + len(verdicts)
                self.profile.verdicts += len(verdicts)
        return verdicts

    def judge_written(self, pairs: Sequence[tuple[Row, Generation]]) -> list[Verdict]:
        """The verdicts on what a model wrote to rows, in order. Raises as `judge`, and TooManyWithoutAnswer.

        The verifier sees the answer alone. It is not asked where there is none: a text that the token limit ended
        within its thought has failed, and where the engine has no answer, none is judged.
        """
        self.unanswered.count([made for _, made in pairs])
        early = [without_verifier(made) for _, made in pairs]
        self.count_decided(verdict for verdict in early if verdict is not None)
        judged = iter(
            self.judge([(row, made.text) for (row, made), one in zip(pairs, early, strict=True) if one is None])
        )
        return [next(judged) if verdict is None else verdict for verdict in early]

    def step(
        self,
        actions: Sequence[tuple[Row, str]],
        states: Sequence[Any],
        calls: Sequence[Sequence[Call]] = (),
        waiting: int = 0,
    ) -> list[Step | Verdict]:
        """What (row, action) pairs lead to from these states, in order; an abstention where the plugin is at fault.

        `calls` are those of each action, if any has some. An abstention ends its course, and counts as a verdict that
        was withheld; a failed verdict, of an action that made its step too long, is yet to be counted. The limit is
        held against all courses: `waiting` are those beside these whose verdicts are still to come. Raises
        TooManyAbstentions.
        """
        steps: list[Step | Verdict] = []
        underway = waiting + len(actions)
        with self.profile.during("judge"), closing(self._stepped(actions, states, calls)) as coming:
            for step in coming:
                steps.append(step)
                if isinstance(step, Verdict) and step.is_abstained:
                    underway -= 1
                    self.judged += 1
                    self.abstained += 1
                    self.withheld[step] += 1
                    if self.judged + underway >= self.minimum:
                        self._check(underway)
        return steps

    def count_decided(self, verdicts: Iterable[Verdict]) -> None:
        """Count failures that needed no verifier, such as a course at its step limit: the limit is a share of all."""
        self.judged += sum(verdict.is_failed for verdict in verdicts)

    def recall(self, judged: int, withheld: Iterable[Verdict]) -> None:
        """Count an earlier call's verdicts and its withheld ones, so the limits hold for a resumed job as a whole."""
        withheld = list(withheld)
        missing = [verdict.detail for verdict in withheld if verdict.is_unanswered]
        self.unanswered.recall(judged, missing)
        self.judged += judged - len(missing)
        for verdict in withheld:
            if not verdict.is_unanswered:
                self.abstained += 1
                self.withheld[verdict] += 1

    def counted(self) -> Counted:
        """What was counted so far."""
        return Counted(self.judged, self.withheld.copy(), self.unanswered.asked, self.unanswered.kinds.copy())

    def count(self, elsewhere: Counted) -> None:
        """Count what another process's judge has counted, so that the limits hold for all."""
        self.judged += elsewhere.judged
        self.abstained += elsewhere.withheld.total()
        self.withheld.update(elsewhere.withheld)
        self.unanswered.recall(elsewhere.asked, elsewhere.unanswered.elements())

    def check_so_far(self) -> None:
        """Check the limits once there are enough verdicts: for those that were recalled. Raises as `finish`."""
        if self.judged >= self.minimum:
            self._check()
        if self.unanswered.asked >= self.minimum:
            self.unanswered.check()

    def finish(self) -> None:
        """Check the limits at the end of a job, however few verdicts there were.

        Raises TooManyAbstentions or TooManyWithoutAnswer.
        """
        self._check()
        self.unanswered.check()

    def close(self) -> None:
        """Stop the verifier's processes, if any."""
        if self._runner is not None:
            self._runner.close()

    def _verdicts(self, pairs: Sequence[tuple[Row, str]]) -> Generator[Verdict]:
        return self._scored(pairs) if self.scores else self._decided(pairs)

    def _scored(self, pairs: Sequence[tuple[Row, str]]) -> Generator[Verdict]:
        """The verdicts with the task's rewards, which are asked for once all verdicts are there."""
        decided = list(self._decided(pairs))
        wanted = [place for place, verdict in enumerate(decided) if not verdict.is_abstained]
        asked, judged = [pairs[place] for place in wanted], [decided[place] for place in wanted]
        given: Iterator[Verdict]
        if self._runner is not None:
            given = self._runner.verdicts(asked, judged)
        else:
            given = (self.task.reward(*pair, verdict) for pair, verdict in zip(asked, judged, strict=True))
        for verdict in decided:
            if verdict.is_abstained:
                yield verdict
            else:
                # A worker may run hostile code: of what it says, the score alone counts, or its fault.
                said = next(given)
                yield said if said.is_abstained else replace(verdict, score=said.score)

    def _decided(self, pairs: Sequence[tuple[Row, str]]) -> Generator[Verdict]:
        if self.task.judges or self.task.combines:
            return panel_verdicts(self.task, pairs, self._verified)
        return self._verified(pairs)

    def _verified(self, pairs: Sequence[tuple[Row, str]]) -> Generator[Verdict]:
        if self._runner is not None:
            return self._runner.verdicts(pairs)
        verify = self.task.verify
        return (verify(row, answer) for row, answer in pairs)

    def _stepped(
        self, actions: Sequence[tuple[Row, str]], states: Sequence[Any], calls: Sequence[Sequence[Call]]
    ) -> Generator[Step | Verdict]:
        if self._runner is not None:
            yield from self._runner.steps(actions, states, calls)
            return
        for (row, action), state, called in zip(actions, states, calls or [()] * len(actions), strict=True):
            yield self.task.step(row, state, action, called)

    def _check(self, underway: int = 0) -> None:
        """Raise TooManyAbstentions beyond the limit, even if none of the verdicts underway is withheld."""
        judged = self.judged + underway
        if self.abstained <= self.max_abstain * judged:
            return
        ((commonest, times),) = self.withheld.most_common(1)
        raise TooManyAbstentions(
            f"The verifier of {self.task.distribution} {self.task.version} (task {self.task.name!r}) withheld "
            f"{self.abstained} of {judged} verdicts, and {self.max_abstain:.1%} are allowed; "
            f"most often ({times}×) {commonest.category}: {commonest.detail}. "
            "Fix the verifier, or allow more with --max-abstain."
        )
