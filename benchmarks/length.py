"""Concise or verbose? Reflections trained with a bonus on their length, and under budgets of tokens.

For each seed, failures are mined once; the model is trained on them in each arm: `--length-bonus` below 0 (concise
reflections pay more), 0, and above 0 (verbose ones do), and `--max-reflection-tokens` at several budgets, beyond which
a reflection is cut off and fails. The untrained and trained models are evaluated on the same rows of the test split,
all with the demo's own limit, so an arm shows in what the model writes and not in where it is cut. To resume, run it
again.

    python benchmarks/length.py FOLDER [--bonuses -0.5 0 0.5] [--budgets 24 40] [--task NAME] [--seeds 0 1 2] …

The last lines are the table, also in `FOLDER/length.json`. A budget equal to the demo's is the arm of the bonus 0.
Several processes may share one FOLDER if each has its own seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from three_seeds import VANILLA, Variants, make, options_of, print_table

from rrr_core.evaluation.statistics import pooled_mean
from rrr_core.runs.files import read_json
from rrr_core.tasks import load_task

COLUMNS = ("reflection_tokens", "reflection_p10", "reflection_p90", "longer", "first_try", "second_try", "gain")


def arms(options: argparse.Namespace) -> dict[str, Mapping[str, Any]]:
    """Label → settings in addition to the demo's."""
    bonuses = {f"bonus{bonus:+g}": {"length_bonus": bonus} for bonus in options.bonuses}
    return {**bonuses, **{f"budget-{budget}": {"max_reflection_tokens": budget} for budget in options.budgets}}


def variants_of(options: argparse.Namespace) -> Variants:
    """One variant per arm, judged by the task itself."""
    task = load_task(options.task)
    return lambda _seed: [(label, task, changes) for label, changes in arms(options).items()]


def table(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One line per mode and arm: lengths in tokens, shares in per cent, each as the mean over seeds with its interval.

    `longer` is the mean length minus the untrained model's, `gain` the second tries minus the untrained model's.
    """
    lines = []
    for mode in ("greedy", "sampled"):
        before = figures(options, mode, VANILLA)
        for label in (VANILLA, *arms(options)):
            after = figures(options, mode, label)
            values: dict[str, list[float]] = {
                "reflection_tokens": [each["reflection_tokens"]["mean"] for each in after],
                "reflection_p10": [each["reflection_tokens"]["p10"] for each in after],
                "reflection_p90": [each["reflection_tokens"]["p90"] for each in after],
                "longer": [
                    one["reflection_tokens"]["mean"] - other["reflection_tokens"]["mean"]
                    for one, other in zip(after, before, strict=True)
                ],
                "first_try": [100 * each["first_try"]["value"] for each in after],
                "second_try": [100 * each["second_try"]["value"] for each in after],
                "gain": [
                    100 * (one["second_try"]["value"] - other["second_try"]["value"])
                    for one, other in zip(after, before, strict=True)
                ],
            }
            line: dict[str, Any] = {"mode": mode, "arm": label, "seeds": len(after)}
            line["rows"] = after[0]["second_try"]["total"]
            lines.append(line | {name: dataclasses.asdict(pooled_mean(each)) for name, each in values.items()})
    return lines


def figures(options: argparse.Namespace, mode: str, label: str) -> list[dict[str, Any]]:
    """The figures of one model in one mode, for each seed."""
    folders = [options.folder / f"seed-{seed}" / "eval" / label for seed in options.seeds]
    return [read_json(folder / "figures.json")["modes"][mode] for folder in folders]


def parser() -> argparse.ArgumentParser:
    made = options_of(__doc__)
    made.add_argument("--bonuses", type=float, nargs="+", default=[-0.5, 0.0, 0.5])
    made.add_argument("--budgets", type=int, nargs="*", default=[24, 40])
    return made


if __name__ == "__main__":
    chosen = parser().parse_args()
    make(chosen, variants_of(chosen))
    result = table(chosen)
    (chosen.folder / "length.json").write_text(json.dumps(result, indent=1))
    print_table(result, "arm", COLUMNS)
