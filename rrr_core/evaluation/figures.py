"""The figures of an evaluation: a pure function of its episodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from rrr_core.episode import Episode
from rrr_core.evaluation.statistics import Difference, Proportion, histogram, paired_difference, quantile, wilson
from rrr_core.verdicts import Verdict

FIGURES = ("first_try", "second_try", "no_reflection", "other_reflection", "pass_at_2")
GAINS = {
    "reflection_vs_no_reflection": "no_reflection",
    "reflection_vs_other_reflection": "other_reflection",
    "reflection_vs_pass_at_2": "pass_at_2",
}
"""Gain → the control that the second try is compared with."""
CONTROL_FIGURES = {
    "no_reflection": "no_reflection",
    "other_reflection": "other_reflection",
    "independent": "pass_at_2",
}
"""Name in `Episode.controls` → the figure it makes."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Whether a row was right in the end, by each way of answering it; None where no verdict tells.

    A row that was right at the first try is right by every way, as the paper counts it.
    """

    first_try: bool | None
    second_try: bool | None
    no_reflection: bool | None
    other_reflection: bool | None
    pass_at_2: bool | None


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths of the reflections in tokens, end token included."""

    mean: float
    median: float
    p10: float
    p90: float
    count: int
    histogram: list[tuple[float, int]]
    """(Upper edge, reflections above the edge before and at most this long); the edges are the same for all models."""


@dataclass(frozen=True, slots=True)
class ModeFigures:
    """The figures of one mode. A figure is None where nothing was measured: a control left out, or no verdict."""

    first_try: Proportion | None
    second_try: Proportion | None
    no_reflection: Proportion | None
    other_reflection: Proportion | None
    pass_at_2: Proportion | None
    second_try_of_failures: Proportion | None
    """Share of the failed rows that the retry after the reflection put right."""
    abstentions: Mapping[str, int]
    """Figure → verdicts that the verifier withheld there; these rows are in no figure that needs them."""
    left_out: Mapping[str, int]
    """Figure → failed rows that the control was not run on, such as a shard's only failure for `other_reflection`."""
    gains: Mapping[str, Difference | None]
    """Second try minus each control, over the rows that both tell of."""
    transitions: Mapping[str, int]
    """`right` at first, `wrong→right`, `wrong→wrong`, and `abstained` from at either try."""
    error_classes: Mapping[str, Mapping[str, int]]
    """`first` and `second` try → error class → failed verdicts."""
    reflections: Mapping[str, int]
    """`written`; of those `empty` ones, and `distinct` texts: few of them make the other-reflection control weak."""
    reflection_tokens: Lengths | None
    """None where no reflection was written, or the engine tells no token counts."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Figures:
    """What `figures.json` holds."""

    label: str
    task: str
    model: Mapping[str, Any]
    rows: int
    seed: int
    sampling: Mapping[str, Mapping[str, float]]
    """Mode → `temperature`, and `pass_at_2_temperature` of the independent second sample."""
    notes: tuple[str, ...]
    """What a reader must know to read the figures right."""
    modes: Mapping[str, ModeFigures]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def outcomes(episode: Episode) -> Outcomes:
    """Whether the episode's row was right, by each way of answering it."""
    first = _right(episode.verdict)

    def finally_right(verdict: Verdict | None) -> bool | None:
        return _right(verdict) if first is False else first

    controls = {figure: _control_verdict(episode, control) for control, figure in CONTROL_FIGURES.items()}
    return Outcomes(
        first_try=first,
        second_try=finally_right(episode.second_verdict),
        **{figure: finally_right(verdict) for figure, verdict in controls.items()},
    )


def figures(episodes: Iterable[Episode], controls: Sequence[str] | None = None) -> ModeFigures:
    """The figures of one mode's episodes, which are read once.

    `controls` says which controls were run; by default those found in any episode, so that one that was not run is
    None rather than made of the rows that were right at once.
    """
    results: list[Outcomes] = []
    abstentions: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    transitions: Counter[str] = Counter()
    classes: dict[str, Counter[str]] = {"first": Counter(), "second": Counter()}
    texts: Counter[str] = Counter()
    lengths: list[int] = []
    seen: set[str] = set()
    for episode in episodes:
        result = outcomes(episode)
        results.append(result)
        transitions[_transition(result)] += 1
        _count(episode, abstentions, missing, classes)
        seen.update(episode.controls)
        for reflection in (each.reflection for each in episode.rounds):
            texts[reflection.text] += 1
            if reflection.length is not None:
                lengths.append(reflection.length)
    run = {CONTROL_FIGURES[name] for name in (seen if controls is None else controls)}
    measured = {
        name: _proportion(results, name) for name in FIGURES if name in ("first_try", "second_try") or name in run
    }
    return ModeFigures(
        **{name: measured.get(name) for name in FIGURES},
        second_try_of_failures=_proportion([each for each in results if each.first_try is False], "second_try"),
        abstentions={name: abstentions[name] for name in measured},
        left_out={name: missing[name] for name in measured if name in run},
        gains={
            gain: difference(results, control, results, "second_try") if control in run else None
            for gain, control in GAINS.items()
        },
        transitions={name: transitions[name] for name in ("right", "wrong→right", "wrong→wrong", "abstained")},
        error_classes={name: dict(counter.most_common()) for name, counter in classes.items()},
        reflections={
            "written": texts.total(),
            "empty": sum(count for text, count in texts.items() if not text.strip()),
            "distinct": len(texts),
        },
        reflection_tokens=_lengths(lengths),
    )


def difference(
    first: Sequence[Outcomes], first_figure: str, second: Sequence[Outcomes], second_figure: str
) -> Difference | None:
    """`second_figure` of `second` minus `first_figure` of `first`, over the rows that both tell of; None where none."""
    table = crossed(first, first_figure, second, second_figure)
    if not table.total():
        return None
    return paired_difference(table[True, True], table[True, False], table[False, True], table[False, False])


def crossed(
    first: Sequence[Outcomes], first_figure: str, second: Sequence[Outcomes], second_figure: str
) -> Counter[tuple[bool, bool]]:
    """(Right in the first, right in the second) → rows, of the rows that both tell of."""
    pairs = (
        (getattr(one, first_figure), getattr(other, second_figure)) for one, other in zip(first, second, strict=True)
    )
    return Counter((one, other) for one, other in pairs if one is not None and other is not None)


def length_edges(longest: int) -> list[int]:
    """Upper edges for a histogram of lengths: 4, 6, 8, 12, 16, 24, … up to the first that holds `longest`.

    >>> length_edges(20)
    [4, 6, 8, 12, 16, 24]
    """
    edges, power = [4], 4
    while edges[-1] < longest:
        if edges[-1] == power:
            edges.append(power * 3 // 2)
        else:
            power *= 2
            edges.append(power)
    return edges


def _right(verdict: Verdict | None) -> bool | None:
    return None if verdict is None or verdict.is_abstained else verdict.is_passed


def _control_verdict(episode: Episode, control: str) -> Verdict | None:
    answered = episode.controls.get(control)
    return None if answered is None else answered[1]


def _transition(result: Outcomes) -> str:
    if result.first_try:
        return "right"
    if result.second_try is None:
        return "abstained"
    return "wrong→right" if result.second_try else "wrong→wrong"


def _count(
    episode: Episode, abstentions: Counter[str], missing: Counter[str], classes: Mapping[str, Counter[str]]
) -> None:
    abstentions["first_try"] += episode.verdict.is_abstained
    if not episode.verdict.is_failed:
        return
    classes["first"][episode.verdict.category] += 1
    if (second := episode.second_verdict) is not None:
        abstentions["second_try"] += second.is_abstained
        if second.is_failed:
            classes["second"][second.category] += 1
    for control, figure in CONTROL_FIGURES.items():
        verdict = _control_verdict(episode, control)
        missing[figure] += verdict is None
        abstentions[figure] += verdict is not None and verdict.is_abstained


def _proportion(results: Sequence[Outcomes], figure: str) -> Proportion | None:
    known = [right for right in (getattr(result, figure) for result in results) if right is not None]
    return wilson(sum(known), len(known)) if known else None


def _lengths(lengths: Sequence[int]) -> Lengths | None:
    if not lengths:
        return None
    return Lengths(
        mean=fmean(lengths),
        median=quantile(lengths, 0.5),
        p10=quantile(lengths, 0.1),
        p90=quantile(lengths, 0.9),
        count=len(lengths),
        histogram=histogram(lengths, length_edges(max(lengths))),
    )
