"""What is logged about a generation batch, besides TRL's own metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rrr_core.episode import Episode, Role, Round, Segment
from rrr_core.evaluation.by_round import given_answer
from rrr_core.hookspecs import Row
from rrr_core.tasks import Task
from rrr_core.training.batches import Batch
from rrr_core.training.consolidation import first_try_measures
from rrr_core.training.credit import is_first_try, sampled_of, sampled_rounds
from rrr_core.verdicts import STEP_LIMIT

Tasks = Mapping[str | None, Task]
"""A task by the name that its episodes hold: None where it is the only one."""


def measures_of(batch: Batch, tasks: Tasks, most_rounds: int = 1) -> dict[str, float]:
    """Metrics by name, of a whole batch: the same in every process.

    With `most_rounds` above 1, each round has some of its own, and so has each of several tasks.
    """
    tries = [episode for episode in batch.episodes if is_first_try(episode)]
    reflecting = [episode for episode in batch.episodes if not is_first_try(episode)]
    measures = {
        **(_round_measures(reflecting, tasks) if reflecting else {}),
        **first_try_measures(tries),
        **course_measures(batch.episodes),
        "abstentions": sum(episode.last_verdict.is_abstained for episode in batch.episodes),
        "sampled_tokens": batch.tokens,
    }
    if most_rounds > 1:
        measures |= _by_round(reflecting, tasks)
    if batch.stale is not None:
        measures["stale_failures"] = batch.stale
    if batch.resampled is not None:
        measures["groups_refilled"] = batch.resampled
    for name in tasks if len(tasks) > 1 else ():
        measures |= _of_task(name, tries, reflecting)
    return measures


def _of_task(name: str | None, tries: Sequence[Episode], reflecting: Sequence[Episode]) -> dict[str, float]:
    """The success rates of one of several tasks, and its share of the groups."""
    own, own_tries = ([each for each in episodes if each.task == name] for episodes in (reflecting, tries))
    measures = {f"groups/{name}": (len(own) + len(own_tries)) / (len(tries) + len(reflecting))}
    if own:
        measures[f"retry_success_rate/{name}"] = _success_rate(own)
    if own_tries:
        measures[f"first_try_success_rate/{name}"] = first_try_measures(own_tries)["first_try_success_rate"]
    return measures


def _success_rate(episodes: Sequence[Episode]) -> float:
    judged = [episode.last_verdict for episode in episodes if not episode.last_verdict.is_abstained]
    return sum(verdict.is_passed for verdict in judged) / (len(judged) or 1)


def _round_measures(episodes: Sequence[Episode], tasks: Tasks) -> dict[str, float]:
    rounds = [(episode, each) for episode in episodes for each in sampled_rounds(episode)]
    reflections = [each.reflection for _, each in rounds]
    return {
        "retry_success_rate": _success_rate(episodes),
        "reflection_tokens": sum(len(reflection.ids) for reflection in reflections) / len(reflections),
        "reflections_empty": sum(not reflection.text.strip() for reflection in reflections) / len(reflections),
        "reflections_cut_off": sum(reflection.is_cut_off for reflection in reflections) / len(reflections),
        "reflections_with_gold_answer": _leaks(tasks, rounds, lambda task, row, _: task.gold_answer(row)),
        "reflections_with_retry_answer": _leaks(
            tasks, rounds, lambda _task, _row, retry: None if retry is None else retry.answer
        ),
    }


def course_measures(episodes: Sequence[Episode]) -> dict[str, float]:
    """Of courses, those of retries and of first tries: the mean of their actions, and how many either limit ended."""
    kinds: tuple[tuple[str, str, Role], ...] = (("retry", "retries", "retry"), ("first_try", "first_tries", "attempt"))
    found = {}
    for one, several, role in kinds:
        actions = [each for episode in episodes if episode.acts for each in sampled_of(episode) if each.role == role]
        verdicts = [each.verdict for each in actions if each.verdict is not None]
        if verdicts:
            found[f"{one}_actions"] = len(actions) / len(verdicts)
            found[f"{several}_at_step_limit"] = sum(each.category == STEP_LIMIT for each in verdicts) / len(verdicts)
            found[f"{several}_cut_off"] = sum(each.is_cut_off for each in actions) / len(verdicts)
    return found


def _by_round(episodes: Sequence[Episode], tasks: Tasks) -> dict[str, float]:
    """How many episodes enter each round after the first, how many of a round's retries pass, and how many repeat."""
    played = [sampled_rounds(episode) for episode in episodes]
    measures = {}
    for number in range(1, max(map(len, played)) + 1):
        verdicts = [verdict for each in played if len(each) >= number if (verdict := each[number - 1].verdict)]
        judged = [verdict for verdict in verdicts if not verdict.is_abstained]
        if number > 1:
            measures[f"round_{number}_entered"] = len(verdicts) / len(played)
        if judged:
            passed = sum(verdict.is_passed for verdict in judged)
            measures[f"round_{number}_retry_success_rate"] = passed / len(judged)
    repeats = [repeat for episode in episodes for repeat in _repeats(episode, tasks[episode.task])]
    if repeats:
        measures["retries_repeated"] = sum(repeats) / len(repeats)
    return measures


def _repeats(episode: Episode, task: Task) -> list[bool]:
    """For each sampled retry, whether it repeats an earlier answer."""
    given = [given_answer(task.final_answer, episode.row, answer.answer) for answer in episode.answers]
    retries = sum(each.retry is not None for each in sampled_rounds(episode))
    return [given[place] in given[:place] for place in range(len(given) - retries, len(given))]


def _leaks(
    tasks: Tasks, rounds: Sequence[tuple[Episode, Round]], text_of: Callable[[Task, Row, Segment | None], str | None]
) -> float:
    """Share of reflections that contain the final answer of a text, ignoring white space."""
    found = 0
    for episode, each in rounds:
        task = tasks[episode.task]
        text = text_of(task, episode.row, each.retry)
        answer = None if text is None else task.final_answer(episode.row, text)
        squeezed = "".join((answer or "").split())
        found += bool(squeezed) and squeezed in "".join(each.reflection.text.split())
    return found / len(rounds)
