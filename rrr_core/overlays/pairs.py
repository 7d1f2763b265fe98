"""The key under which a judge remembers an answer it has judged."""

from __future__ import annotations

import json

from rrr_core.hookspecs import Row


def pair_key(task: str, row: Row, answer: str) -> str:
    """A hash of task, row and answer, in hexadecimal: the same in every release, so files may store it.

    The order of a row's keys does not matter.
    """
    text = json.dumps([task, row, answer], sort_keys=True, allow_nan=False)
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()
