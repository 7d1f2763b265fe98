"""The panel: verdicts when people or models judge besides the verifier, or instead of it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence

from rrr_core.hookspecs import Row
from rrr_core.tasks import Task
from rrr_core.verdicts import Verdict

Pairs = Sequence[tuple[Row, str]]
VERIFIER = "verifier"
"""The name under which `rrr_verify` votes."""


def panel_verdicts(task: Task, pairs: Pairs, verify: Callable[[Pairs], Iterable[Verdict]]) -> Generator[Verdict]:
    """The verdicts on (row, answer) pairs, in order, of a task whose overlays judge.

    Each judge gets what those before it left open, and `verify` gets what all of them left. If an overlay combines
    votes, everyone judges everything. Raises the RrrError of a judge, which is the user's to fix.
    """
    if task.combines:
        votes = {name: task.judge(name, pairs) for name in task.judges}
        for index, ((row, answer), verdict) in enumerate(zip(pairs, verify(pairs), strict=True)):
            cast = {name: vote for name, given in votes.items() if (vote := given[index]) is not None}
            yield task.combine(row, answer, {**cast, VERIFIER: verdict})
        return
    found: list[Verdict | None] = [None] * len(pairs)
    for name in task.judges:
        left = _open(found)
        if left:
            for index, judged in zip(left, task.judge(name, [pairs[index] for index in left]), strict=True):
                found[index] = judged
    left = _open(found)
    verified = iter(verify([pairs[index] for index in left]) if left else ())
    for judged in found:
        yield next(verified) if judged is None else judged


def _open(found: Sequence[Verdict | None]) -> list[int]:
    return [index for index, verdict in enumerate(found) if verdict is None]
