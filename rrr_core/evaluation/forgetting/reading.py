"""The readers of what was measured on benchmarks: answers and scores, checked as far as they are used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rrr_core.errors import DataError
from rrr_core.evaluation.forgetting.harness import Item
from rrr_core.records import COUNT, FLAG, LIST, NUMBER, OBJECT, TEXT, Record
from rrr_core.runs.digests import Digests
from rrr_core.runs.files import read_json, read_numbered_lines

MEASURE_AGAIN = "run the same `rrr eval --forgetting` again: it asks these items again."
_INTERVAL = ("value", "low", "high")


def read_items(path: Path, digests: Digests) -> list[Item]:
    """The answers in a file. Raises DataError for a damaged one, or one that was changed since it was written."""
    found = []
    for number, line in read_numbered_lines(path):
        try:
            record = Record(line, f"{path}:{number}", "an item")
            found.append(
                Item(
                    record.get("number", COUNT),
                    record.get("row", TEXT),
                    record.get("prompt", TEXT),
                    record.get("right", FLAG),
                    record.get("answer", TEXT, None),
                )
            )
        except DataError as error:
            raise DataError(f"{error} Delete the file, and {MEASURE_AGAIN}") from None
    digests.check(path, f"delete it, and {MEASURE_AGAIN}")
    return found


def read_scores(path: Path) -> Mapping[str, Any]:
    """What a `scores.json` holds. Raises DataError for a damaged one, or one that was changed since it was written."""
    found = Record(read_json(path), f"{path}:1", "the scores of a model on benchmarks")
    found.get("label", TEXT)
    for key, content in found.get("benchmarks", OBJECT).items():
        score = Record(content, found.place, f"the benchmark {key!r}")
        score.get("title", TEXT)
        score.get("parts", OBJECT)
        right = Record(score.get("right", OBJECT), found.place, f"the benchmark {key!r}'s share")
        for name in _INTERVAL:
            right.get(name, NUMBER)
        for name in ("passed", "total"):
            right.get(name, COUNT)
    Digests(path.parent).check(path, f"delete it, and {MEASURE_AGAIN}")
    return found.values


def check_forgotten(found: Record) -> None:
    """Check the `forgetting` of a comparison. Raises DataError for a damaged one."""
    content = found.get("forgetting", OBJECT, None)
    if content is None:
        return
    forgetting = Record(content, found.place, "the forgetting")
    for label, each in forgetting.get("scores", OBJECT).items():
        for key, share in Record(each, found.place, f"the scores of {label!r}").values.items():
            right = Record(share, found.place, f"the share of {key!r}")
            for name in _INTERVAL:
                right.get(name, NUMBER)
    for each in forgetting.get("pairs", LIST):
        pair = Record(each, found.place, "a pair of models")
        for name in ("a", "b", "benchmark", "title"):
            pair.get(name, TEXT)
        difference = Record(pair.get("difference", OBJECT), found.place, "a difference")
        for name in (*_INTERVAL, "p"):
            difference.get(name, NUMBER)
        difference.get("total", COUNT)
