"""Whether a row ended up right, for each way of answering it, and how two such ways compare over the same rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rrr_core.episode import Episode
from rrr_core.evaluation.controls import CONTROLS
from rrr_core.evaluation.statistics import Difference, Proportion, paired_difference, wilson
from rrr_core.verdicts import Verdict

Outcomes = Mapping[str, bool | None]
"""Way of answering a row (`WAYS` of the figures; `after_round(2)` and so on) → whether the row ended up right; None if
there is no verdict.

As in the paper, a row that was right at the first try counts as right for every way.
"""


def outcomes(episode: Episode, rounds: int = 1) -> Outcomes:
    """Whether the episode's row was right, for each way of answering it, and after each round from 2 to `rounds`."""
    first = _right(episode.verdict)
    tries = round_verdicts(episode)
    return {
        "first_try": first,
        "second_try": right_after(first, tries, 1),
        **{
            control.figure: right_after(first, [verdict for _, verdict in episode.controls.get(control.key, ())], 1)
            for control in CONTROLS
        },
        **{after_round(number): right_after(first, tries, number) for number in range(2, rounds + 1)},
    }


def after_round(number: int) -> str:
    """The name of being right after at most that many rounds."""
    return "second_try" if number == 1 else f"after_round_{number}"


def right_after(first: bool | None, verdicts: Sequence[Verdict | None], tries: int) -> bool | None:
    """Whether a row is right at the first try or in at most so many more; None if a verdict is missing before that.

    >>> from rrr_core.verdicts import failed, passed
    >>> [right_after(False, [failed("sum"), passed()], tries) for tries in (0, 1, 2, 3)]
    [False, False, True, True]
    >>> right_after(False, [failed("sum")], 2), right_after(True, [], 2)
    (None, True)
    """
    if first is not False:
        return first
    for verdict in verdicts[:tries]:
        if (right := _right(verdict)) is not False:
            return right
    return False if len(verdicts) >= tries else None


def round_verdicts(episode: Episode) -> list[Verdict | None]:
    """The verdict of each round of an episode."""
    return [each.verdict for each in episode.rounds]


def difference(
    first: Sequence[Outcomes], first_way: str, second: Sequence[Outcomes], second_way: str
) -> Difference | None:
    """`second_way` of `second` minus `first_way` of `first`, over the rows judged for both; None if there are none."""
    return paired([each[first_way] for each in first], [each[second_way] for each in second])


def paired(first: Iterable[bool | None], second: Iterable[bool | None]) -> Difference | None:
    """The second minus the first, row by row, over the rows judged for both; None if there are none."""
    table = _crossed(first, second)
    if not table.total():
        return None
    return paired_difference(table[True, True], table[True, False], table[False, True], table[False, False])


def crossed(
    first: Sequence[Outcomes], first_way: str, second: Sequence[Outcomes], second_way: str
) -> Counter[tuple[bool, bool]]:
    """(Right in the first, right in the second) → rows, over the rows judged for both."""
    return _crossed((each[first_way] for each in first), (each[second_way] for each in second))


def share(rights: Iterable[bool | None]) -> Proportion | None:
    """The share that is right, among those for which it is known; None if there are none."""
    known = [right for right in rights if right is not None]
    return wilson(sum(known), len(known)) if known else None


def _crossed(first: Iterable[bool | None], second: Iterable[bool | None]) -> Counter[tuple[bool, bool]]:
    return Counter(
        (one, other) for one, other in zip(first, second, strict=True) if one is not None and other is not None
    )


def _right(verdict: Verdict | None) -> bool | None:
    return None if verdict is None or verdict.is_abstained else verdict.is_passed
