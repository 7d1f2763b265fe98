"""Why reflections lengthen: their shares and lengths by kind, before and after training, of a finished run.

A model that was warmed up on a task's worked conversations writes three kinds of reflection: vague ones, ones that name
the slip, and ones that work the answer out. Only the last helps, and it is the longest. If lengths within a kind stay
and shares move, it is the choice of kind that is trained, not length.

    rrr demo countdown --folder runs/demo && python benchmarks/reflection_kinds.py runs/demo
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rrr_core.evaluation.controls import read_evaluated
from rrr_core.runs.files import read_numbered_lines
from rrr_core.runs.layout import TRAINED, VANILLA, RunFolder

KINDS = ("vague", "named", "worked")
WORKED = re.compile(r"half is|=|It asks to ")
"""A computation, or what a function call is asked for."""
NAMED = re.compile(r"I (?:got|used|left out|gave|added|subtracted|called|did not look|made \d)|My (?!answer)")
"""A slip: what was got, left out or added, or what of it was wrong. A wrong answer alone names none."""


@dataclass(frozen=True)
class Reflected:
    """A reflection of an evaluation."""

    kind: str
    tokens: int
    helped: bool
    """Whether the retry after it was right."""


def kind_of(text: str) -> str:
    """The kind of a reflection, by its words (the worked conversations of all tasks of this repository).

    >>> kind_of("I got 0, not 63. 17+31=50, 50+49=99, 99-63=34, half is 17."), kind_of("I used 9 twice. I must hurry.")
    ('worked', 'named')
    """
    if WORKED.search(text):
        return "worked"
    return "named" if NAMED.match(text) else "vague"


def reflected(run: Path, label: str, mode: str) -> Iterator[Reflected]:
    """The reflections of an evaluation, in order; none if it was not in this mode."""
    for shard in RunFolder(run).evaluation(label).modes().get(mode, ()):
        for number, record in read_numbered_lines(shard):
            episode = read_evaluated(record, f"{shard}:{number}")
            for each in episode.rounds[:1]:
                helped = each.verdict is not None and each.verdict.is_passed
                yield Reflected(kind_of(each.reflection.text), each.reflection.length or 0, helped)


def main(run: Path) -> None:
    print("| mode | model | kind | share | tokens | retry right |")
    print("|---|---|---|---|---|---|")
    for mode in ("greedy", "sampled"):
        for label in (VANILLA, TRAINED):
            every = list(reflected(run, label, mode))
            for kind in (*KINDS, "all"):
                some = [each for each in every if kind in (each.kind, "all")]
                if some:
                    tokens = sum(each.tokens for each in some) / len(some)
                    helped = sum(each.helped for each in some) / len(some)
                    share = len(some) / len(every)
                    print(f"| {mode} | {label} | {kind} | {share:.1%} | {tokens:.1f} | {helped:.1%} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
