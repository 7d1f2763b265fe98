"""What is logged of a generation batch, besides TRL's own metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rrr_core.tasks import Task
from rrr_core.training.batches import Batch
from rrr_core.training.rollout import Turn


def measures_of(batch: Batch, task: Task, processes: int) -> dict[str, float]:
    """Metrics by their names, of one of so many processes. Their mean over the processes is what is logged."""
    turns = batch.turns
    judged = [turn for turn in turns if not turn.verdict.is_abstained]
    measures = {
        "retry_success_rate": sum(turn.verdict.is_passed for turn in judged) / (len(judged) or 1),
        "abstentions": len(turns) - len(judged),
        "reflection_tokens": sum(len(turn.reflection_ids) for turn in turns) / len(turns),
        "reflections_empty": sum(not turn.reflection.strip() for turn in turns) / len(turns),
        "reflections_cut_off": sum(not turn.reflection_ended for turn in turns) / len(turns),
        "reflections_with_gold_answer": _leaks(task, turns, lambda turn: task.gold_answer(turn.failure.row)),
        "reflections_with_retry_answer": _leaks(task, turns, lambda turn: turn.retry),
        # A sum over the processes, whereas all else is a mean.
        "sampled_tokens": batch.tokens * processes,
    }
    if batch.stale is not None:
        measures["stale_failures"] = batch.stale
    if batch.refilled is not None:
        measures["groups_refilled"] = batch.refilled
    return measures


def _leaks(task: Task, turns: Sequence[Turn], text_of: Callable[[Turn], str | None]) -> float:
    """Share of reflections that contain what would be judged of a text, white space aside."""
    found = 0
    for turn in turns:
        text = text_of(turn)
        answer = None if text is None else task.final_answer(turn.failure.row, text)
        squeezed = "".join((answer or "").split())
        found += bool(squeezed) and squeezed in "".join(turn.reflection.split())
    return found / len(turns)
