"""`rrr eval`: measure first and second tries against controls, and compare models."""

from __future__ import annotations

import dataclasses
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rrr_core.cli.options import SettingsCommand, with_settings
from rrr_core.cli.processes import executor, processes_option
from rrr_core.cli.shared import folder_option, part_of, run_folder
from rrr_core.errors import RrrError
from rrr_core.runs.layout import TRAINED, VANILLA, EvalFolder, RunFolder

if TYPE_CHECKING:
    from rrr_core.cluster.settings import ClusterSettings
    from rrr_core.evaluation import EvalSettings
    from rrr_core.evaluation.forgetting.settings import ForgettingSettings
    from rrr_core.generation import ModelSettings
    from rrr_core.tasks.settings import TaskSettings
    from rrr_core.verification import VerifySettings


def has_evaluation(part: RunFolder, label: str) -> bool:
    """Whether an evaluation under this label is finished in a run folder."""
    return part.evaluation(label).figures.exists()


@click.command("eval", cls=SettingsCommand)
@folder_option("figures and episodes go to FOLDER/eval/LABEL, comparisons to FOLDER/eval")
@click.option(
    "--label",
    help="The model's name in figures and report.  [default: trained for FOLDER/train/model, vanilla without"
    " --model, else the last part of its name]",
)
@click.option(
    "--compare",
    "others",
    multiple=True,
    metavar="EVALUATION|MODEL",
    help="Also compare with this: a folder that `rrr eval` wrote (for any model, even a server's), the label of an"
    " evaluation in FOLDER, or the name of a model, which is evaluated first on the same rows. May be repeated.",
)
@click.option(
    "--forgetting",
    "measures_forgetting",
    is_flag=True,
    help="Also run general benchmarks through lm-eval, on each model compared: what training made it forget.",
)
@with_settings("task", "model", "eval", "cluster", prefixed=("verify", "forgetting"), several_tasks=True)
@processes_option
def command(
    task: TaskSettings,
    model: ModelSettings,
    eval: EvalSettings,
    cluster: ClusterSettings,
    verify: VerifySettings,
    forgetting: ForgettingSettings,
    folder: Path | None,
    label: str | None,
    others: tuple[str, ...],
    measures_forgetting: bool,
) -> None:
    """Measure a model on TASK: first try, second try after reflection, and controls that could refute a gain.

    Of several tasks, each is measured by itself, in FOLDER/tasks/TASK/eval.
    """
    from rrr_core import evaluation, pipeline
    from rrr_core.cli.forgetting import asked_for, benchmarks_of
    from rrr_core.cli.progress import make_progress
    from rrr_core.cli.tables import print_comparison
    from rrr_core.evaluation.deciding import check_deciders
    from rrr_core.evaluation.forgetting.comparison import forgotten
    from rrr_core.evaluation.reading import read_figures

    opened, target = pipeline.open_tasks(task), RunFolder(run_folder(folder, task))
    benchmarks = benchmarks_of(forgetting, model, len(opened)) if asked_for(measures_forgetting) else None
    parts = {each.name: part_of(target.path, each.name, len(opened)) for each in opened}
    for each in opened:
        check_deciders(each.task, eval.decide, verify)
    progress, processes = make_progress(), executor()
    chosen = checked_label(label) if label else label_of(model.model, target)
    # The requested model comes last, so differences are its figures minus the others'.
    planned: dict[str, ModelSettings] = {}
    compared: list[Path | str] = []
    for other in others:
        if EvalFolder(Path(other)).figures.exists():
            if len(opened) > 1:
                raise RrrError(f"--compare {other}: an evaluation is of one task: name a model, or one task alone.")
            compared.append(Path(other))
            continue
        name = label_of(other, target)
        if name in planned or name in compared or name == chosen:
            raise RrrError(f"--compare {other}: two models would be called {name!r}: set --label.")
        if name == other and not Path(other).is_dir() and all(has_evaluation(part, name) for part in parts.values()):
            compared.append(name)  # A label of this run folder's: what it names is evaluated already.
            continue
        planned[name] = dataclasses.replace(model, model=other)
        compared.append(name)
    for name, settings in {**planned, chosen: model}.items():
        settings = pipeline.choose_model(settings, *(each.task for each in opened), run=target.path, progress=progress)
        dated = partial(pipeline.with_date, settings, target.path)
        with pipeline.Workers(dated, cluster, processes, progress, verify) as workers:
            for each in opened:
                workers.evaluate(each, parts[each.name].evaluation(name).path, name, eval)
        if benchmarks is not None:  # when the workers have left the memory
            benchmarks.measure(dated(), name, target.evaluation(name), progress)
    if not processes.leads:
        return
    if benchmarks is not None:
        for earlier in (each for each in compared if isinstance(each, Path)):
            benchmarks.measure_again(model, EvalFolder(earlier), progress)
    for task_name, part in parts.items():
        if len(parts) > 1:
            click.echo(f"{task_name}:")
        if others:
            folders = [part.evaluation(each).path if isinstance(each, str) else each for each in (*compared, chosen)]
            print_comparison(evaluation.compare(folders, part.comparison))
        else:
            own = part.evaluation(chosen)
            found = {"figures": {chosen: read_figures(own.figures)}, "forgetting": forgotten({chosen: own.path})}
            print_comparison(found)


def label_of(model: str | None, folder: RunFolder) -> str:
    """A model's default label.

    >>> label_of("Qwen/Qwen2-7B-Instruct", RunFolder(Path("runs/x"))), label_of(None, RunFolder(Path("runs/x")))
    ('Qwen2-7B-Instruct', 'vanilla')
    """
    if not model:
        return VANILLA
    if Path(model) == folder.train.model:
        return TRAINED
    return re.sub(r"[^\w.-]+", "-", Path(model).name).strip(".-") or "model"


def checked_label(label: str) -> str:
    """The label, which must be usable as a folder name. Raises RrrError if it is not."""
    if not re.fullmatch(r"\w[\w.-]*", label):
        raise RrrError(f"--label {label!r}: use letters, digits, dots, dashes and underscores only.")
    return label
