"""`rrr check`: whether a task keeps the promises that others rely on."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rrr_core.cli.options import SettingsCommand, with_settings
from rrr_core.text import one_line

if TYPE_CHECKING:
    from rrr_core.conformance import Result
    from rrr_core.tasks.settings import TaskSettings
    from rrr_core.verification import VerifySettings


MARKS = {"passed": "passed", "failed": "FAILED", "skipped": "skipped", "cannot be judged": "?", "fault": "FAULT"}
"""State → its mark at the start of a line."""


def task_required(function: Callable[..., Any]) -> Callable[..., Any]:
    """For a command `with_settings("task", …)` without a default task: make TASK required."""
    for parameter in function.__click_params__:  # type: ignore[attr-defined]
        parameter.required = parameter.required or parameter.name == "task__name"
    return function


@click.command("check", cls=SettingsCommand)
@task_required
@with_settings("task", "verify")
@click.option("--only", multiple=True, metavar="CHECK", help="Run only this check. May be repeated.")
@click.option(
    "--rows", type=click.IntRange(min=1), default=200, show_default=True, help="Rows of each split to prompt and judge."
)
@click.option("--json", "as_json", is_flag=True, help="Write the outcome as one JSON object.")
@click.option(
    "--junit", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write the outcome as JUnit XML."
)
def command(
    task: TaskSettings,
    verify: VerifySettings,
    only: Sequence[str],
    rows: int,
    as_json: bool,
    junit: Path | None,
) -> None:
    """Check that the installed TASK keeps the promises others rely on, in its rows, prompts, verdicts and metadata.

    Each check gets one line; below a failed one is what was found and what to do. docs/checks.md explains the checks.
    The exit code is 0 if all passed, 1 if a check failed, 2 if one could not be judged (no such task, missing data),
    and 3 if rrr-core itself is at fault.
    """
    from rrr_core.conformance import CheckSettings, checks_of, exit_code, report
    from rrr_core.runs.files import explained

    name = task.name or ""
    checks = checks_of(name, task.with_, task.data, verify, CheckSettings(rows=rows), only)
    results: list[Result] = []
    with checks[0].subject as subject:
        for check in checks:
            # A plugin's prints must not mix with our output.
            with contextlib.redirect_stdout(sys.stderr):
                results.append(check.run())
            if not as_json and results[-1].state != "skipped":
                click.echo("\n".join(lines_of(results[-1])))
    if as_json:
        click.echo(json.dumps(report.as_json(name, subject.who, task.with_, results), indent=2))
    else:
        for line in skipped_lines(results):
            click.echo(line)
        click.echo(summary(subject.who, results))
    if junit is not None:
        with explained(junit):
            junit.write_bytes(report.as_junit(name, results))
    if code := exit_code(results):
        raise click.exceptions.Exit(code)


def lines_of(result: Result) -> Iterator[str]:
    """One check's outcome, for people."""
    from rrr_core.conformance import CHECKS

    name = result.name.ljust(max(map(len, CHECKS)))
    yield f"{MARKS[result.state]:8} {name} {result.seconds:6.2f} s  {one_line(result.note)}".rstrip()
    if result.message:
        judged = "" if result.state != "cannot be judged" else f"{result.state}: "
        yield f"         {judged}{one_line(result.message)}"


def skipped_lines(results: Sequence[Result]) -> Iterator[str]:
    """One line for all the checks that are skipped for the same reason, so the output stays short.

    `skipped  check_rows_are_json and 12 more wait for check_splits_load.`
    """
    skipped: dict[tuple[str, str], list[str]] = {}
    for result in results:
        if result.state == "skipped":
            skipped.setdefault((result.waits_for, result.message), []).append(result.name)
    for (cause, message), (first, *others) in skipped.items():
        who = f"{first} and {len(others)} more" if others else first
        why = f" {'wait' if others else 'waits'} for {cause}." if cause else f": {one_line(message)}"
        yield f"{MARKS['skipped']:8} {who}{why}"


def summary(who: str, results: Sequence[Result]) -> str:
    """The last line: who was checked, the number of checks in each state, and how long they took.

    `rrr-x 1.0: 21 passed, 1 skipped in 4.1 s; mutation score 97.8%`
    """
    from rrr_core.conformance import report

    listed = ", ".join(f"{count} {state}" for state, count in report.counts(results).items() if count)
    seconds = sum(result.seconds for result in results)
    scores = [result.figures["mutation_score"] for result in results if "mutation_score" in result.figures]
    return f"{one_line(who)}: {listed} in {seconds:.1f} s" + (f"; mutation score {scores[0]:.1%}" if scores else "")
