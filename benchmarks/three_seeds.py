"""The table that shows whether the gain is real: three seeds, four credits, unseen rows, and every control.

For each seed, failures are mined once, the model is trained on them with each `--credit`, and the untrained and
trained models are evaluated on the same rows of the test split, greedy and sampled. To resume, run it again.

    python benchmarks/three_seeds.py FOLDER [--task NAME] [--seeds 0 1 2] [--credits reflection placebo all retry] …

The last lines are the table, also in `FOLDER/table.json`. Several processes may share one FOLDER if each has its
own seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rrr_core.cli.progress import make_progress
from rrr_core.evaluation import EvalSettings, compare, evaluate
from rrr_core.evaluation.controls import CONTROLS
from rrr_core.evaluation.figures import WAYS
from rrr_core.evaluation.statistics import pooled_mean
from rrr_core.generation import ModelSettings
from rrr_core.generation.transformers_backend import load_transformers
from rrr_core.mining import MineSettings, mine
from rrr_core.mining.failure_set import read_failures
from rrr_core.tasks import Task, load_task
from rrr_core.tasks.presets import presets_of
from rrr_core.tasks.settings import TaskSettings
from rrr_core.training.run import train
from rrr_core.training.settings import CREDITS, TrainSettings

VANILLA = "vanilla"
REFLECTING = [name for name, credit in CREDITS.items() if name != "attempt" and not credit.of_rounds]
"""The credits of one round after a failure. `consolidation.py` measures plain GRPO on first tries, at equal compute;
`rounds.py` those that differ with several rounds alone."""


Variants = Callable[[int], Iterable[tuple[str, Task, Mapping[str, Any]]]]
"""Seed → what to train: a label, the task that judges in training, and settings in addition to the demo's."""


def variants_of(options: argparse.Namespace) -> Variants:
    """One variant per credit, judged by the task itself."""
    task = load_task(options.task)
    return lambda _seed: [(credit, task, {"credit": credit}) for credit in options.credits]


def make(
    options: argparse.Namespace,
    variants: Variants,
    labels: Collection[str] | None = None,
    evaluating: Mapping[str, Any] | None = None,
) -> None:
    """Train and evaluate whatever is missing.

    `labels` are the models to evaluate, by default all that are trained; `evaluating` holds settings of evaluation in
    addition to the demo's.
    """
    task, demo = load_task(options.task), presets_of(TaskSettings(name=options.task), "demo")
    model = options.model or str(task.default_model())
    data: dict[str, str] = {}
    for seed in options.seeds:
        folder = options.folder / f"seed-{seed}"
        mined = MineSettings(**{**demo["mine"], **given(rows=options.mine_rows), "seed": seed})
        evaluated = EvalSettings(**{**demo["eval"], **given(rows=options.rows), **(evaluating or {}), "seed": seed})
        mine(task, load_transformers(model), folder / "mine", mined, data, make_progress())
        failures = read_failures(folder / "mine")
        weights = {VANILLA: model}
        for label, judging, changes in variants(seed):
            settings = TrainSettings(**{**demo["train"], **given(steps=options.steps), "seed": seed, **changes})
            done = train(judging, failures, ModelSettings(model=model), folder / label, settings, make_progress())
            if labels is None or label in labels:
                weights[label] = done.model
        for label, named in weights.items():
            if not (folder / "eval" / label / "figures.json").exists():
                engine = load_transformers(named)
                evaluate(task, engine, folder / "eval" / label, label, evaluated, data, make_progress())
        compare([folder / "eval" / label for label in weights], folder / "eval" / "comparison.json")


def given(**settings: int | None) -> dict[str, int]:
    """The settings given on the command line; all others come from the task's demo."""
    return {name: value for name, value in settings.items() if value is not None}


def values(options: argparse.Namespace, mode: str, label: str, figure: str) -> Iterator[float]:
    """One figure of one model per seed, in per cent."""
    for seed in options.seeds:
        path = options.folder / f"seed-{seed}" / "eval" / label / "figures.json"
        measured: dict[str, Any] = json.loads(path.read_text())["modes"][mode]
        yield 100 * measured[figure]["value"]


def rows_of(options: argparse.Namespace) -> int:
    """The number of rows behind each figure."""
    path = options.folder / f"seed-{options.seeds[0]}" / "eval" / VANILLA / "figures.json"
    return int(json.loads(path.read_text())["rows"])


def table(options: argparse.Namespace, labels: Sequence[str]) -> list[dict[str, Any]]:
    """One line per mode and model: the mean over seeds of each figure, and of the gain over the untrained model.

    The models are the untrained one and those of these labels.

    Intervals are Student's over seeds: they cover the variation of mining, training and sampling together.
    """
    lines = []
    for mode in ("greedy", "sampled"):
        base = list(values(options, mode, VANILLA, "second_try"))
        for label in (VANILLA, *labels):
            line: dict[str, Any] = {"mode": mode, "model": label, "seeds": len(options.seeds), "rows": rows_of(options)}
            for way in WAYS:
                line[way.key] = dataclasses.asdict(pooled_mean(list(values(options, mode, label, way.key))))
            second = list(values(options, mode, label, "second_try"))
            line["gain"] = dataclasses.asdict(pooled_mean([s - b for s, b in zip(second, base, strict=True)]))
            for control in CONTROLS:
                other = values(options, mode, label, control.figure)
                line[f"over_{control.figure}"] = dataclasses.asdict(
                    pooled_mean([s - o for s, o in zip(second, other, strict=True)])
                )
            first = list(values(options, mode, label, "first_try"))
            line["first_try_over_vanilla_second_try"] = dataclasses.asdict(
                pooled_mean([f - b for f, b in zip(first, base, strict=True)])
            )
            lines.append(line)
    return lines


def show(mean: dict[str, Any] | None) -> str:
    if mean is None:
        return "–"
    if mean["low"] is None:
        return f"{mean['value']:.1f} [one seed]"
    return f"{mean['value']:.1f} [{mean['low']:.1f}, {mean['high']:.1f}]"


def options_of(description: str | None) -> argparse.ArgumentParser:
    """Options of a benchmark that trains with the demo's settings over several seeds."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--task", default="countdown")
    parser.add_argument("--model", help="the untrained model  [default: the task's own]")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, help="optimiser steps  [default: the demo's, as for the two below]")
    parser.add_argument("--rows", type=int, help="rows of the test split to evaluate")
    parser.add_argument("--mine-rows", type=int, help="rows of the train split to mine")
    return parser


def print_table(lines: Sequence[Mapping[str, Any]], named: str, columns: Sequence[str]) -> None:
    """Print the lines as Markdown, each identified by its mode and its value of `named`."""
    print("\n".join(markdown(lines, named, columns)))


def markdown(lines: Sequence[Mapping[str, Any]], named: str, columns: Sequence[str]) -> Iterator[str]:
    """The lines of a table in Markdown."""
    yield f"| mode | {named} | " + " | ".join(columns) + " |"
    yield "|---|---|" + "---|" * len(columns)
    for line in lines:
        name = line[named] if isinstance(line[named], str) else f"{line[named]:g}"
        yield f"| {line['mode']} | {name} | " + " | ".join(show(line[column]) for column in columns) + " |"


if __name__ == "__main__":
    parser = options_of(__doc__)
    parser.add_argument("--credits", nargs="+", default=REFLECTING, choices=CREDITS)
    chosen = parser.parse_args()
    make(chosen, variants_of(chosen))
    result = table(chosen, chosen.credits)
    (chosen.folder / "table.json").write_text(json.dumps(result, indent=1))
    columns = [*(way.key for way in WAYS), "gain", *(f"over_{control.figure}" for control in CONTROLS)]
    print_table(result, "model", columns)
