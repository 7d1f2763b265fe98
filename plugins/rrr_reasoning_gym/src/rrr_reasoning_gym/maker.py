"""The process that generates rows: `python -m rrr_reasoning_gym.maker REQUEST`, one JSON line of output per row.

REQUEST is JSON with `dataset`, `split` and `options`. A line is `{"row": …}`, or `{"refused": TEXT}` for options that
the data set does not take.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from rrr_core.errors import DataError
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
    """Write the requested rows until nobody reads them any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The reader handles Ctrl-C and ends this process.
    request = json.loads(sys.argv[1])
    output = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # What reasoning-gym prints is not a row.
    try:
        for row in rows(request["dataset"], request["split"], request["options"]):
            output.write(json.dumps({"row": row}) + "\n")
    except DataError as error:
        output.write(json.dumps({"refused": str(error)}) + "\n")
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main()
