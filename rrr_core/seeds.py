"""Every seed recipe, side by side. What is drawn decides its seed: never which process draws it, or beside what.

Each recipe is a pure function of its arguments, so a resumed job draws what it would have drawn. None may change:
the same settings would then give other texts. Tests pin them.
"""

from __future__ import annotations

import hashlib

WHOLE = 0
"""In training's seeds, where earlier versions had the number of the process that drew. A batch is now drawn as a whole,
however many processes share it, and as a single process has always drawn it."""


def mining_seed(seed: int, shard: int, round_index: int, stage: str = "") -> int:
    """The seed of one round of tries over a shard's open rows; 31 bits, which every engine takes.

    `stage`, such as `reflection 1` or `retry 1`, is what is drawn on the failures of a sweep whose first round of tries
    had that index.
    """
    return _bits(f"mine {seed} {shard} {round_index} {stage}".rstrip(), 31)


def evaluation_seed(seed: int, mode: str, shard: int, stage: str) -> int:
    """The seed of one stage of an evaluation over a shard, such as `retry`, or `retry 2` in round 2; 31 bits."""
    return _bits(f"eval {seed} {mode} {shard} {stage}", 31)


def item_seed(seed: int, part: str) -> int:
    """The seed that draws the items of a part of a benchmark, such as `mmlu_pro_law`; 56 bits.

    >>> item_seed(0, "gsm8k") == item_seed(0, "gsm8k") != item_seed(0, "hellaswag")
    True
    """
    return _bits(f"items {seed} {part}", 56)


def rollout_seed(*parts: object) -> int:
    """The seed of one draw in training, such as `(seed, step, forward_pass, WHOLE, "retry")`; 56 bits.

    >>> rollout_seed(0, 7, "retry") == rollout_seed(0, 7, "retry") != rollout_seed(0, 8, "retry")
    True
    """
    return _bits(repr(parts), 56)


def check_seed(stage: str) -> int:
    """The seed of one stage of the sample that `rrr check` draws from a model, such as `retry`; 31 bits."""
    return _bits(f"check {stage}", 31)


def request_seed(seed: int, place: int) -> int:
    """The seed of one request among those of a call; 31 bits, which every engine takes.

    >>> request_seed(0, 1) == request_seed(0, 1) != request_seed(0, 2)
    True
    """
    return _bits(f"{seed}:{place}", 31)


def stream_seed(seed: int, place: int) -> int:
    """The seed of the random stream of the row at a place of a batch; 56 bits, for torch's generators."""
    return _bits(f"{seed}:{place}", 56)


def _bits(text: str, count: int) -> int:
    """The first `count` bits of a text's SHA-256."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> (64 - count)
