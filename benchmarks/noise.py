"""How much verifier noise the method tolerates: verdicts are flipped in training, and nowhere else.

For each seed, failures are mined once with the task's own verifier; the model is trained on them under the overlay
`noisy` at each probability; the untrained and trained models are evaluated on the same rows of the test split,
again with the task's own verifier. A flip is a function of row and answer, so the same retry of a row is
misjudged every time: noise that more samples do not average out. To resume, run it again.

    python benchmarks/noise.py FOLDER [--task NAME] [--probabilities 0 0.05 0.1 0.2 0.4] [--seeds 0 1 2] …

False passes and false failures apart, in one table:

    python benchmarks/noise.py FOLDER --direction false_pass false_fail --probabilities 0 0.05 0.1 0.2 0.4

The last lines are the table, also in `FOLDER/noise.json`. At probability 0 all directions are the same, so that is
trained once. `flipped` is the share of retries kept in training whose
verdict differs from the verifier's own. Several processes may share one FOLDER if each has its own seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from three_seeds import VANILLA, Variants, make, options_of, print_table

from rrr_core.episode import Episode
from rrr_core.evaluation.controls import CONTROLS
from rrr_core.evaluation.statistics import pooled_mean, wilson
from rrr_core.runs.files import read_json, read_numbered_lines
from rrr_core.tasks import Task, load_task
from rrr_core.verification import Judge

DIRECTIONS = {
    "both": "probability={0}",
    "false_pass": "false_pass={0},false_fail=0",
    "false_fail": "false_fail={0},false_pass=0",
}
"""Which verdicts to flip → the options of `noisy`."""


def variants_of(options: argparse.Namespace) -> Variants:
    """One variant per probability, judged in training by the task with noise."""

    def variants(seed: int) -> Iterator[tuple[str, Task, dict[str, Any]]]:
        for label, (direction, probability) in made_of(options).items():
            yield label, load_task(options.task, [overlay_of(direction, probability, seed)]), {}

    return variants


def made_of(options: argparse.Namespace) -> dict[str, tuple[str, float]]:
    """Label → direction and probability of each model to train; without noise it is one for all directions."""
    return {
        label_of(options, direction, probability): (direction if probability else options.direction[0], probability)
        for direction in options.direction
        for probability in options.probabilities
    }


def overlay_of(direction: str, probability: float, seed: int) -> str:
    """The overlay argument for this noise."""
    return f"noisy:{DIRECTIONS[direction].format(probability)},seed={seed}"


def label_of(options: argparse.Namespace, direction: str, probability: float) -> str:
    """The name of a trained model and its folder."""
    return f"noise-{direction if probability else options.direction[0]}-{probability:g}"


def table(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One line per mode, direction and probability, with figures in per cent.

    Over several seeds the intervals are Student's; for a single seed they are over its rows.
    """
    folders = [options.folder / f"seed-{seed}" for seed in options.seeds]
    lines = []
    for mode in ("greedy", "sampled"):
        for direction, probability in itertools.product(options.direction, options.probabilities):
            label = label_of(options, direction, probability)
            figures = [read_json(folder / "eval" / label / "figures.json") for folder in folders]
            lines.append(
                {
                    "mode": mode,
                    "direction": direction,
                    "probability": probability,
                    "noise": f"{direction.replace('_', ' ')} {probability:g}",
                    "seeds": len(folders),
                    "rows": figures[0]["rows"],
                    "flipped": in_per_cent([flipped(options.task, folder / label) for folder in folders]),
                    "second_try": in_per_cent([each["modes"][mode]["second_try"] for each in figures]),
                    "gain": in_per_cent([gain(folder, mode, label) for folder in folders]),
                    **{
                        f"over_{control.figure}": in_per_cent(
                            [each["modes"][mode]["gains"][control.gain] for each in figures]
                        )
                        for control in CONTROLS
                    },
                }
            )
    return lines


def gain(folder: Path, mode: str, label: str) -> dict[str, Any]:
    """The trained model's second tries minus the untrained one's, over the rows of one seed."""
    wanted = {"a": VANILLA, "b": label, "mode": mode, "figure": "second_try"}
    pairs = read_json(folder / "eval" / "comparison.json")["pairs"]
    (pair,) = (pair for pair in pairs if wanted.items() <= pair.items())
    return dict(pair["difference"])


def flipped(task: str, folder: Path) -> dict[str, Any]:
    """The share of kept retries whose verdict in training differs from the verifier's."""
    path = folder / "episodes.jsonl"
    episodes = [Episode.from_json(line, f"{path}:{number}") for number, line in read_numbered_lines(path)]
    kept = [
        (episode.row, segment.text, segment.verdict)
        for episode in episodes
        for segment in episode.answers
        if segment.role == "retry" and segment.verdict is not None and not segment.verdict.is_abstained
    ]
    with Judge(load_task(task)) as judge:
        own = judge.judge([(row, retry) for row, retry, _ in kept])
    differing = sum(given.outcome != verdict.outcome for (_, _, given), verdict in zip(kept, own, strict=True))
    return dataclasses.asdict(wilson(differing, len(kept)))


def in_per_cent(seeds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The mean over seeds of a figure, with its interval; for one seed the figure's own."""
    if len(seeds) == 1:
        return {name: 100 * seeds[0][name] for name in ("value", "low", "high")}
    return dataclasses.asdict(pooled_mean([100 * each["value"] for each in seeds]))


if __name__ == "__main__":
    parser = options_of(__doc__)
    parser.add_argument("--probabilities", type=float, nargs="+", default=[0.0, 0.05, 0.1, 0.2, 0.4])
    parser.add_argument(
        "--direction", choices=list(DIRECTIONS), nargs="+", default=["both"], help="which verdicts to flip"
    )
    chosen = parser.parse_args()
    make(chosen, variants_of(chosen))
    result = table(chosen)
    (chosen.folder / "noise.json").write_text(json.dumps(result, indent=1))
    columns = ["flipped", "second_try", "gain", *(f"over_{control.figure}" for control in CONTROLS)]
    print_table(result, "noise", columns)
