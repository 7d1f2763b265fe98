"""`rrr verify`: judge answers from a file or standard input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import click

from rrr_core.cli.judging import max_abstain_option, task_without_data
from rrr_core.cli.options import SettingsCommand, with_settings

if TYPE_CHECKING:
    from rrr_core.configuration import TaskSettings


@click.command("verify", cls=SettingsCommand)
@task_without_data
@with_settings("task")
@click.argument("file", type=click.File("rb"), metavar="FILE")
@max_abstain_option
def command(task: TaskSettings, file: BinaryIO, max_abstain: float) -> None:
    """Judge the answers in FILE, or on standard input where FILE is `-`, with TASK's verifier.

    Each line of FILE is {"row": …, "answer": …}. One line is written for each, in order, as soon as it is judged:
    {"verdict": "passed"|"failed"|"abstained", "category": …, "detail": …}. The counts go to standard error.
    A wrong answer is no error: the exit code is 0 unless a line cannot be read or the verifier fails too often.
    """
    from rrr_core import pipeline
    from rrr_core.answer_files import judge_file
    from rrr_core.verification import Judge

    opened = pipeline.open_task(task)
    source: Any = file
    outcomes = judge_file(
        source,
        str(getattr(file, "name", "<stdin>")),
        Judge(opened, max_abstain=1),
        lambda lines: click.echo(lines, nl=False),
        limit=Judge(opened, max_abstain=max_abstain),
    )
    counts = ", ".join(f"{outcomes[outcome]:,} {outcome}" for outcome in ("passed", "failed", "abstained"))
    click.echo(counts, err=True)
