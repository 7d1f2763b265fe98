"""What is logged about a generation batch, besides TRL's own metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rrr_core.episode import Episode, Round, Segment
from rrr_core.hookspecs import Row
from rrr_core.tasks import Task
from rrr_core.training.batches import Batch


def measures_of(batch: Batch, task: Task, processes: int) -> dict[str, float]:
    """Metrics by name, for one of `processes` processes. Their mean over the processes is logged."""
    rounds = [(episode, each) for episode in batch.episodes for each in episode.rounds]
    reflections = [each.reflection for _, each in rounds]
    verdicts = [episode.last_verdict for episode in batch.episodes]
    judged = [verdict for verdict in verdicts if not verdict.is_abstained]
    measures = {
        "retry_success_rate": sum(verdict.is_passed for verdict in judged) / (len(judged) or 1),
        "abstentions": len(verdicts) - len(judged),
        "reflection_tokens": sum(len(reflection.ids) for reflection in reflections) / len(reflections),
        "reflections_empty": sum(not reflection.text.strip() for reflection in reflections) / len(reflections),
        "reflections_cut_off": sum(reflection.is_cut_off for reflection in reflections) / len(reflections),
        "reflections_with_gold_answer": _leaks(task, rounds, lambda row, _: task.gold_answer(row)),
        "reflections_with_retry_answer": _leaks(task, rounds, lambda _, retry: None if retry is None else retry.text),
        # The logged mean is then the sum over the processes.
        "sampled_tokens": batch.tokens * processes,
    }
    if batch.stale is not None:
        measures["stale_failures"] = batch.stale
    if batch.resampled is not None:
        measures["groups_refilled"] = batch.resampled
    return measures


def _leaks(
    task: Task, rounds: Sequence[tuple[Episode, Round]], text_of: Callable[[Row, Segment | None], str | None]
) -> float:
    """Share of reflections that contain the final answer of a text, ignoring white space."""
    found = 0
    for episode, each in rounds:
        text = text_of(episode.row, each.retry)
        answer = None if text is None else task.final_answer(episode.row, text)
        squeezed = "".join((answer or "").split())
        found += bool(squeezed) and squeezed in "".join(each.reflection.text.split())
    return found / len(rounds)
