"""What a plugin's tests import: the checks of `rrr check` as pytest cases, and courses of a task that acts in steps.

from rrr_core.testing import parametrize_checks, play

@parametrize_checks("sums")
def test_check(check):
    check()

def test_a_course_passes():
    assert play("sums", {"a": 2, "b": 3}, ["add 2 3", "answer 5"]).verdict.is_passed
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import pytest

from rrr_core.conformance.checks import checks_of, chosen
from rrr_core.conformance.courses import in_words, lead_courses, step_by
from rrr_core.errors import RrrError
from rrr_core.hookspecs import Action, Row, Step
from rrr_core.tasks import load_task
from rrr_core.text import one_line
from rrr_core.verdicts import Verdict
from rrr_core.verification import Judge

if TYPE_CHECKING:
    from rrr_core.conformance import Check, CheckSettings
    from rrr_core.verification import VerifySettings

_examined: list[CheckedTask] = []
"""Every task whose checks have started in this session."""


class CheckedTask:
    """The checks of one task as tests that share their findings. Nothing is loaded until the first one runs."""

    def __init__(
        self,
        name: str,
        overlays: Sequence[str] = (),
        data: Mapping[str, str] | None = None,
        verify: VerifySettings | None = None,
        settings: CheckSettings | None = None,
        only: Sequence[str] = (),
    ) -> None:
        """The arguments are those of `rrr_core.conformance.checks_of`."""
        self.name = name
        self.names = chosen(only)
        self.asked = frozenset(self.names)
        """The checks that pytest runs: `-k` and the like may deselect some."""
        self._begin = partial(checks_of, name, overlays, data, verify, settings, only)

    @cached_property
    def checks(self) -> dict[str, Check]:
        """Name → check. Raises RrrError if there is no such task to check."""
        checks = {check.name: check for check in self._begin()}
        next(iter(checks.values())).subject.asked = self.asked
        _examined.append(self)
        return checks

    def run(self, name: str) -> None:
        """Run one check as a test: pytest shows its one-line message and no traceback.

        A check that cannot be judged fails: a build must not turn green because nothing was checked.
        """
        __tracebackhide__ = True
        try:
            result = self.checks[name].run()
        except RrrError as error:
            pytest.fail(f"cannot be judged: {error}", pytrace=False)
        if result.state == "skipped":
            pytest.skip(result.message)
        if result.state != "passed":
            pytest.fail(result.message if result.state == "failed" else f"{result.state}: {result.message}", False)

    def close(self) -> None:
        """Stop the task's processes."""
        next(iter(self.checks.values())).subject.close()


@dataclass(frozen=True)
class TaskCheck:
    """One check of a task: calling it runs it."""

    task: CheckedTask
    name: str

    def __call__(self) -> None:
        __tracebackhide__ = True
        self.task.run(self.name)


def parametrize_checks(
    name: str,
    overlays: Sequence[str] = (),
    data: Mapping[str, str] | None = None,
    verify: VerifySettings | None = None,
    settings: CheckSettings | None = None,
    only: Sequence[str] = (),
) -> pytest.MarkDecorator:
    """Parametrize a test function over the checks of the task `name`: calling its argument `check` runs one.

    `overlays`, `data`, `verify` and `settings` are those of `rrr check`'s command line; `only` selects checks by name.
    """
    task = CheckedTask(name, overlays, data, verify, settings, only)
    return pytest.mark.parametrize("check", [pytest.param(TaskCheck(task, each), id=each) for each in task.names])


@dataclass(frozen=True, slots=True)
class PlayedCourse:
    """A course of actions, as `play` played it."""

    steps: tuple[Step, ...]
    """What each action led to; without the step of a fault, which ends a course."""
    verdict: Verdict | None
    """The verdict on the answer that the course came to, the abstention of a fault, or None without either."""

    @property
    def observations(self) -> tuple[str, ...]:
        """What the model reads after each action that does not end the course."""
        return tuple(step.observation for step in self.steps if step.answer is None)

    @property
    def answer(self) -> str | None:
        """The answer that was judged, or None if the course came to none."""
        return self.steps[-1].answer if self.steps else None


def play(
    name: str,
    row: Row,
    actions: Sequence[str | Action],
    overlays: Sequence[str] = (),
    verify: VerifySettings | None = None,
) -> PlayedCourse:
    """Play actions on a row of the installed task `name`, and judge the answer that they come to.

    An action is its text, or `Action(text, calls)`. `rrr_step` and `rrr_verify` run where they do in a run, by default
    in a sandboxed process. A fault of theirs is an abstention, as in a run. Raises RrrError for a task that does not
    act in steps, and for actions after the last.
    """
    task = load_task(name, overlays)
    if not task.has_steps:
        raise RrrError(f"The task {name!r} does not act in steps: it has no hook rrr_step.")
    with Judge(task, max_abstain=1, settings=verify) as judge:
        (played,) = lead_courses(partial(step_by, judge), [(row, actions)])
        steps = tuple(step for step in played if isinstance(step, Step))
        faults = [step for step in played if isinstance(step, Verdict)]
        if len(played) < len(actions) and not faults:
            last = one_line(in_words(actions[len(played) - 1]), 60)
            raise RrrError(
                f"The course ended at action {len(played)} of {len(actions)}, {last!r}: leave out what follows."
            )
        answers = [(row, step.answer) for step in steps if step.answer is not None]
        return PlayedCourse(steps, next(iter(faults or judge.judge(answers)), None))


def narrow(checks: Iterable[TaskCheck]) -> None:
    """Pass each task the checks that remain once pytest has deselected some."""
    left: dict[CheckedTask, set[str]] = {}
    for check in checks:
        left.setdefault(check.task, set()).add(check.name)
    for task, names in left.items():
        task.asked = frozenset(names)


def close_all() -> None:
    """Stop the processes of every task that was checked. rrr-core's pytest plugin calls this when a session ends."""
    while _examined:
        _examined.pop().close()
