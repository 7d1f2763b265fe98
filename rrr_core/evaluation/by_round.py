"""The figures of an evaluation by round: how many rows enter it, and how many are right after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rrr_core.episode import Episode
from rrr_core.evaluation.controls import Control
from rrr_core.evaluation.outcomes import outcomes, paired, right_after, round_verdicts, share
from rrr_core.evaluation.statistics import Difference, Proportion
from rrr_core.hookspecs import Row
from rrr_core.verdicts import Verdict

FinalAnswer = Callable[[Row, str], str | None]
"""A row and an answer → the part of it that is judged; None if there is none, or it is unknown."""


SHARES: Mapping[str, str] = {
    "entered": "enter the round",
    "right_of_entered": "right, of those that entered",
    "repeats": "repeat an earlier answer",
    "right": "right after it",
}
"""A share of a round → its title, in the order to show them."""


def unknown_answer(_row: Row, _text: str) -> None:
    """A `FinalAnswer` of a task that does not say which part of a text is judged."""


def given_answer(final_answer: FinalAnswer, row: Row, text: str) -> tuple[str, str] | None:
    """What a text answers: the part that is judged, if the task says what that is, or else the text. None if empty."""
    if not text.strip():
        return None
    final = final_answer(row, text)
    return ("text", text.strip()) if final is None else ("answer", final.strip())


@dataclass(frozen=True, slots=True)
class RoundFigures:
    """The figures of one round. A share or a difference is None if nothing was measured."""

    round: int
    """From 1."""
    right: Proportion | None
    """Rows that are right after at most this many rounds."""
    entered: Proportion | None
    """The trigger rate: rows that enter the round, since no try before it was right."""
    right_of_entered: Proportion | None
    """Rows whose retry of this round passed, among those that entered it."""
    repeats: Proportion | None
    """Retries of this round that give the same answer as an earlier try at the row."""
    set_aside: int
    """Rows that entered, and whose retry has no verdict: it was withheld, or there was no answer."""
    controls: Mapping[str, Proportion | None]
    """Control's key → rows that are right at the first try or in at most this many tries of the control."""
    gains: Mapping[str, Difference | None]
    """Control's key → this many rounds minus as many tries of the control, over the rows judged for both."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Tried:
    """What the figures need of one row."""

    first: bool | None
    """Whether the first try was right; None without a verdict."""
    rounds: Sequence[Verdict | None]
    controls: Mapping[str, Sequence[Verdict]]
    repeats: Sequence[bool | None]
    """For each round, whether its retry repeats an earlier answer; None without an answer."""

    def right(self, tries: int) -> bool | None:
        """Whether the row is right after at most that many rounds."""
        return right_after(self.first, self.rounds, tries)


class RoundCounter:
    """Collects episodes, one by one, and gives their figures by round."""

    def __init__(self, final_answer: FinalAnswer) -> None:
        self.final_answer = final_answer
        self._tried: list[_Tried] = []

    def add(self, episode: Episode) -> None:
        controls = {key: [verdict for _, verdict in answers] for key, answers in episode.controls.items()}
        first = outcomes(episode)["first_try"]
        repeats = self._repeats(episode) if first is False else []
        self._tried.append(_Tried(first, round_verdicts(episode), controls, repeats))

    def figures(self, controls: Sequence[Control], rounds: int | None = None) -> tuple[RoundFigures, ...]:
        """The figures of each round; by default of those that an episode reached, and of the first."""
        reached = (max(len(each.rounds), *map(len, each.controls.values()), 1) for each in self._tried)
        return tuple(self._figures(controls, number + 1) for number in range(rounds or max(reached, default=1)))

    def _figures(self, controls: Sequence[Control], number: int) -> RoundFigures:
        after = [each.right(number) for each in self._tried]
        before = [each.right(number - 1) for each in self._tried]
        entered = [place for place, right in enumerate(before) if right is False]
        by_control = {control.key: self._after_control(control, number) for control in controls}
        repeats = (each.repeats[number - 1] for each in self._tried if len(each.repeats) >= number)
        return RoundFigures(
            round=number,
            right=share(after),
            entered=share(None if right is None else not right for right in before),
            right_of_entered=share(after[place] for place in entered),
            repeats=share(repeats),
            set_aside=sum(after[place] is None for place in entered),
            controls={key: share(found) for key, found in by_control.items()},
            gains={key: paired(found, after) for key, found in by_control.items()},
        )

    def _after_control(self, control: Control, tries: int) -> list[bool | None]:
        return [right_after(each.first, each.controls.get(control.key, ()), tries) for each in self._tried]

    def _repeats(self, episode: Episode) -> list[bool | None]:
        """For each round of a failed row, whether its retry repeats an earlier answer; None without an answer."""
        given = {given_answer(self.final_answer, episode.row, episode.attempt.answer)}
        repeats: list[bool | None] = []
        for each in episode.rounds:
            answer = None if each.retry is None else given_answer(self.final_answer, episode.row, each.retry.answer)
            repeats.append(None if answer is None else answer in given)
            given.add(answer)
        return repeats
