"""What was written in an evaluation: how many texts and courses met a limit, and how many actions a course took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rrr_core.episode import Episode, Segment
from rrr_core.verdicts import CUT_OFF

WRITTEN = ("first_try", "reflection", "second_try")
"""What figures call a first try, a reflection, and a retry of any round."""


class WrittenCounter:
    """Counts, episode by episode, the answers and reflections of an evaluation, each of them one text or one course."""

    def __init__(self) -> None:
        self._answers: Counter[str] = Counter()
        self._limits: Counter[tuple[str, str]] = Counter()
        """(Limit, what was written) → how often it was met."""
        self._courses: Counter[str] = Counter()
        self._actions: Counter[str] = Counter()

    def add(self, episode: Episode) -> None:
        """Count what the model wrote in an episode."""
        self._add("first_try", episode.attempts)
        for each in episode.rounds:
            self._add("reflection", (each.reflection,))
            if each.actions:
                self._add("second_try", each.actions)

    def shares(self, limit: str) -> Mapping[str, tuple[int, int]]:
        """What was written → how often it met the limit, of how often; those alone that met it."""
        return {name: (self._limits[limit, name], self._answers[name]) for name in WRITTEN if self._limits[limit, name]}

    def mean_actions(self) -> Mapping[str, float]:
        """What was written → the mean number of actions, of courses alone."""
        return {name: self._actions[name] / self._courses[name] for name in WRITTEN if self._courses[name]}

    def _add(self, name: str, actions: Sequence[Segment]) -> None:
        last = actions[-1]
        self._answers[name] += 1
        self._limits[CUT_OFF, name] += any(each.is_cut_off for each in actions)
        if last.judged is None:
            return
        self._courses[name] += 1
        self._actions[name] += len(actions)
        if not last.judged and last.verdict is not None and last.verdict.category != CUT_OFF:
            self._limits[last.verdict.category, name] += 1
