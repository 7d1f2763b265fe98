"""What is left of the gain when no oracle says which first answers to retry: deciders beside the oracle.

For each seed, the untrained model and one trained on its reflections are evaluated on the same rows of the test split
with `--decide`: the model itself, agreement at two thresholds, and the task's verifier with errors of one side. The
trained weights are made as `three_seeds.py` makes them, and so a folder of that script is used as it is; `--trained`
takes them from elsewhere. To resume, run it again.

    python benchmarks/oracle_gap.py FOLDER [--task NAME] [--seeds 0 1 2] [--rates 0.1 0.3] [--needs 0.5 1] …
    python benchmarks/oracle_gap.py FOLDER --trained 'OTHER/seed-{seed}/reflection/model'

The last lines are the table, also in `FOLDER/oracle_gap.md` and `FOLDER/oracle_gap.json`. Several processes may share
one FOLDER if each has its own seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from three_seeds import VANILLA, given, options_of, show

from rrr_core.cli.progress import make_progress
from rrr_core.evaluation import EvalSettings, evaluate
from rrr_core.evaluation.statistics import pooled_mean
from rrr_core.generation import ModelSettings
from rrr_core.generation.transformers_backend import load_transformers
from rrr_core.mining import MineSettings, mine
from rrr_core.mining.failure_set import read_failures
from rrr_core.runs.files import read_json
from rrr_core.tasks import load_task
from rrr_core.tasks.presets import presets_of
from rrr_core.tasks.settings import TaskSettings
from rrr_core.training.run import train
from rrr_core.training.settings import TrainSettings

TRAINED, CREDIT = "trained", "reflection"
SHARES = ("retried_right", "retried_wrong", "undecided", "right_to_wrong", "wrong_to_right", "right", "gain", "lost")
COLUMNS = (*SHARES, "tokens")


def deciders_of(options: argparse.Namespace, seed: int) -> dict[str, str]:
    """A decider's name in the table → what `--decide` takes for it, with this seed's errors."""
    agreement = {
        f"agreement, {need:g} of {options.samples}": f"agreement:samples={options.samples},need={need:g}"
        for need in options.needs
    }
    noisy = {
        f"verifier, {100 * rate:g}% {said}": f"noisy:{kind}={rate:g},{other}=0,seed={seed}"
        for rate in options.rates
        for kind, other, said in (
            ("false_pass", "false_fail", "false passes"),
            ("false_fail", "false_pass", "false failures"),
        )
    }
    return {**({"model": "model"} if options.ask else {}), **agreement, **noisy}


def make(options: argparse.Namespace) -> None:
    """Train and evaluate whatever is missing."""
    task, demo = load_task(options.task), presets_of(TaskSettings(name=options.task), "demo")
    model = options.model or str(task.default_model())
    for seed in options.seeds:
        weights = {VANILLA: model, TRAINED: trained(options, model, seed)}
        settings = EvalSettings(
            **{
                **demo["eval"],
                **given(rows=options.rows),
                "seed": seed,
                "controls": (),
                "decide": tuple(deciders_of(options, seed).values()),
            }
        )
        for label, path in weights.items():
            evaluate(
                task, load_transformers(path), folder_of(options, seed, label), label, settings, {}, make_progress()
            )


def trained(options: argparse.Namespace, model: str, seed: int) -> str:
    """The trained weights of a seed: those given, or made as `three_seeds.py` makes them."""
    if options.trained:
        return str(options.trained).format(seed=seed)
    task, demo = load_task(options.task), presets_of(TaskSettings(name=options.task), "demo")
    folder = options.folder / f"seed-{seed}"
    mined = MineSettings(**{**demo["mine"], **given(rows=options.mine_rows), "seed": seed})
    mine(task, load_transformers(model), folder / "mine", mined, {}, make_progress())
    settings = TrainSettings(**{**demo["train"], **given(steps=options.steps), "seed": seed, "credit": CREDIT})
    failures = read_failures(folder / "mine")
    return str(train(task, failures, ModelSettings(model=model), folder / CREDIT, settings, make_progress()).model)


def folder_of(options: argparse.Namespace, seed: int, label: str) -> Path:
    """Where a model is evaluated with deciders: apart from `three_seeds.py`, whose evaluations have none."""
    return Path(options.folder) / f"seed-{seed}" / "decide" / label


def table(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One line per mode, model and decider: the mean over seeds of each figure, in per cent, and of tokens a row.

    Intervals are Student's over seeds.
    """
    names = {"oracle": "oracle", "always": "always", **dict.fromkeys(deciders_of(options, 0))}
    lines = []
    for mode in ("greedy", "sampled"):
        for label in (VANILLA, TRAINED):
            figures = [
                read_json(folder_of(options, seed, label) / "figures.json")["modes"][mode]["deciders"]
                for seed in options.seeds
            ]
            for name in names:
                found = [
                    each[deciders_of(options, seed).get(name, name)]
                    for each, seed in zip(figures, options.seeds, strict=True)
                ]
                line = {"mode": mode, "model": label, "decider": name, "rows": found[0]["rows"], "seeds": len(found)}
                lines.append({**line, **{column: mean_of(found, column) for column in COLUMNS}})
    return lines


def mean_of(seeds: Sequence[Mapping[str, Any]], column: str) -> dict[str, Any] | None:
    """The mean over seeds of a decider's figure; None if a seed has none."""
    figures = [each[column] for each in seeds]
    if any(each is None for each in figures):
        return None
    values = [each["total"] if column == "tokens" else 100 * each["value"] for each in figures]
    return dataclasses.asdict(pooled_mean(values))


def markdown(lines: Sequence[Mapping[str, Any]]) -> str:
    """The table as Markdown."""
    titles = [column.replace("_to_", " → ").replace("_", " ") for column in COLUMNS]
    head = ["| mode | model | decider | " + " | ".join(titles) + " |", "|---" * (3 + len(COLUMNS)) + "|"]
    body = [
        f"| {line['mode']} | {line['model']} | {line['decider']} | "
        + " | ".join("–" if line[column] is None else show(line[column]) for column in COLUMNS)
        + " |"
        for line in lines
    ]
    return "\n".join([*head, *body])


def add_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--trained", help="trained weights, with {seed} for the seed  [default: made here]")
    parser.add_argument("--samples", type=int, default=4, help="samples for agreement")
    parser.add_argument("--needs", type=float, nargs="+", default=[0.5, 1.0], help="shares of them that must agree")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.1, 0.3], help="the verifier's errors of one side")
    parser.add_argument("--no-ask", dest="ask", action="store_false", help="do not ask the model itself")
    return parser


if __name__ == "__main__":
    chosen = add_options(options_of(__doc__)).parse_args()
    make(chosen)
    result = table(chosen)
    (chosen.folder / "oracle_gap.json").write_text(json.dumps(result, indent=1))
    (chosen.folder / "oracle_gap.md").write_text(markdown(result) + "\n")
    print(markdown(result))
