"""`rrr rejudge`: judge a saved run again and list the verdicts that flipped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rrr_core.cli.columns import aligned
from rrr_core.cli.judging import max_abstain_option
from rrr_core.cli.options import SettingsCommand, with_settings
from rrr_core.cli.shared import RunFolderPath
from rrr_core.text import one_line

if TYPE_CHECKING:
    from rrr_core.judging.rejudge import Change, Rejudged
    from rrr_core.verdicts import Verdict
    from rrr_core.verification import VerifySettings

HEADINGS = ("stage", "judged by", "and now by", "judged", "same", "other class", "flipped")


@click.command("rejudge", cls=SettingsCommand)
@click.argument("run", type=RunFolderPath(path_type=Path), metavar="RUN")
@click.option(
    "--with",
    "overlays",
    multiple=True,
    metavar="TEXT",
    help="An overlay stacked on those that judged the run: NAME, or NAME:KEY=VALUE,… May be repeated.",
)
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Changed verdicts to list.")
@click.option("--json", "as_json", is_flag=True, help="Write everything as one JSON object, with all changed verdicts.")
@max_abstain_option
@with_settings("verify")
def command(
    run: Path, overlays: tuple[str, ...], limit: int, as_json: bool, max_abstain: float, verify: VerifySettings
) -> None:
    """Judge every answer saved in the run folder RUN again, with the currently installed verifier.

    Lists the verdicts that flipped, and the failures that failed again in another class. RUN is not changed. The exit
    code is 0 if no verdict flipped, 1 if one did, and 2 if the run could not be judged.
    """
    from rrr_core.cli.progress import make_progress
    from rrr_core.judging.rejudge import rejudge
    from rrr_core.verification import Judge

    result = rejudge(run, lambda task: Judge(task, max_abstain, settings=verify), make_progress(), overlays)
    click.echo(json.dumps(result.to_json(), indent=2) if as_json else "\n".join(lines_of(result, limit)))
    if result.flipped:
        raise click.exceptions.Exit(1)


def lines_of(result: Rejudged, limit: int) -> Iterator[str]:
    """A rejudged run for people: a table of its stages, the kinds of change, and the first changes."""
    rows = [
        (
            stage.stage,
            judge_of(stage.then),
            judge_of(stage.now),
            *(f"{count:,}" for count in (stage.judged, stage.same, stage.reclassified, stage.flipped)),
        )
        for stage in result.stages
    ]
    yield from aligned(HEADINGS, rows, numbers=4)
    for stage in result.stages:
        if stage.withheld:
            yield f"{one_line(stage.stage)}: {stage.withheld:,} withheld verdicts had no answer kept to judge again"
    changes = result.changes
    if not changes:
        yield "no verdict changed"
        return
    yield ""
    yield from (f"{times:,}× {one_line(before)} → {one_line(after)}" for before, after, times in result.kinds())
    yield ""
    yield from map(change_line, changes[:limit])
    if len(changes) > limit:
        yield f"… and {len(changes) - limit:,} more: --limit {len(changes)} or --json lists them"


def judge_of(provenance: Mapping[str, Any] | None) -> str:
    """Who judged, from a manifest's provenance.

    >>> noisy = {"name": "noisy", "distribution": "rrr-y", "version": "2", "options": {"probability": "0.1"}}
    >>> judge_of({"distribution": "rrr-x", "version": "1.0", "overlays": [noisy]})
    'rrr-x 1.0 + noisy:probability=0.1 of rrr-y 2'
    """
    if provenance is None:
        return "not known"
    from rrr_core.tasks.requests import write_request

    def who(part: Mapping[str, Any]) -> str:
        return f"{part.get('distribution', '?')} {part.get('version', '?')}"

    overlays: Sequence[Mapping[str, Any]] = provenance.get("overlays", [])
    stacked = (f"{write_request(each['name'], each.get('options', {}))} of {who(each)}" for each in overlays)
    return " + ".join([who(provenance), *stacked])


def change_line(change: Change) -> str:
    """One changed verdict: where its answer is saved, which answer it is, and the old and new verdict."""
    place = f"{one_line(change.place)}  row {change.row_index}  {one_line(change.kind)}"
    return f"{place}  {_described(change.before)} → {_described(change.after)}"


def _described(verdict: Verdict) -> str:
    from rrr_core.judging.rejudge import described

    detail = f" ({one_line(verdict.detail, 120)})" if verdict.detail else ""
    return f"{one_line(described(verdict), 120)}{detail}"
