"""The process that generates rows: `python -m rrr_reasoning_gym.maker REQUEST`, one JSON line of output per row.

REQUEST is JSON with `dataset`, `split` and `options`.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping
from typing import Any

from rrr_core.row_files import write_rows
from rrr_reasoning_gym import gold, metadata, options, scoring


def rows(dataset: str, split: str, given: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The rows of a split: those of puzzles 0 to `size` that belong to it, each question once.

    The split of a puzzle depends on its question alone, so no seed or size moves one from `train` to `test`. A puzzle
    is dropped if its scorer refuses its own answer, since no model could be judged fairly on it.
    """
    data = options.configured(dataset, given)
    kept = options.differing(dataset, given)
    seen: set[bytes] = set()
    for index in range(data.config.size):
        row = made(data, index, kept)
        digest = hashlib.sha256(row["question"].encode()).digest()
        if split_of(digest) != split or digest in seen:
            continue
        seen.add(digest)
        right = gold.gold_text(dataset, row)
        if right is None or scoring.verify(dataset, row, right).is_passed:
            yield row


def made(data: Any, index: int, kept: Mapping[str, str]) -> dict[str, Any]:
    """The row of one puzzle; `kept` are the options that its scorer needs."""
    import numpy

    # A few generators draw from global randomness, and one sets it.
    random.seed(f"{data.config.seed} {index}")
    numpy.random.seed((data.config.seed + index) % 2**32)
    puzzle = data[index]
    return {
        "question": puzzle["question"],
        "answer": puzzle["answer"],
        "metadata": metadata.encode(puzzle["metadata"]),
        "config": dict(kept),
    }


def split_of(digest: bytes) -> str:
    """`train` or `test`, half of the questions each, from a question's SHA-256.

    Puzzles are unlimited, so a large `test` takes nothing from `train`; a small one would be slow to generate.
    """
    return "train" if digest[0] % 2 else "test"


def main() -> None:
    """Write the requested rows."""
    write_rows(lambda request: rows(request["dataset"], request["split"], request["options"]))


if __name__ == "__main__":
    main()
