"""Rounds of reflection: models trained for one round and for several, evaluated over several rounds.

For each seed, failures are mined once, and the model is trained on them in each arm: one round, several rounds with
each kind of credit, and several with shuffled verdicts (placebo). Untrained and trained models then get up to
`--rounds` rounds on the same rows of the test split, greedy and sampled, and so do their controls. To resume, run it
again.

    python benchmarks/rounds.py FOLDER [--task NAME] [--seeds 0 1 2] [--rounds 3] [--arms one several own passing …]

The last lines are the table, also in `FOLDER/rounds.json` and `.md`. Several processes may share one FOLDER if each has
its own seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from three_seeds import VANILLA, Variants, make, markdown, options_of, rows_of

from rrr_core.evaluation.controls import CONTROLS
from rrr_core.evaluation.statistics import pooled_mean
from rrr_core.runs.files import read_json, read_numbered_lines, write_json
from rrr_core.runs.layout import EvalFolder, TrainFolder
from rrr_core.tasks import load_task

ARMS: Mapping[str, Mapping[str, Any]] = {
    "one": {},
    "several": {"credit": "reflection"},
    "discounted": {"credit": "reflection", "round_discount": 0.5},
    "own": {"credit": "reflection", "round_discount": 0.0},
    "passing": {"credit": "passing"},
    "placebo": {"credit": "placebo"},
}
"""Arm → its settings in addition to the demo's; all but `one` train with several rounds."""
SHARES = ("right", "entered", "right_of_entered", "repeats")


def variants_of(options: argparse.Namespace) -> Variants:
    """One variant per arm, judged by the task itself."""
    task = load_task(options.task)
    rounds = {arm: 1 if arm == "one" else options.rounds for arm in options.arms}
    return lambda _seed: [(arm, task, {**ARMS[arm], "rounds": rounds[arm]}) for arm in options.arms]


def by_round(options: argparse.Namespace, mode: str, label: str) -> Iterator[list[dict[str, Any]]]:
    """The figures by round of one model, seed by seed."""
    for seed in options.seeds:
        figures = read_json(EvalFolder(options.folder / f"seed-{seed}" / "eval" / label).figures)
        yield figures["modes"][mode]["rounds"]


def table(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One line per mode, model and round: the mean over seeds of each figure, with Student's intervals."""
    lines = []
    for mode in ("greedy", "sampled"):
        base = list(by_round(options, mode, VANILLA))
        for label in (VANILLA, *options.arms):
            found = list(by_round(options, mode, label))
            for number in range(options.rounds):
                made = [each[number] for each in found]
                line: dict[str, Any] = {
                    "mode": mode,
                    "model": f"{label}, round {number + 1}",
                    "round": number + 1,
                    "arm": label,
                    "seeds": len(options.seeds),
                    "rows": rows_of(options),
                    **{name: mean_of([each[name] for each in made]) for name in SHARES},
                    "gain": mean_of(
                        [differing(one["right"], old[number]["right"]) for one, old in zip(made, base, strict=True)]
                    ),
                }
                for control in CONTROLS:
                    line[f"over_{control.figure}"] = mean_of([each["gains"][control.key] for each in made])
                lines.append(line)
    return lines


def differing(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The difference of two shares."""
    return None if one is None or other is None else {"value": one["value"] - other["value"]}


def mean_of(measured: Sequence[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """The mean over seeds, in per cent or points; None if nothing was measured in one of them."""
    values = [100 * each["value"] for each in measured if each is not None]
    return dataclasses.asdict(pooled_mean(values)) if len(values) == len(measured) else None


def sampled(options: argparse.Namespace) -> dict[str, list[float]]:
    """Arm → the tokens that its training sampled, seed by seed."""
    return {
        arm: [
            sum(
                line["sampled_tokens"]
                for _, line in read_numbered_lines(TrainFolder(options.folder / f"seed-{seed}" / arm).metrics)
            )
            for seed in options.seeds
        ]
        for arm in options.arms
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options_of(__doc__)
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    if options.rounds < 2:
        parser.error("--rounds: with fewer than two, all arms would be the same")
    make(options, variants_of(options), evaluating={"rounds": options.rounds})
    figures, tokens = table(options), sampled(options)
    write_json(options.folder / "rounds.json", {"figures": figures, "sampled_tokens": tokens})
    columns = [*SHARES, "gain", *(f"over_{control.figure}" for control in CONTROLS)]
    text = "\n".join(
        [
            *markdown(figures, "model", columns),
            "",
            *(f"{arm}: {' / '.join(f'{each:,.0f}' for each in seeds)} tokens sampled" for arm, seeds in tokens.items()),
        ]
    )
    (options.folder / "rounds.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
