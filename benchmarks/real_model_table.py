"""The tables of `real_model.py` in Markdown: what each model got right, its gains, its reflections, what it forgot."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from rrr_core.evaluation import read_episodes
from rrr_core.evaluation.controls import CONTROLS
from rrr_core.evaluation.figures import WAYS
from rrr_core.evaluation.settings import MODES
from rrr_core.evaluation.statistics import pooled_mean
from rrr_core.runs.files import read_json
from rrr_core.runs.layout import TRAINED, VANILLA, RunFolder
from rrr_core.text import one_line

PLACEBO = "placebo"
PAIRS_SHOWN = 5


def share(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return "–"
    value, low, high = (100 * figure[name] for name in ("value", "low", "high"))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def points(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return "–"
    value, low, high = (100 * figure[name] for name in ("value", "low", "high"))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def lines_of(runs: Mapping[int, RunFolder]) -> Iterator[str]:
    """The tables, seed by seed with intervals over rows, and over seeds where there are several."""
    comparisons = {seed: read_json(run.comparison) for seed, run in runs.items()}
    for seed, comparison in comparisons.items():
        for mode in (mode for mode in MODES if mode in comparison["figures"][VANILLA]["modes"]):
            yield ""
            yield from mode_lines(comparison, mode, seed)
        yield from forgetting_lines(comparison, seed)
        yield from reflection_lines(runs[seed], seed)
    if len(comparisons) > 1:
        yield from pooled_lines(comparisons)


def mode_lines(comparison: Mapping[str, Any], mode: str, seed: int) -> Iterator[str]:
    """Shares of every model, and its paired gains."""
    figures = {label: each["modes"][mode] for label, each in comparison["figures"].items() if mode in each["modes"]}
    total = figures[VANILLA]["first_try"]["total"]
    yield f"**{mode}**, seed {seed}, n = {total} rows, % right [95% interval]"
    yield ""
    ways = [way for way in WAYS if any(each.get(way.key) for each in figures.values())]
    yield f"| model | {' | '.join(way.short for way in ways)} | second try − vanilla's, points |"
    yield "|---" * (len(ways) + 2) + "|"
    for label, each in figures.items():
        gain = "" if label == VANILLA else points(difference(comparison, mode, VANILLA, label))
        yield f"| {one_line(label)} | {' | '.join(share(each.get(way.key)) for way in ways)} | {gain} |"
    yield ""
    controls = [each for each in CONTROLS if figures[VANILLA]["gains"].get(each.gain)]
    headings = [f"own reflection over {each.short}" for each in controls]
    yield f"| model | {' | '.join(headings)} | reflection, tokens: mean, median |"
    yield "|---" * (len(controls) + 2) + "|"
    for label, each in figures.items():
        lengths = each.get("reflection_tokens")
        shown = "–" if not lengths else f"{lengths['mean']:.0f}, {lengths['median']:.0f}"
        gains = " | ".join(points(each["gains"].get(control.gain)) for control in controls)
        yield f"| {one_line(label)} | {gains} | {shown} |"
    if TRAINED in figures and PLACEBO in figures:
        over = points(difference(comparison, mode, TRAINED, PLACEBO, sign=-1))
        yield ""
        yield f"Trained − placebo, second try: {over} points."


def difference(
    comparison: Mapping[str, Any], mode: str, a: str, b: str, sign: int = 1, figure: str = "second_try"
) -> dict[str, float] | None:
    """The paired difference b − a of a figure; a − b with a `sign` of -1."""
    for pair in comparison["pairs"]:
        if (pair["a"], pair["b"], pair["mode"], pair["figure"]) == (a, b, mode, figure) and pair["difference"]:
            found = pair["difference"]
            low, high = sorted((sign * found["low"], sign * found["high"]))
            return {"value": sign * found["value"] + 0.0, "low": low, "high": high}  # never -0.0
    return None


def forgetting_lines(comparison: Mapping[str, Any], seed: int) -> Iterator[str]:
    found = comparison.get("forgetting")
    if not found:
        return
    yield from ("", f"**forgetting**, seed {seed}, % right [95% interval]", "")
    yield "| benchmark | items | before | after | difference, points |"
    yield "|---|---|---|---|---|"
    for pair in found["pairs"]:
        if (pair["a"], pair["b"]) == (VANILLA, TRAINED):
            before, after = (share(found["scores"][label][pair["benchmark"]]) for label in (VANILLA, TRAINED))
            title, over = one_line(pair["title"]), pair["difference"]
            yield f"| {title} | {over['total']} | {before} | {after} | {points(over)} |"


def reflection_lines(run: RunFolder, seed: int) -> Iterator[str]:
    """The first rows that both models failed at first, with the reflection of each."""
    modes = [mode for mode in ("sampled", "greedy") if run.evaluation(VANILLA).shards(mode)]
    if not modes:
        return
    folders = (run.evaluation(name).path for name in (VANILLA, TRAINED))
    written = [{each.row_index: each for each in read_episodes(folder, modes[0])} for folder in folders]
    both = [index for index in written[0] if index in written[1] and all(each[index].rounds for each in written)]
    yield from (
        "",
        f"Reflections on the first {min(PAIRS_SHOWN, len(both))} rows that both failed, seed {seed}, {modes[0]}:",
    )
    for index in both[:PAIRS_SHOWN]:
        yield ""
        for label, each in zip((VANILLA, TRAINED), written, strict=True):
            first, verdict = each[index].rounds[0], each[index].second_verdict
            outcome = (
                "withheld" if verdict is None or verdict.is_abstained else "right" if verdict.is_passed else "wrong"
            )
            # Indented, and on one line: nothing that a model wrote is read as Markdown.
            yield f"    row {index}, {label}, retry {outcome}: {one_line(first.reflection.text, 400)}"


def pooled_lines(comparisons: Mapping[int, Mapping[str, Any]]) -> Iterator[str]:
    """The gain over seeds, with Student's interval."""
    yield from ("", f"**over {len(comparisons)} seeds**, second try − vanilla's, points [Student's 95% interval]", "")
    yield "| mode | trained | placebo |"
    yield "|---|---|---|"
    first = next(iter(comparisons.values()))
    for mode in (mode for mode in MODES if mode in first["figures"][VANILLA]["modes"]):
        cells = []
        for label in (TRAINED, PLACEBO):
            found = [difference(each, mode, VANILLA, label) for each in comparisons.values()]
            known = [each["value"] for each in found if each is not None]
            cells.append(points(dataclasses.asdict(pooled_mean(known))) if len(known) > 1 else "–")
        yield f"| {mode} | {' | '.join(cells)} |"
