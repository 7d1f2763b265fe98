"""`rrr probe`: whether a model will learn on a task, before it is trained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from rrr_core.cli.options import SettingsCommand, with_settings

if TYPE_CHECKING:
    from rrr_core.generation import ModelSettings
    from rrr_core.probing.probe import Probed
    from rrr_core.probing.settings import ProbeSettings
    from rrr_core.tasks.settings import TaskSettings
    from rrr_core.verification import VerifySettings


@click.command("probe", cls=SettingsCommand)
@click.option("--json", "as_json", is_flag=True, help="Write the figures and the forecast as one JSON object.")
@with_settings("task", "model", "probe", prefixed=("verify",), several_tasks=True)
def command(
    task: TaskSettings, model: ModelSettings, probe: ProbeSettings, verify: VerifySettings, as_json: bool
) -> None:
    """Forecast, in minutes, whether a model will learn to reflect on TASK: will learn, warm up first, or will not.

    It samples what training would meet: first tries, reflections on a failed one of each row, retries after them and
    without. Nothing is written. The exit code is 0 if the model will learn on every TASK, and 1 otherwise.
    """
    from rrr_core import pipeline
    from rrr_core.cli.progress import make_progress
    from rrr_core.probing.probe import probe as probe_on

    opened, progress = pipeline.open_tasks(task), make_progress()
    chosen = pipeline.choose_model(model, *(each.task for each in opened), progress=progress)
    engine = pipeline.open_engine(chosen, progress)
    found: dict[str, Probed] = {}
    for each in opened:
        found[each.name] = probe_on(each.task, engine, probe, each.data, progress, verify)
        if not as_json:
            click.echo("\n".join(lines_of(each.name, found[each.name])))
    if as_json:
        click.echo(
            json.dumps({"model": engine.model.name, "tasks": {k: v.to_json() for k, v in found.items()}}, indent=2)
        )
    if any(each.forecast.outlook != "will learn" for each in found.values()):
        raise click.exceptions.Exit(1)


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
        yield f"  More rows may settle it: --rows {forecast.rows_needed}."
