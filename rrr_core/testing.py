"""What a plugin's tests import: the checks of `rrr check` as pytest cases.

from rrr_core.testing import parametrize_checks

@parametrize_checks("sums")
def test_check(check):
    check()
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import pytest

from rrr_core.conformance.checks import checks_of, chosen
from rrr_core.errors import RrrError

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
