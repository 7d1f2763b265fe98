"""`rrr check`: whether a task keeps the promises that others rely on."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rrr_core.cli.options import SettingsCommand, with_settings
from rrr_core.errors import RrrError
from rrr_core.text import one_line

if TYPE_CHECKING:
    from rrr_core.conformance import Result, Trainee
    from rrr_core.conformance.subject import Subject
    from rrr_core.generation import ModelSettings
    from rrr_core.tasks.settings import TaskSettings
    from rrr_core.verification import VerifySettings


MARKS = {"passed": "passed", "failed": "FAILED", "skipped": "skipped", "cannot be judged": "?", "fault": "FAULT"}
"""State → its mark at the start of a line."""


@click.command("check", cls=SettingsCommand)
@with_settings("task", "model", "verify")
@click.option(
    "--learn",
    is_flag=True,
    help="Also measure whether a model can learn on the task: the one that --model names, which asks for this as well,"
    " or the task's own.",
)
@click.option(
    "--model-rows",
    type=click.IntRange(min=2),
    help="Rows of the train split that the model tries, at most those of --rows.  [default: 64]",
)
@click.option("--only", multiple=True, metavar="CHECK", help="Run only this check. May be repeated.")
@click.option(
    "--rows", type=click.IntRange(min=1), default=200, show_default=True, help="Rows of each split to prompt and judge."
)
@click.option("--json", "as_json", is_flag=True, help="Write the outcome as one JSON object.")
@click.option(
    "--junit", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write the outcome as JUnit XML."
)
@click.option(
    "--export",
    metavar="LIBRARY:NAME",
    help="Check a verifier that lives in another library, in place of TASK: verifiers:NAME, inspect_ai:NAME or"
    " reasoning_gym:NAME, through the plugin that plays it.",
)
@click.option(
    "--badge",
    type=click.Path(path_type=Path),
    metavar="FILE|FOLDER",
    help="Write a badge: what was found, with a digest over it, in FILE, whose name ends in .json, and as a picture"
    " beside it (.svg). In a FOLDER both are named after the task. `rrr tasks --badge` reads it.",
)
def command(
    task: TaskSettings,
    model: ModelSettings,
    verify: VerifySettings,
    learn: bool,
    model_rows: int | None,
    only: Sequence[str],
    rows: int,
    as_json: bool,
    junit: Path | None,
    export: str | None,
    badge: Path | None,
) -> None:
    """Check that the installed TASK keeps the promises others rely on, in its rows, prompts, verdicts and metadata.

    Each check gets one line; below a failed one is what was found and what to do. docs/checks.md explains the checks.
    The exit code is 0 if all passed, 1 if a check failed, 2 if one could not be judged (no such task, missing data),
    and 3 if rrr-core itself is at fault.
    """
    from rrr_core.conformance import CheckSettings, checks_of, exit_code, report
    from rrr_core.runs.files import explained

    if export is not None:
        task = elsewhere(task, export)
    elif not task.name:
        raise RrrError("check: name a TASK (`rrr tasks` lists them), or --export LIBRARY:NAME.")
    name = task.name or ""
    trainee = make_trainee(model, learn)
    if model_rows is not None and (trainee is None or model_rows > rows):
        raise RrrError("--model-rows needs --model or --learn, and at most --rows rows.")
    if badge is not None:
        if only:
            raise RrrError("a badge is for all checks: leave out --only, or --badge.")
        badge = badge_path(badge, name)
    settings = CheckSettings(rows=rows, **({} if model_rows is None else {"model_rows": model_rows}))
    checks = checks_of(name, task.with_, task.data, verify, settings, only, trainee)
    results: list[Result] = []
    with checks[0].subject as subject:
        for check in checks:
            # A plugin's prints must not mix with our output.
            with contextlib.redirect_stdout(sys.stderr):
                results.append(check.run())
            if not as_json and results[-1].state != "skipped":
                click.echo("\n".join(lines_of(results[-1])))
        if badge is not None:
            wrote = write_badge(badge, subject, results)
    if as_json:
        click.echo(json.dumps(report.as_json(name, subject.who, task.with_, results), indent=2))
    else:
        for line in skipped_lines(results):
            click.echo(line)
        click.echo(summary(subject.who, results))
        if badge is not None:
            click.echo(wrote)
    if junit is not None:
        with explained(junit):
            junit.write_bytes(report.as_junit(name, results))
    if code := exit_code(results):
        raise click.exceptions.Exit(code)


def elsewhere(task: TaskSettings, export: str) -> TaskSettings:
    """The task that plays a verifier of another library. Raises RrrError, also if its plugin is not installed."""
    from rrr_core.conformance.elsewhere import LIBRARIES, task_elsewhere
    from rrr_core.tasks import find_tasks

    if task.name:
        raise RrrError("check: give TASK or --export, not both.")
    name, data = task_elsewhere(export)
    plugin = LIBRARIES[export.partition(":")[0]]
    if not any(entry.name.startswith(plugin.task) for entry in find_tasks()):
        raise RrrError(f"--export {export}: it is played by {plugin.distribution}, which is not installed.")
    return replace(task, name=name, data={**task.data, **data})


def badge_path(place: Path, task: str) -> Path:
    """Where a badge is written. Raises RrrError for a file that is not named *.json."""
    if place.suffix == ".json":
        return place
    if place.is_dir() or not place.suffix:
        return place / f"{task}.json"
    raise RrrError(f"--badge {place}: name a folder, or a file that ends in .json; the picture is written beside it.")


def write_badge(path: Path, subject: Subject, results: Sequence[Result]) -> str:
    """Write a badge and its picture beside it; returns a line that says so."""
    from rrr_core.index.drawing import svg
    from rrr_core.index.making import make_badge
    from rrr_core.runs.files import write_json, write_text

    made = make_badge(subject, results)
    write_json(path, made.to_json())
    write_text(path.with_suffix(".svg"), svg(made))
    return f"wrote {path} and {path.with_suffix('.svg').name}"


def make_trainee(model: ModelSettings, learn: bool) -> Trainee | None:
    """The model to ask whether it can learn; None if the user wants no such check.

    Raises RrrError for settings of a model that nobody asked for.
    """
    from rrr_core import pipeline
    from rrr_core.cli.progress import make_progress
    from rrr_core.conformance import Trainee
    from rrr_core.generation import ModelSettings

    if not learn and not model.model:
        if model != ModelSettings():
            raise RrrError("options of a model act only with one: name it with --model, or give --learn.")
        return None
    progress = make_progress()
    return Trainee(
        lambda opened: pipeline.open_engine(pipeline.choose_model(model, opened, progress=progress), progress),
        progress,
    )


def lines_of(result: Result) -> Iterator[str]:
    """One check's outcome, for people."""
    from rrr_core.conformance import CHECKS, MODEL_CHECKS

    name = result.name.ljust(max(map(len, [*CHECKS, *MODEL_CHECKS])))
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
