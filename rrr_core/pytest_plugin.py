"""The pytest plugin: `pytest --rrr-task NAME` runs a task's checks as tests, without a test file.

Every pytest run in an environment with rrr-core loads this module, so it imports the rest of the core only on demand.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from rrr_core.testing import TaskCheck


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("rrr", "tasks of rrr")
    group.addoption(
        "--rrr-task", action="append", default=[], metavar="NAME", help="Run this task's checks. May be repeated."
    )
    group.addoption(
        "--rrr-with",
        action="append",
        default=[],
        metavar="NAME",
        help="Stack this overlay on the checked tasks.",
    )
    group.addoption(
        "--rrr-data", action="append", default=[], metavar="KEY=VALUE", help="An option of the tasks' data sets."
    )
    group.addoption("--rrr-rows", type=int, default=0, metavar="N", help="Rows of each split to prompt and judge.")


def pytest_configure(config: pytest.Config) -> None:
    """Run only the tasks' checks if the command line names tasks and no paths.

    A task that a project names in its own `addopts` is checked along with its tests.
    """
    asked = any(argument.startswith("--rrr-task") for argument in config.invocation_params.args)
    if asked and config.args_source is not config.ArgsSource.ARGS:
        config.args = []


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Append the checks to the tests collected from files; `-k` selects among them as usual."""
    for name in config.getoption("--rrr-task"):
        items.extend(CheckedTaskNode.from_parent(session, name=name, nodeid=f"rrr check {name}").collect())


def pytest_collection_finish(session: pytest.Session) -> None:
    """Pass the tasks the checks that remain after deselection."""
    if "rrr_core.testing" in sys.modules:
        from rrr_core.testing import TaskCheck, narrow

        given = [getattr(item, "callspec", None) for item in session.items]
        called = [value for each in given if each is not None for value in each.params.values()]
        checks = [item.check for item in session.items if isinstance(item, CheckItem)]
        narrow([*checks, *(value for value in called if isinstance(value, TaskCheck))])


def pytest_unconfigure() -> None:
    """End the processes of the tasks that were checked."""
    if "rrr_core.testing" in sys.modules:
        from rrr_core.testing import close_all

        close_all()


class CheckedTaskNode(pytest.Collector):
    """A task in the tree of tests, above its checks."""

    def collect(self) -> Iterator[pytest.Item]:
        from rrr_core.conformance.settings import CheckSettings
        from rrr_core.testing import CheckedTask, TaskCheck

        options = self.config.option
        rows = {"rows": options.rrr_rows} if options.rrr_rows > 0 else {}
        task = CheckedTask(self.name, options.rrr_with, read_data(options.rrr_data), None, CheckSettings(**rows))
        for check in task.names:
            yield CheckItem.from_parent(self, name=check, check=TaskCheck(task, check))


class CheckItem(pytest.Item):
    """One check as a test."""

    def __init__(self, *, check: TaskCheck, **options: Any) -> None:
        super().__init__(**options)
        self.check = check

    def runtest(self) -> None:
        self.check()

    def reportinfo(self) -> tuple[str, None, str]:
        return "rrr check", None, f"{self.check.task.name}: {self.name}"


def read_data(pairs: list[str]) -> dict[str, str]:
    """
    >>> read_data(["source=rows.jsonl"])
    {'source': 'rows.jsonl'}
    """
    data = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise pytest.UsageError(f"--rrr-data {pair}: KEY=VALUE is expected.")
        data[key] = value
    return data
