"""A control's way through the rounds of a shard: the rows that it has yet to answer right, and its answers so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rrr_core.episode import Episode, Generation, Segment, written
from rrr_core.episode.records import Answered
from rrr_core.evaluation.controls import Control, FailedRows
from rrr_core.hookspecs import Message, Model
from rrr_core.tasks import Task
from rrr_core.verdicts import Verdict


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

    def asked(
        self, task: Task, model: Model, reflections: Mapping[int, Segment | None], seed: int
    ) -> dict[int, Sequence[Message]]:
        """Row index → what the control's next try is sampled from. Rows that it cannot be run on leave."""
        rows = FailedRows(
            task, model, list(self.open.values()), [self._prompts[row] for row in self.open], reflections, seed
        )
        made = zip(self.open, self.control.conversations(rows), strict=True)
        asked = {row: messages for row, messages in made if messages is not None}
        self.open = {row: self.open[row] for row in asked}
        return asked

    def add(self, asked: Mapping[int, Sequence[Message]], judged: Sequence[tuple[Generation, Verdict]]) -> None:
        """Record the answers to what was asked, in its order."""
        for (row, messages), (answer, verdict) in zip(asked.items(), judged, strict=True):
            self.answers[row].append((answer.text, verdict))
            before = self.open.pop(row)
            if verdict.is_failed:
                read = Segment("prompt", tuple(dict(message) for message in messages))
                self.open[row] = Episode(row, before.row, (read, written("attempt", answer, verdict)))
