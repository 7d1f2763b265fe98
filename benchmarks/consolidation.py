"""What reaches the first try: consolidation by distilling, by reward, by both, and plain GRPO at equal compute.

For each seed, failures are mined once, and the model is trained on them in each arm: reflections alone, with each kind
of `--consolidate`, with both and shuffled verdicts (placebo), and first tries alone (`--credit attempt`, plain GRPO).
The last gets as many steps as sample what the arm of reflections sampled. Untrained and trained models are evaluated on
the same rows of the test split, greedy and sampled. To resume, run it again.

    python benchmarks/consolidation.py FOLDER [--task NAME] [--seeds 0 1 2] [--arms reflection distill reward …]

The last lines are the tables, also in `FOLDER/consolidation.json` and `.md`. Several processes may share one FOLDER if
each has its own seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from three_seeds import VANILLA, Variants, make, markdown, options_of, table, values

from rrr_core.evaluation.controls import CONTROLS
from rrr_core.evaluation.statistics import pooled_mean
from rrr_core.profiling.profile import read_profile
from rrr_core.runs.files import read_json, read_numbered_lines, write_json
from rrr_core.runs.layout import TrainFolder
from rrr_core.tasks import Task, load_task
from rrr_core.tasks.presets import presets_of
from rrr_core.tasks.settings import TaskSettings

ARMS: Mapping[str, Mapping[str, Any]] = {
    "reflection": {},
    "distill": {"consolidate": "distill"},
    "reward": {"consolidate": "reward"},
    "both": {"consolidate": "both"},
    "placebo": {"consolidate": "both", "credit": "placebo"},
    "attempt": {"credit": "attempt"},
}
"""Arm → its settings in addition to the demo's."""
TOLERANCE = 0.05
"""Share by which the sampled tokens of plain GRPO may differ from those of the reflections' arm."""
TRIAL = 4
"""Steps of the trial that says how much a step of plain GRPO samples."""
CORRECTIONS = 2
"""How often plain GRPO is trained again with other steps if the trial misjudged it."""


def variants_of(options: argparse.Namespace) -> Variants:
    """One variant per arm, judged by the task itself."""
    task = load_task(options.task)
    limit = presets_of(TaskSettings(name=options.task), "demo")["mine"]["max_tokens"]

    def variants(seed: int) -> Iterator[tuple[str, Task, Mapping[str, Any]]]:
        for arm in options.arms:
            changes = {"max_attempt_tokens": limit, **settings_of(options, arm)}
            folder = options.folder / f"seed-{seed}"
            timed = Timed(folder, arm)
            if arm == "attempt":
                yield from at_equal_compute(folder, task, changes, timed)
            else:
                with timed:
                    yield arm, task, changes

    return variants


def settings_of(options: argparse.Namespace, arm: str) -> dict[str, Any]:
    """The settings of an arm, with the strengths given on the command line where they act."""
    mode = ARMS[arm].get("consolidate", "none")
    strengths = {"distill_weight": options.distill_weight, "consolidate_share": options.consolidate_share}
    acting = {"distill": ["distill_weight"], "reward": ["consolidate_share"], "both": list(strengths), "none": []}[mode]
    return {**ARMS[arm], **{name: strengths[name] for name in acting if strengths[name] is not None}}


def at_equal_compute(
    folder: Path, task: Task, changes: Mapping[str, Any], timed: Timed
) -> Iterator[tuple[str, Task, Mapping[str, Any]]]:
    """Plain GRPO with as many steps as sample what the reflections' arm, which is trained by now, has sampled.

    A short trial gives the first guess. If the training that follows is off by more than the tolerance, it is repeated
    with corrected steps.
    """
    wanted = sampled(folder / "reflection")
    path = folder / "attempt-steps.json"
    if not path.exists():
        yield "attempt-trial", task, {**changes, "steps": TRIAL}
        write_json(path, {"steps": steps_for(wanted, folder / "attempt-trial")})
    for correction in range(CORRECTIONS + 1):
        steps = read_json(path)["steps"]
        with timed:
            yield "attempt", task, {**changes, "steps": steps}
        better = steps_for(wanted, folder / "attempt")
        off = abs(sampled(folder / "attempt") / wanted - 1)
        if off <= TOLERANCE or better == steps or correction == CORRECTIONS:
            return
        shutil.rmtree(folder / "attempt")
        write_json(path, {"steps": better})
        timed.forget()


def sampled(folder: Path) -> float:
    """All tokens that a finished training sampled."""
    return sum(line["sampled_tokens"] for _, line in read_numbered_lines(TrainFolder(folder).metrics))


def steps_for(wanted: float, folder: Path) -> int:
    """How many steps like those of a finished training sample the wanted tokens."""
    lines = [line["sampled_tokens"] for _, line in read_numbered_lines(TrainFolder(folder).metrics)]
    return max(1, round(wanted / fmean(lines)))


class Timed:
    """Notes the processor seconds of an arm's training, if one call trained it from its beginning to its end."""

    def __init__(self, folder: Path, arm: str) -> None:
        self.folder, self.arm, self.path = folder, arm, folder / "processor-seconds.json"

    def __enter__(self) -> None:
        self.whole, self.began = not (self.folder / self.arm).exists(), time.process_time()

    def __exit__(self, fault: type[BaseException] | None, *_: object) -> None:
        if self.whole and fault is None:
            write_json(self.path, {**self.noted(), self.arm: round(time.process_time() - self.began, 1)})

    def noted(self) -> dict[str, float]:
        return dict(read_json(self.path)) if self.path.exists() else {}

    def forget(self) -> None:
        """Drop what was noted of a training that is repeated."""
        write_json(self.path, {arm: seconds for arm, seconds in self.noted().items() if arm != self.arm})


def costs(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One line per arm: steps, tokens and seconds of a training, as means over the seeds."""
    lines = []
    for arm in options.arms:
        folders = [options.folder / f"seed-{seed}" for seed in options.seeds]
        profiles = [read_profile(folder / arm) for folder in folders]
        noted = [Timed(folder, arm).noted().get(arm) for folder in folders]
        steps = [len(list(read_numbered_lines(TrainFolder(folder / arm).metrics))) for folder in folders]
        lines.append(
            {
                "arm": arm,
                "steps": fmean(steps),
                "sampled_tokens": fmean(sampled(folder / arm) for folder in folders),
                "trained_tokens": mean_of([spent.tokens.get("trained", 0) for spent in profiles if spent is not None]),
                "wall_seconds": mean_of([spent.wall_seconds for spent in profiles if spent is not None]),
                "processor_seconds": mean_of([seconds for seconds in noted if seconds is not None]),
            }
        )
    return lines


def mean_of(values: Sequence[float]) -> float | None:
    """The mean of what is known; None if nothing is."""
    return fmean(values) if values else None


def table_of_costs(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """The costs as lines of Markdown."""
    names = [name for name in lines[0] if name != "arm"]
    rows = [
        f"| {line['arm']} | " + " | ".join("–" if line[name] is None else f"{line[name]:,.0f}" for name in names) + " |"
        for line in lines
    ]
    return [f"| arm | {' | '.join(name.replace('_', ' ') for name in names)} |", "|---" * (len(names) + 1) + "|", *rows]


def with_differences(options: argparse.Namespace, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The table's lines with two more: first tries over vanilla's, and second tries over those of reflections alone."""
    for line in lines:
        mode, label = line["mode"], line["model"]
        for name, figure, other in (
            ("first_try_gain", "first_try", VANILLA),
            ("second_try_over_reflection", "second_try", "reflection"),
        ):
            if other == VANILLA or other in options.arms:
                pairs = zip(values(options, mode, label, figure), values(options, mode, other, figure), strict=True)
                line[name] = dataclasses.asdict(pooled_mean([one - base for one, base in pairs]))
    return lines


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = options_of(__doc__)
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--distill-weight", type=float, help="[default: that of rrr train, as for the share]")
    parser.add_argument("--consolidate-share", type=float)
    options = parser.parse_args(arguments)
    if "attempt" in options.arms and options.arms[0] != "reflection":
        parser.error("the arm attempt is as long as the arm reflection, so that has to be the first")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    make(options, variants_of(options), options.arms)
    figures, spent = with_differences(options, table(options, options.arms)), costs(options)
    write_json(options.folder / "consolidation.json", {"figures": figures, "costs": spent})
    columns = [
        *("first_try", "first_try_gain", "first_try_over_vanilla_second_try", "second_try", "gain"),
        *(["second_try_over_reflection"] if "reflection" in options.arms else []),
        *(f"over_{control.figure}" for control in CONTROLS),
    ]
    text = "\n".join([*markdown(figures, "model", columns), "", *table_of_costs(spent)])
    (options.folder / "consolidation.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
