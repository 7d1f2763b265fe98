"""`rrr doctor`: what this machine has for rrr, and what is missing; with a model, what its chat template does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rrr_core.cli.options import SettingsCommand, with_some_settings
from rrr_core.text import one_line

if TYPE_CHECKING:
    from rrr_core.doctor import Finding
    from rrr_core.generation.settings import ModelSettings

MARKS = {"ok": "ok", "missing": "-", "broken": "BROKEN", "unknown": "?"}
"""State → its mark in the table."""

TITLES = {
    "machine": "machine",
    "packages": "packages",
    "engines": "engines",
    "tasks": "tasks and overlays",
    "sandbox": "sandbox: what an untrusted verifier is kept from",
}
MODEL_TITLE = "model: what its chat template does to an episode"


OF_A_MODEL = (
    "model",
    "revision",
    "family",
    "template",
    "template_name",
    "template_date",
    "thought_marks",
    "keep_thoughts",
)
"""The model's settings that its tokenizer, configuration and chat template are read under."""


@click.command("doctor", cls=SettingsCommand)
@click.option("--quick", is_flag=True, help="Skip the accelerator: torch takes seconds to load.")
@click.option("--json", "as_json", is_flag=True, help="Write the findings as one JSON object.")
@with_some_settings("model", *OF_A_MODEL)
def command(quick: bool, as_json: bool, model: ModelSettings) -> None:
    """Report what this machine has for rrr: packages, accelerator, engines, tasks, verifiers' sandbox, disk and locks.

    Whatever is missing is listed with what that costs. Only what was tried and works counts as present. The exit code
    is 1 if something installed is broken, such as a task that cannot be loaded, and 0 otherwise.

    With --model, report instead what that model's tokenizer and chat template do to an episode, and what it costs:
    thoughts, earlier thoughts, what a prefix cache can reuse, end tokens, tools, dates. No weights are
    read, but a GGUF file is converted first.
    """
    import dataclasses

    from rrr_core import pipeline
    from rrr_core.cli.progress import make_progress
    from rrr_core.doctor import examine, examine_model

    if model.model is None and model != type(model)():
        raise click.UsageError("these options are about a model: name it with --model.")
    if model.model is None:
        findings = list(examine(Path(), quick=quick))
    else:
        findings = list(examine_model(pipeline.choose_model(model, progress=make_progress())))
    broken = [finding.name for finding in findings if finding.state == "broken"]
    if as_json:
        found = {"broken": broken, "findings": [dataclasses.asdict(finding) for finding in findings]}
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo("\n".join(lines_of(findings)))
    if broken:
        click.echo(f"rrr: broken: {one_line(', '.join(broken))}", err=True)
        raise click.exceptions.Exit(1)


def lines_of(findings: Iterable[Finding]) -> Iterator[str]:
    """The findings for people: group by group, each missing thing with its cost below it."""
    findings = list(findings)
    width = max((len(one_line(finding.name, 40)) for finding in findings), default=0)
    group = None
    for finding in findings:
        if finding.group != group:
            yield from ([""] if group else [])
            group = finding.group
            yield TITLES.get(group, MODEL_TITLE)
        name = one_line(finding.name, 40).ljust(width)
        yield f"  {name}  {MARKS[finding.state]:6}  {one_line(finding.detail, 400)}".rstrip()
        if finding.cost:
            yield f"  {' ' * width}          {one_line(finding.cost, 400)}"
