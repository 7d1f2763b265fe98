"""The mutation score of a verifier: how often it misjudges a row's right answer after a named change.

Each change must fail or must pass; an error is a false accept or a false reject. Every change is drawn from a seed,
and skipped for rows it does not apply to.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rrr_apigen.calls import verify
from rrr_apigen.mutations.failing import MUST_FAIL
from rrr_apigen.mutations.passing import MUST_PASS
from rrr_core import Row, Verdict

__all__ = ["MUST_FAIL", "MUST_PASS", "Count", "score"]


@dataclass(frozen=True, slots=True)
class Count:
    """How often a mutation was judged, and how often wrongly judged."""

    name: str
    must_pass: bool
    judged: int
    wrong: int
    """False accepts of a mutation that must fail, false rejects of one that must pass; for both, an abstention."""


def score(rows: Iterable[Row], verifier: Callable[[Row, str], Verdict] = verify, seed: int = 0) -> dict[str, Count]:
    """The counts of every mutation over some rows, by name."""
    rows = list(rows)
    counts = {}
    for mutations, must_pass in ((MUST_FAIL, False), (MUST_PASS, True)):
        due = "passed" if must_pass else "failed"
        for name, mutate in mutations.items():
            rng = random.Random(f"{seed} {name}")
            made = [(row, mutate(copy.deepcopy(row["answers"]), rng)) for row in rows]
            verdicts = [verifier(row, answer) for row, answer in made if answer is not None]
            wrong = sum(verdict.outcome != due for verdict in verdicts)
            counts[name] = Count(name, must_pass, len(verdicts), wrong)
    return counts
