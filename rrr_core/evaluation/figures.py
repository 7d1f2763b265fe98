"""The figures of an evaluation: a pure function of its episodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import itemgetter
from statistics import fmean
from typing import Any

from rrr_core.episode import Episode
from rrr_core.evaluation.by_round import FinalAnswer, RoundCounter, RoundFigures, unknown_answer
from rrr_core.evaluation.controls import CONTROLS, Control, control_named
from rrr_core.evaluation.outcomes import Outcomes, difference, outcomes, share
from rrr_core.evaluation.statistics import Difference, Proportion, histogram, quantile
from rrr_core.evaluation.without_oracle import Decided, answered, decider_figures
from rrr_core.evaluation.written import WrittenCounter
from rrr_core.verdicts import CONTEXT_FULL, CUT_OFF, STEP_LIMIT, Verdict


@dataclass(frozen=True, slots=True)
class Figure:
    """A share of rows that are right."""

    key: str
    """Name in `figures.json`."""
    heading: str
    """Full title: a line of the report."""
    short: str
    """Short title: a line on the terminal or a column heading."""
    right: Callable[[Outcomes], bool | None]
    """Whether a row counts as right; None for a row that the figure does not cover."""
    control: Control | None = None
    """The control it needs; if that was not run, the figure is None."""


WAYS = (
    Figure("first_try", "first try", "first try", itemgetter("first_try")),
    Figure(
        "second_try", "second try, after its own reflection", "second try after reflection", itemgetter("second_try")
    ),
    *(Figure(each.figure, each.heading, each.short, itemgetter(each.figure), each) for each in CONTROLS),
)
"""The ways of answering a row, each with its own verdict; models are compared on them row by row."""
FIGURES = (
    *WAYS,
    Figure(
        "second_try_of_failures",
        "second try, failed rows alone",
        "second try of failures",
        lambda row: row["second_try"] if row["first_try"] is False else None,
    ),
)
"""All shares, in the order of `figures.json`. To add one, add an entry here and a line in docs/evaluation.md."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths of the reflections in tokens, including the end token."""

    mean: float
    median: float
    p10: float
    p90: float
    count: int
    histogram: list[tuple[float, int]]
    """(Upper edge, reflections longer than the previous edge and at most this long); all models share the edges."""


@dataclass(frozen=True, slots=True)
class ModeFigures:
    """The figures of one mode. A figure is None if nothing was measured: its control was not run, or no verdict."""

    shares: Mapping[str, Proportion | None]
    """Key of a figure → its share; `figures.json` holds them on the same level as the fields below."""
    abstentions: Mapping[str, int]
    """Way → withheld verdicts; these rows are excluded from every figure that needs that verdict."""
    no_answers: Mapping[str, Mapping[str, int]]
    """Way → kind → rows to which the model gave no answer, or no reflection before it; excluded in the same way.
    `figures.json` has it only if there are any."""
    cut_off: Mapping[str, tuple[int, int]]
    """`first_try`, `reflection` or `second_try` → texts that met the token limit, of how many; a course counts once.
    `figures.json` has it only if there are any."""
    step_limit: Mapping[str, tuple[int, int]]
    """`first_try` or `second_try` → courses that came to no answer within the step limit, of how many; likewise."""
    context_full: Mapping[str, tuple[int, int]]
    """The same of courses that filled the model's context."""
    actions: Mapping[str, float]
    """`first_try` or `second_try` → mean number of actions of a course; `figures.json` has it only for tasks that act
    in steps."""
    left_out: Mapping[str, int]
    """A control's figure → failed rows it was not run on, such as a shard's only failure, which has no other row."""
    gains: Mapping[str, Difference | None]
    """Second try minus each control, over the rows judged for both."""
    transitions: Mapping[str, int]
    """Rows `right` at first, `wrong→right`, `wrong→wrong`, and `abstained` from at either try; rows without an answer
    are among the last."""
    error_classes: Mapping[str, Mapping[str, int]]
    """`first` and `second` try → error class → failed verdicts."""
    reflections: Mapping[str, int]
    """`written`, `empty` among them, and `distinct` texts: with few, the other-reflection control is weak."""
    reflection_tokens: Lengths | None
    """None if no reflection was written or the engine reports no token counts."""
    rounds: tuple[RoundFigures, ...]
    """The figures of each round, from the first."""
    deciders: Mapping[str, Decided]
    """Decider → its figures, after those of `oracle` and `always`; `figures.json` has it only with `--decide`."""
    corrected: Mapping[str, Any] | None = None
    """`rrr_core.evaluation.known_noise.corrections`, only with known rates of errors."""

    def to_json(self) -> dict[str, Any]:
        record = asdict(self)
        for name in ("no_answers", "cut_off", "step_limit", "context_full", "actions", "deciders", "corrected"):
            if not record[name]:
                del record[name]
        return {**record.pop("shares"), **record}


@dataclass(frozen=True, slots=True)
class Figures:
    """What `figures.json` holds."""

    label: str
    task: str
    model: Mapping[str, Any]
    rows: int
    seed: int
    sampling: Mapping[str, Mapping[str, float]]
    """Mode → `temperature`, and `FIGURE_temperature` of each control that is sampled in every mode."""
    notes: tuple[str, ...]
    """What a reader must know to interpret the figures."""
    modes: Mapping[str, ModeFigures]

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "modes": {mode: made.to_json() for mode, made in self.modes.items()}}


def figures(
    episodes: Iterable[Episode],
    controls: Sequence[str] | None = None,
    rounds: int | None = None,
    final_answer: FinalAnswer = unknown_answer,
) -> ModeFigures:
    """The figures of one mode's episodes, which are iterated once.

    `controls` names the controls that were run, and `rounds` says how many rounds; the default is those found in any
    episode. The figure of a control that was not run is None, not computed from the rows that were right at once.
    `final_answer` says which retries repeat an answer; without it their texts are compared. Raises RrrError for an
    unknown control, and what `final_answer` raises.
    """
    results: list[Outcomes] = []
    abstentions: Counter[str] = Counter()
    no_answers: dict[str, Counter[str]] = {way.key: Counter() for way in WAYS}
    written = WrittenCounter()
    missing: Counter[str] = Counter()
    transitions: Counter[str] = Counter()
    classes: dict[str, Counter[str]] = {"first": Counter(), "second": Counter()}
    texts: Counter[str] = Counter()
    lengths: list[int] = []
    seen: set[str] = set()
    by_round = RoundCounter(final_answer)
    decided = []
    for episode in episodes:
        result = outcomes(episode)
        results.append(result)
        by_round.add(episode)
        if (row := answered(episode)) is not None:
            decided.append(row)
        transitions[_transition(result)] += 1
        _count(episode, abstentions, no_answers, missing, classes)
        seen.update(episode.controls)
        written.add(episode)
        for reflection in (each.reflection for each in episode.rounds):
            if reflection.verdict is not None:  # none was written
                continue
            texts[reflection.text] += 1
            if reflection.length is not None:
                lengths.append(reflection.length)
    wanted = [control_named(key) for key in (seen if controls is None else controls)]
    run = [control for control in CONTROLS if control in wanted]
    return ModeFigures(
        shares={
            figure.key: share(map(figure.right, results)) if figure.control in (None, *run) else None
            for figure in FIGURES
        },
        abstentions={way.key: abstentions[way.key] for way in WAYS if way.control in (None, *run)},
        no_answers={way.key: dict(no_answers[way.key].most_common()) for way in WAYS if no_answers[way.key].total()},
        cut_off=written.shares(CUT_OFF),
        step_limit=written.shares(STEP_LIMIT),
        context_full=written.shares(CONTEXT_FULL),
        actions=written.mean_actions(),
        left_out={control.figure: missing[control.figure] for control in run},
        gains={
            control.gain: difference(results, control.figure, results, "second_try") if control in run else None
            for control in CONTROLS
        },
        transitions={name: transitions[name] for name in ("right", "wrong→right", "wrong→wrong", "abstained")},
        error_classes={name: dict(counter.most_common()) for name, counter in classes.items()},
        reflections={
            "written": texts.total(),
            "empty": sum(count for text, count in texts.items() if not text.strip()),
            "distinct": len(texts),
        },
        reflection_tokens=_lengths(lengths),
        rounds=by_round.figures(run, rounds),
        deciders=decider_figures(decided),
    )


def length_edges(longest: int) -> list[int]:
    """Upper edges for a histogram of lengths: 4, 6, 8, 12, 16, 24, … up to the first that covers `longest`.

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


def _control_verdict(episode: Episode, control: Control) -> Verdict | None:
    """The verdict of a control's first try."""
    return next((verdict for _, verdict in episode.controls.get(control.key, ())), None)


def _transition(result: Outcomes) -> str:
    if result["first_try"]:
        return "right"
    if result["second_try"] is None:
        return "abstained"
    return "wrong→right" if result["second_try"] else "wrong→wrong"


def _count(
    episode: Episode,
    abstentions: Counter[str],
    no_answers: Mapping[str, Counter[str]],
    missing: Counter[str],
    classes: Mapping[str, Counter[str]],
) -> None:
    def count_withheld(way: str, verdict: Verdict) -> None:
        if verdict.is_unanswered:
            no_answers[way][verdict.detail] += 1
        else:
            abstentions[way] += verdict.is_abstained

    count_withheld("first_try", episode.verdict)
    if not episode.verdict.is_failed:
        return
    classes["first"][episode.verdict.category] += 1
    if (second := episode.second_verdict) is not None:
        count_withheld("second_try", second)
        if second.is_failed:
            classes["second"][second.category] += 1
    for control in CONTROLS:
        verdict = _control_verdict(episode, control)
        missing[control.figure] += verdict is None
        if verdict is not None:
            count_withheld(control.figure, verdict)


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
