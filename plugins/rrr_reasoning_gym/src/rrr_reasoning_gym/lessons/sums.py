"""A sum worked out term by term: the form of both data sets' answers."""

from __future__ import annotations

from collections.abc import Sequence

from rrr_reasoning_gym import answers


def running(parts: Sequence[int], miscounts: int = 0) -> str:
    """The parts added up from left to right, with the total as the final answer.

    With `miscounts`, the first total is off by that much, and the rest follows from it.

    >>> running([12, -7, 30])
    '12-7=5, 5+30=<answer>35</answer>'
    >>> running([12, -7, 30], miscounts=10)
    '12-7=15, 15+30=<answer>45</answer>'
    """
    total, steps = parts[0], []
    for index, part in enumerate(parts[1:]):
        before, total = total, total + part + (miscounts if index == 0 else 0)
        shown = str(total) if index < len(parts) - 2 else answers.tagged(str(total))
        steps.append(f"{before}{part:+d}={shown}")
    return ", ".join(steps) or answers.tagged(str(total))
