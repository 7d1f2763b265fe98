"""`rrr probe`: whether a model will learn on a task, before it is trained."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from rrr_core.cli.options import SettingsCommand, with_settings
from rrr_core.errors import RrrError
from rrr_core.probing.settings import OF_REFLECTIONS

if TYPE_CHECKING:
    from rrr_core.generation import ModelSettings
    from rrr_core.probing.findings import Findings
    from rrr_core.probing.probe import Probed
    from rrr_core.probing.settings import ProbeSettings
    from rrr_core.tasks.settings import TaskSettings
    from rrr_core.verification import VerifySettings


SOME_ABILITY = 0.05, 0.9
"""Of tasks with a first try between these, the scan says that the model has some ability on them."""


@click.command("probe", cls=SettingsCommand)
@click.option(
    "--first-tries",
    is_flag=True,
    help="Draw first tries alone, and list the tasks by how many pass: where, of many tasks, a probe is worth it.",
)
@click.option("--json", "as_json", is_flag=True, help="Write the figures and the forecast as one JSON object.")
@with_settings("task", "model", "probe", prefixed=("verify",), several_tasks=True)
def command(
    task: TaskSettings,
    model: ModelSettings,
    probe: ProbeSettings,
    verify: VerifySettings,
    first_tries: bool,
    as_json: bool,
) -> None:
    """Forecast, in minutes, whether a model will learn to reflect on TASK: will learn, warm up first, or will not.

    It samples what training would meet: first tries, reflections on a failed one of each row, retries after them and
    without. Nothing is written. The exit code is 0 if the model will learn on every TASK, and 1 otherwise; with
    --first-tries it is 1 if one of several could not be tried. TASK may be a pattern, such as 'reasoning-gym.*'.
    """
    if first_tries:
        for name in OF_REFLECTIONS:
            if getattr(probe, name) is not None:
                raise RrrError(f"probe: --{name.replace('_', '-')} is of what follows a first try: leave it out.")
    from rrr_core import pipeline
    from rrr_core.cli.progress import make_progress
    from rrr_core.probing.forecast import shown
    from rrr_core.probing.probe import probe as probe_on
    from rrr_core.probing.probe import try_first

    opened, progress = pipeline.open_tasks(task, ("train",)), make_progress()
    chosen = pipeline.choose_model(model, *(each.task for each in opened), progress=progress)
    engine = pipeline.open_engine(chosen, progress)
    if first_tries:
        scanned: dict[str, Findings] = {}
        untried: dict[str, str] = {}
        for each in opened:
            try:
                scanned[each.name] = try_first(each.task, engine, probe, each.data, progress, verify)
            except RrrError as error:
                if len(opened) == 1:
                    raise
                untried[each.name] = str(error)  # one task's fault leaves the others' figures
            found = scanned.get(each.name)
            progress.say(f"{each.name}: {untried[each.name] if found is None else shown(found.first_try)}")
        ranked = dict(sorted(scanned.items(), key=lambda item: -item[1].first_try.value))
        if as_json:
            tasks: dict[str, Any] = {name: {"findings": each.to_json()} for name, each in ranked.items()}
            tasks |= {name: {"error": error} for name, error in untried.items()}
            click.echo(json.dumps({"model": engine.model.name, "tasks": tasks}, indent=2))
        else:
            click.echo("\n".join(ranking(ranked, untried)))
        if untried:
            raise click.exceptions.Exit(1)
        return
    probed: dict[str, Probed] = {}
    for each in opened:
        probed[each.name] = probe_on(each.task, engine, probe, each.data, progress, verify)
        if not as_json:
            click.echo("\n".join(lines_of(each.name, probed[each.name])))
    if as_json:
        click.echo(
            json.dumps({"model": engine.model.name, "tasks": {k: v.to_json() for k, v in probed.items()}}, indent=2)
        )
    if any(each.forecast.outlook != "will learn" for each in probed.values()):
        raise click.exceptions.Exit(1)


def ranking(ranked: Mapping[str, Findings], untried: Mapping[str, str]) -> Iterator[str]:
    """The tasks of a scan, the ablest first, and why others could not be tried, for people."""
    from rrr_core.cli.columns import aligned
    from rrr_core.probing.forecast import shown

    yield from (f"{name}: could not be tried: {error}" for name, error in untried.items())
    if not ranked:
        return
    some = next(iter(ranked.values()))
    headings = ("task", "first try", f"pass@{some.tries}", "rows", "failed without an answer", "cut off", "failed as")
    yield from aligned(
        headings,
        [
            (
                name,
                shown(each.first_try),
                shown(each.reached),
                f"{each.rows} of {each.rows + each.left_out}" if each.left_out else str(each.rows),
                "-" if each.formless is None else f"{each.formless.value:.0%}",
                f"{each.cut_off['first try'].value:.0%}",
                ", ".join(f"{count} {kind!a}" for kind, count in list(each.categories.items())[:2]),
            )
            for name, each in ranked.items()
        ],
    )
    low, high = SOME_ABILITY
    able = [name for name, each in ranked.items() if low <= each.first_try.value <= high]
    yield f"{len(able)} of {len(ranked)} tasks pass {low:.0%} to {high:.0%} of first tries: worth a whole probe."


def lines_of(name: str, probed: Probed) -> Iterator[str]:
    """The figures and the forecast, for people."""
    from rrr_core.cli.columns import aligned
    from rrr_core.probing.findings import gains_of, shares_of
    from rrr_core.probing.forecast import points, shown

    found, forecast = probed.findings, probed.forecast
    yield (
        f"{name}: {found.rows} rows, {found.tries} tries of each; {found.failures} failures,"
        f" {found.group_size} reflections on each"
    )
    cells = [
        ("first try", shown(found.first_try), f"{found.first_try.count} rows"),
        (f"pass@{found.tries}", shown(found.reached), f"{found.reached.count} rows"),
    ]
    if found.formless is not None:
        cells.append(("failed without an answer", shown(found.formless), f"{found.formless.count} failed tries"))
    cells += [
        (f"cut off: {what}", shown(cut), f"{cut.count} texts") for what, cut in found.cut_off.items() if cut.value
    ]
    cells += [(what, shown(rate), f"{rate.count} failures") for what, rate in shares_of(found)]
    cells += [(f"  {what}", points(gained), f"{gained.count} failures") for what, gained in gains_of(found)]
    if found.signal is not None and found.signal_in_a_step is not None:
        step = found.signal_in_a_step
        cells.append(("groups with a signal", shown(found.signal), f"{found.signal.count} groups"))
        numbers = f"{step.value:.1f} [{step.low:.1f}, {step.high:.1f}]"
        cells.append(("  of a step's groups", numbers, f"{found.batch_groups} groups a step"))
    yield from (f"  {line}" for line in aligned(("", "", ""), cells)[1:])
    if found.categories:
        yield "  failed as: " + ", ".join(f"{count} {kind!a}" for kind, count in list(found.categories.items())[:4])
    yield f"forecast: {forecast.outlook}"
    yield from (f"  {reason}" for reason in forecast.reasons)
    if forecast.rows_needed is not None:
        more = " and a larger --minutes" if found.left_out else ""
        yield f"  More rows may settle it: --rows {forecast.rows_needed}{more}."
