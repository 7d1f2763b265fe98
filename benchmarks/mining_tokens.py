"""Tokens to mine 10,000 failures at 80% accuracy, against a fixed 64 samples per row (as in the paper).

The engine is a simulated model of given accuracy; everything else is real: `mine` with its sweeps, rounds, judge
and files. Every sampled token counts, including those of discarded tries. Two cases: all rows equally hard, and,
like real rows, some nearly always right and others hardly ever (a Beta distribution of the same mean).

    python benchmarks/mining_tokens.py [--failures 10000] [--accuracy 0.8] [--seed 0] [--folder FOLDER]

A failure is a row with one failing attempt: a training group reflects on *one* attempt, and groups on other rows
teach more than further groups on the same row. The fixed way also finds many failing samples per row; counted by
those, it wastes as little as ours, and the figures show it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from statistics import mean
from typing import Any

from recording import Figure, folder_option, record
from simulated import Accuracy, SimulatedModel, equally_hard, simulated_task, unevenly_hard

from rrr_core.generation.engine import Sampling
from rrr_core.mining import MineSettings, mine
from rrr_core.mining.failure_set import read_failures
from rrr_core.seeds import mining_seed
from rrr_core.verification import Judge

FIXED = 64
"""Samples per row in the paper (arXiv 2505.24726)."""
CONCENTRATION = 2.0
"""Concentration of the uneven rows' Beta distribution: at 80% a quarter are right in more than 98 of 100 tries."""
GOAL = 0.1
ROWS = 450_000
"""Available rows, as in Countdown: more than needed."""


@dataclass(frozen=True)
class Collected:
    """What one way of mining cost and found."""

    failed_rows: int
    rows: int
    samples: int
    tokens: int
    failing_samples: int
    """Failing attempts found; ours keeps one per row, the fixed way all."""
    thrown_away: float
    """Share of samples drawn after a row's failing one."""
    accuracy_of_failed_rows: float
    """The model's mean accuracy on the rows in the set: how hard they are."""

    @property
    def tokens_a_failure(self) -> float:
        return self.tokens / self.failed_rows


def mined(accuracy: Accuracy, rows: int, wanted: int, seed: int) -> Collected:
    """Ours: each row until its first failure. `wanted` failures are mined in sweeps; 0 tries each row to the end."""
    model, settings = SimulatedModel(accuracy), MineSettings(rows=rows, tries=FIXED, failures_wanted=wanted, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        summary = mine(simulated_task(), model, Path(folder), settings, {"rows": str(rows)})
        numbers = [failure.row["number"] for failure in read_failures(Path(folder))]
    if (summary.sampled, summary.sampled_tokens) != (model.samples, model.tokens):
        raise AssertionError(f"the summary counts {summary.sampled} samples, but the model wrote {model.samples}")
    return Collected(
        failed_rows=summary.failed_rows,
        rows=summary.rows,
        samples=model.samples,
        tokens=model.tokens,
        failing_samples=summary.failures,
        thrown_away=1 - summary.tries / model.samples,
        accuracy_of_failed_rows=mean(map(accuracy, numbers)),
    )


def fixed(accuracy: Accuracy, wanted: int, seed: int) -> Collected:
    """The paper's way: `FIXED` samples per row, row by row, until `wanted` rows have failed."""
    model, task, numbers, failing = SimulatedModel(accuracy), simulated_task(), [], 0
    with Judge(task) as judge:
        for number in count():
            row = {"number": number}
            prompts = [task.prompt(row, model.model)] * FIXED
            generations = model.generate(prompts, Sampling(seed=mining_seed(seed, number, 0)))
            verdicts = judge.judge([(row, made.text) for made in generations])
            failures = sum(verdict.is_failed for verdict in verdicts)
            failing += failures
            numbers += [number] * (failures > 0)
            if len(numbers) == wanted:
                break
    return Collected(
        failed_rows=wanted,
        rows=number + 1,
        samples=model.samples,
        tokens=model.tokens,
        failing_samples=failing,
        thrown_away=0.0,
        accuracy_of_failed_rows=mean(map(accuracy, numbers)),
    )


def measure(accuracy: Accuracy, failures: int, seed: int) -> dict[str, Collected]:
    """The ways of mining, each on the same rows in the same order."""
    paper = fixed(accuracy, failures, seed)
    return {
        "fixed": paper,
        "wanted": mined(accuracy, ROWS, failures, seed),
        "same rows": mined(accuracy, paper.rows, 0, seed),
    }


def figures_of(case: str, ways: Mapping[str, Collected]) -> list[Figure]:
    paper, wanted, same = ways["fixed"], ways["wanted"], ways["same rows"]
    ratio = wanted.tokens_a_failure / paper.tokens_a_failure
    return [
        Figure(f"{case}: tokens, ours / fixed", ratio, "×", goal=GOAL, at_most=True),
        Figure(f"{case}: on the fixed way's rows", same.tokens_a_failure / paper.tokens_a_failure, "×"),
        Figure(
            f"{case}: a failing sample, ours / fixed",
            wanted.tokens / wanted.failing_samples * paper.failing_samples / paper.tokens,
            "×",
        ),
        Figure(f"{case}: tokens a failure, ours", wanted.tokens_a_failure, "tokens"),
        Figure(f"{case}: tokens a failure, fixed", paper.tokens_a_failure, "tokens"),
        Figure(f"{case}: thrown away, ours", 100 * wanted.thrown_away, "%"),
        Figure(f"{case}: thrown away, fixed way's rows", 100 * same.thrown_away, "%"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--failures", type=int, default=10_000, help="failures to collect")
    parser.add_argument("--accuracy", type=float, default=0.8, help="the model's accuracy over all rows")
    parser.add_argument("--seed", type=int, default=0)
    folder_option(parser)
    options = parser.parse_args()
    cases = {
        "equally hard": equally_hard(options.accuracy),
        "uneven": unevenly_hard(options.accuracy, CONCENTRATION, options.seed),
    }
    ways = {case: measure(accuracy, options.failures, options.seed) for case, accuracy in cases.items()}
    figures = [figure for case, found in ways.items() for figure in figures_of(case, found)]
    about: dict[str, Any] = {
        "failures": options.failures,
        "accuracy": options.accuracy,
        "concentration": CONCENTRATION,
        "ways": {case: {name: asdict(way) for name, way in found.items()} for case, found in ways.items()},
    }
    record("mining_tokens", figures, options.folder, about=about)


if __name__ == "__main__":
    main()
