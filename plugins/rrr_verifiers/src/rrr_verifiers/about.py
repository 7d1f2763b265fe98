"""The tasks' descriptions of themselves, and answers with known verdicts on the task set that comes with the plugin."""

from __future__ import annotations

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
        sums = (right[0]["reply"], right[1]["reply"])
        half, long = [{"reply": sums[0]}], [right[0], {"reply": flood}]

        def course(turns: list[dict[str, str]]) -> str:
            return scoring.answer_of(row, turns)

        yield Example(row, course(right), "passed", reason="both sums are right", actions=sums)
        yield Example(row, course(wrong), "failed", scoring.WRONG, "a part of the score", actions=(sums[0], "no idea"))
        yield Example(row, course(half), "failed", scoring.UNFINISHED, "half a course")
        yield Example(row, sums[0], "failed", scoring.MALFORMED, "no course")
        yield Example(row, scoring.TOO_LONG, "failed", scoring.MALFORMED, "too long a course")
        yield Example(row, deep, "failed", scoring.MALFORMED, "brackets never closed", hostile=True)
        yield Example(row, course(long), "failed", scoring.WRONG, "a hundred thousand digits", hostile=True)
    else:
        yield Example(row, str(sum(first)), "passed", reason="the sum")
        yield Example(row, str(sum(first) + 1), "failed", scoring.WRONG, "another number")
        yield Example(row, "", "failed", scoring.WRONG, "nothing was said")
        yield Example(row, flood, "failed", scoring.WRONG, "a hundred thousand digits", hostile=True)
        yield Example(row, deep, "failed", scoring.WRONG, "fifty thousand brackets", hostile=True)
