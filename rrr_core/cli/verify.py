"""`rrr verify`: judge answers from a file or standard input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import click

from rrr_core.cli.judging import max_abstain_option, task_without_data
from rrr_core.cli.options import SettingsCommand, with_settings

if TYPE_CHECKING:
    from rrr_core.tasks.settings import TaskSettings
    from rrr_core.verification import VerifySettings


class AnswerFile(click.File):
    """A file, or standard input; a user who pipes answers in but names neither gets a hint."""

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:
        return "Give one, or - for standard input."


@click.command("verify", cls=SettingsCommand)
@task_without_data
@with_settings("task", "verify")
@click.argument("file", type=AnswerFile("rb"), metavar="FILE")
@max_abstain_option
@click.option(
    "--thought-marks",
    default="<think> </think>",
    show_default=True,
    metavar="TEXT",
    help="What opens and what closes a thought, which the verifier does not see; or none.",
)
def command(task: TaskSettings, verify: VerifySettings, file: BinaryIO, max_abstain: float, thought_marks: str) -> None:
    """Judge the answers in FILE, or on standard input where FILE is `-`, with TASK's verifier.

    Each line of FILE is {"row": …, "answer": …}, the row as it is published or as the task gives it. One line is
    written per answer, in order, as soon as it is judged:
    {"verdict": "passed"|"failed"|"abstained", "category": …, "detail": …}. The counts go to standard error.
    If TASK acts in steps, an answer is what its course came to; {"row": …, "actions": […]} plays the actions first.
    A wrong answer is not an error: the exit code is 0 unless a line cannot be read or the verifier fails too often.
    """
    from rrr_core import pipeline
    from rrr_core.chat.marks import marks_from
    from rrr_core.errors import TooManyAbstentions
    from rrr_core.judging.answer_files import judge_file
    from rrr_core.verification import Judge

    marks = marks_from(thought_marks)
    opened = pipeline.open_task(task)
    source: Any = file
    # The limit is enforced apart from the judging, which would drop a batch's verdicts when it is passed.
    with Judge(opened, max_abstain=1, settings=verify) as judge, Judge(opened, max_abstain, settings=verify) as limit:
        name = str(getattr(file, "name", "<stdin>"))
        try:
            outcomes = judge_file(source, name, judge, lambda lines: click.echo(lines, nl=False), limit, marks)
        except TooManyAbstentions as error:
            # Only here do rows come from elsewhere: what looks like the verifier's fault may be a typo in a row.
            raise TooManyAbstentions(f"{error} Or fix the rows of {name}: do they have the task's format?") from None
    counts = ", ".join(f"{outcomes[outcome]:,} {outcome}" for outcome in ("passed", "failed", "abstained"))
    click.echo(counts, err=True)
