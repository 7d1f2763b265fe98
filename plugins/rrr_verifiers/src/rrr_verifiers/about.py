"""The tasks' descriptions of themselves, and answers with known verdicts on the task set that comes with the plugin."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import version

from rrr_core import Example, Manifest
from rrr_verifiers import scoring
from rrr_verifiers.options import TURNS


def manifest(task: str) -> Manifest:
    """The manifest. Rows have their task set's licence, which the plugin cannot know."""
    played = "played turn by turn" if task == TURNS else "answered at once"
    return Manifest(
        summary=f"A task set written for verifiers, {played}; the full score passes",
        source="the task set named by --data taskset",
        revision=f"verifiers {version('verifiers')}",
        data_license="NOASSERTION",
        categories=scoring.CATEGORIES,
    )


def examples(task: str) -> Iterator[Example]:
    """Right, wrong and hostile answers to a sum. Making the row imports verifiers before workers are forked."""
    from rrr_verifiers import maker

    row = next(maker.rows(task, "train", {}))
    first, *more = row["data"]["sums"]
    flood, deep = "9" * 100_000, "[" * 50_000
    if task == TURNS:
        asked = f"And {more[0][0]} + {more[0][1]}?"
        right = [{"reply": str(sum(first)), "said": asked}, {"reply": str(sum(more[0]))}]
        wrong = [right[0], {"reply": "no idea"}]
        yield Example(row, json.dumps(right), "passed", reason="both sums are right")
        yield Example(row, json.dumps(wrong), "failed", scoring.WRONG, "one of two is a part of the score")
        yield Example(row, json.dumps([{"reply": str(sum(first))}]), "failed", scoring.UNFINISHED, "half a course")
        yield Example(row, str(sum(first)), "failed", scoring.MALFORMED, "no course")
        yield Example(row, deep, "failed", scoring.MALFORMED, "brackets never closed", hostile=True)
        yield Example(row, json.dumps([right[0], {"reply": flood}]), "failed", scoring.WRONG, "long", hostile=True)
    else:
        yield Example(row, str(sum(first)), "passed", reason="the sum")
        yield Example(row, str(sum(first) + 1), "failed", scoring.WRONG, "another number")
        yield Example(row, "", "failed", scoring.WRONG, "nothing was said")
        yield Example(row, flood, "failed", scoring.WRONG, "a hundred thousand digits", hostile=True)
        yield Example(row, deep, "failed", scoring.WRONG, "fifty thousand brackets", hostile=True)
