"""Rewards: what training pays for a judged answer, by its verdict or score and the length of the reflections before it.

Figures know none of this: an answer is right if its verdict says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rrr_core.episode import Segment
from rrr_core.errors import RrrError
from rrr_core.tasks import Task
from rrr_core.verdicts import Verdict

REWARDS = ("verdict", "task")


@dataclass(frozen=True, slots=True)
class Rewards:
    """How an answer is paid."""

    length_bonus: float = 0.0
    """The share of a passing retry's reward that a reflection of the greatest length adds; below 0, takes away."""
    longest: int = 1
    """The greatest length of a reflection, in tokens."""

    def of(self, verdict: Verdict, reflections: Sequence[Segment] = ()) -> float | None:
        """The reward of an answer that follows these reflections; None if its verdict was withheld.

        With a length bonus W the reward of a passing answer is multiplied by 1 + W × (its reflections' mean tokens /
        the greatest length). A failing one gets no bonus: length alone is never paid.

        >>> half = Segment("reflection", text="I forgot the 7.", length=32)
        >>> Rewards(-0.5, 64).of(Verdict("passed"), [half]), Rewards(-0.5, 64).of(Verdict("failed"), [half])
        (0.75, 0.0)
        """
        reward = verdict.reward
        if not reward or not self.length_bonus or not verdict.is_passed or not reflections:
            return reward
        mean = sum(reflection.length or 0 for reflection in reflections) / len(reflections)
        return reward * (1 + self.length_bonus * mean / self.longest)

    def measures(self, judged: Sequence[tuple[Verdict, Sequence[Segment]]]) -> dict[str, float]:
        """Metrics by name, of answers and the reflections before them: only of what is in use."""
        known = [(verdict, each) for verdict, each in judged if not verdict.is_abstained]
        measures = {}
        if any(verdict.score is not None for verdict, _ in known):
            measures["retry_reward"] = sum(verdict.reward or 0.0 for verdict, _ in known) / len(known)
        if self.length_bonus and known:
            paid = [(self.of(verdict, each) or 0.0) - (verdict.reward or 0.0) for verdict, each in known]
            measures["length_bonus"] = sum(paid) / len(paid)
        return measures


PLAIN = Rewards()
"""Verdicts and scores alone."""


def check_task_rewards(reward: str, task: Task, say: Callable[[str], None]) -> None:
    """Raise RrrError for `--reward task` of a task that gives no rewards; `say` hears of rewards that are not used."""
    if reward == "task" and not task.gives_rewards:
        if not task.implements("rrr_reward"):
            raise RrrError(
                f"--reward task: the task {task.name!r} gives no rewards ({task.distribution} {task.version} does not"
                " implement rrr_reward): use --reward verdict."
            )
        raise RrrError(
            f"--reward task: an overlay ({', '.join(task.overlays)}) decides the verdicts of {task.name!r} and gives no"
            " rewards (rrr_reward), and the task's would pay for what its own verifier thinks: use --reward verdict."
        )
    if reward == "verdict" and task.gives_rewards:
        say(f"The task {task.name!r} gives rewards from 0 to 1 (rrr_reward), and --reward verdict does not use them.")
