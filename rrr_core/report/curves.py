"""Training curves: metrics.jsonl as named series of bounded length, and the panels that show them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

LONGEST_CURVE = 400
"""Most points of a curve; a longer one is averaged over stretches of equal length."""
MOST_SERIES = 80


@dataclass(frozen=True, slots=True)
class Panel:
    """One small chart: title, explanation, unit (`share`, `tokens` or empty), and the name of its series."""

    title: str
    note: str
    unit: str
    series: str


@dataclass(frozen=True, slots=True)
class Curves:
    """Values by step. Every list in `series` is as long as `steps`; None for steps that did not log the name."""

    steps: list[float]
    series: dict[str, list[float | None]]
    panels: list[Panel]
    logged: int
    """Number of logged steps; larger than the length of `steps` if stretches were averaged."""


_KNOWN = (
    Panel("Retry success rate", "Share of retries after a reflection that were right.", "share", "retry_success_rate"),
    Panel(
        "First-try success rate", "Share of a step's first tries that were right.", "share", "first_try_success_rate"
    ),
    Panel(
        "Repeated answers",
        "Share of retries that repeat an earlier answer of their episode.",
        "share",
        "retries_repeated",
    ),
    Panel("Reflection length", "Mean tokens of a reflection, including its end token.", "tokens", "reflection_tokens"),
    Panel(
        "Zero-variance groups",
        "Share of groups whose reflections all earned the same reward: their advantages are zero.",
        "share",
        "groups_without_spread",
    ),
    Panel("Groups replaced", "Share of groups that --zero-variance resample replaced.", "share", "groups_refilled"),
    Panel(
        "Stale failures",
        "Share of resampled failures that the model no longer fails.",
        "share",
        "stale_failures",
    ),
    Panel("Divergence (KL)", "From the model that training started from.", "", "kl"),
    Panel(
        "Leak: the gold answer",
        "Share of reflections that contain the gold answer.",
        "share",
        "reflections_with_gold_answer",
    ),
    Panel(
        "Leak: the retry’s answer",
        "Share of reflections that already contain the answer of their retry.",
        "share",
        "reflections_with_retry_answer",
    ),
    Panel(
        "Distillation loss",
        "Mean negative log-likelihood per token of passing retries, as answers to their rows' first prompts.",
        "",
        "distill_loss",
    ),
    Panel("Abstentions", "Verdicts withheld in a batch; they earn no reward.", "", "abstentions"),
    Panel("Reflections cut off", "Share that hit the token limit.", "share", "reflections_cut_off"),
    Panel("Empty reflections", "Share without any text; they get no retry.", "share", "reflections_empty"),
    Panel("Sampled tokens", "Tokens of a step's attempts, reflections and retries.", "tokens", "sampled_tokens"),
    Panel("Trained tokens", "", "", "trained_tokens"),
    Panel("Reward", "", "", "reward"),
    Panel("Reward: standard deviation", "", "", "reward_std"),
    Panel("Retry reward", "", "", "retry_reward"),
    Panel("Length bonus, of the reward", "", "", "length_bonus"),
    Panel("First-try reward", "", "", "first_try_reward"),
    Panel("First-try length", "", "tokens", "first_try_tokens"),
    Panel("First tries cut off", "", "share", "first_tries_cut_off"),
    Panel("Retries distilled", "", "", "distill_targets"),
    Panel("Entropy", "", "", "entropy"),
    Panel("Loss", "", "", "loss"),
    Panel("Gradient norm", "", "", "grad_norm"),
    Panel("Learning rate", "", "", "learning_rate"),
    Panel("Seconds per step", "", "", "step_seconds"),
    Panel("Seconds per step: generating", "", "", "generate_seconds"),
    Panel("Seconds per step: judging", "", "", "judge_seconds"),
    Panel("Seconds per step: forward, backward, optimiser", "", "", "train_seconds"),
    Panel("Seconds per step: weight sync", "", "", "sync_seconds"),
    Panel("Generated tokens per second", "", "", "written_tokens_per_second"),
    Panel("Trained tokens per second", "", "", "trained_tokens_per_second"),
)
"""Panels of the metrics that training logs, in the order of the page."""


def curves_of(records: Iterable[Mapping[str, Any]]) -> Curves:
    """The curves in lines of `{"step": n, name: value}`; if a step was logged twice, the later line counts."""
    by_step: dict[float, Mapping[str, Any]] = {}
    for record in records:
        step = _number(record.get("step"))
        if step is not None:
            by_step[step] = {**by_step.get(step, {}), **record}
    steps = sorted(by_step)
    names: dict[str, None] = {}
    for step in steps:
        names.update(dict.fromkeys(str(name) for name in by_step[step] if name != "step"))
    series = {name: [_number(by_step[step].get(name)) for step in steps] for name in names}
    present = {name: values for name, values in series.items() if any(value is not None for value in values)}
    kept = dict(list(present.items())[:MOST_SERIES])
    return Curves(
        steps=_averaged(list(steps)),
        series={name: [_rounded(value) for value in _shortened(values)] for name, values in kept.items()},
        panels=panels_of(kept),
        logged=len(steps),
    )


def panels_of(names: Iterable[str]) -> list[Panel]:
    """The known panels whose series were logged, in a fixed order, then one panel per other name.

    >>> [panel.title for panel in panels_of(["mystery", "kl"])]
    ['Divergence (KL)', 'mystery']
    """
    left = dict.fromkeys(names)
    known = [panel for panel in _KNOWN if panel.series in left]
    others = [name for name in left if name not in {panel.series for panel in known}]
    return [*known, *(_by_round_or_task(name) or Panel(name, "", "", name) for name in others)]


_OF_TASKS = {
    "retry_success_rate": "Retry success rate",
    "first_try_success_rate": "First-try success rate",
    "groups_without_spread": "Zero-variance groups",
    "groups": "Share of the groups",
}
"""What is logged of each of several tasks, with a slash and its name after it."""


def _by_round_or_task(name: str) -> Panel | None:
    known, slash, task = name.partition("/")
    if slash and (panel := _OF_TASKS.get(known)):
        return Panel(f"{panel}: {task}", "", "share", name)
    found = re.fullmatch(r"round_([0-9]+)_(retry_success_rate|entered)", name)
    if found is None:
        return None
    what = "episodes that enter it" if found[2] == "entered" else "retry success rate"
    return Panel(f"Round {found[1]}: {what}", "", "share", name)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _stretches(length: int) -> list[tuple[int, int]]:
    count = min(length, LONGEST_CURVE)
    return [(place * length // count, (place + 1) * length // count) for place in range(count)]


def _averaged(values: list[float]) -> list[float]:
    return [sum(values[start:end]) / (end - start) for start, end in _stretches(len(values))]


def _shortened(values: list[float | None]) -> list[float | None]:
    shortened: list[float | None] = []
    for start, end in _stretches(len(values)):
        known = [value for value in values[start:end] if value is not None]
        shortened.append(sum(known) / len(known) if known else None)
    return shortened


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")
