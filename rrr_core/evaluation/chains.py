"""A control's way through the rounds of a shard: the rows that it has yet to answer right, and its answers so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rrr_core.episode import Episode, Segment
from rrr_core.episode.control_answers import Answered
from rrr_core.evaluation.controls import Control, FailedRows
from rrr_core.hookspecs import Model
from rrr_core.tasks import Task


class Chain:
    """One control on the failed rows of a shard. A row leaves it at its first answer that has not failed.

    A row also leaves where the control cannot be run on it, such as one that has no other row to borrow from.
    """

    def __init__(self, control: Control, failed: Sequence[Episode]) -> None:
        self.control = control
        self.open = {each.row_index: each for each in failed}
        """Row index → an episode that ends in the control's last failed answer; at first, in the failed attempt."""
        self.answers: dict[int, list[Answered]] = {each.row_index: [] for each in failed}
        self._prompts = {each.row_index: each.prompt for each in failed}

    def asked(self, task: Task, model: Model, reflections: Mapping[int, Segment | None], seed: int) -> list[Episode]:
        """What the control's next tries are sampled from, a prompt for each row. Rows it cannot be run on leave."""
        rows = FailedRows(
            task, model, list(self.open.values()), [self._prompts[row] for row in self.open], reflections, seed
        )
        made = zip(self.open, self.control.conversations(rows), strict=True)
        asked = {row: tuple(dict(each) for each in messages) for row, messages in made if messages is not None}
        self.open = {row: self.open[row] for row in asked}
        return [Episode(row, self.open[row].row, (Segment("prompt", messages),)) for row, messages in asked.items()]

    def add(self, tried: Sequence[Episode]) -> None:
        """Record the answers to what was asked."""
        for each in tried:
            self.answers[each.row_index].append((each.attempt.answer, each.verdict))
        self.open = {each.row_index: each for each in tried if each.verdict.is_failed}
