"""A plan on the terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from rrr_core.cli.columns import aligned
from rrr_core.planning.fits import USABLE, Candidate
from rrr_core.planning.plan import Plan
from rrr_core.text import duration, one_line


def print_plan(plan: Plan) -> None:
    """Stages, totals, what fits, the verdict in one line, and where the figures come from."""
    click.echo(f"{one_line(plan.model)} on {', '.join(plan.tasks)}, {_machine(plan)}")
    for lines in (list(_stages(plan)), list(_totals(plan)), list(_candidates(plan)), [verdict(plan)]):
        click.echo()
        for line in lines:
            click.echo(line)
    for note in plan.notes:
        click.echo(f"note: {one_line(note)}")


def _machine(plan: Plan) -> str:
    device = f"{plan.device.name} with {_size(plan.device.memory)}"
    return device if plan.processes == 1 else f"{plan.processes} processes, each on {device}"


def _stages(plan: Plan) -> Iterator[str]:
    headings = ("stage", "read", "written", "trained", "tokens", "hours", "range", "GB a rank", "at most")
    rows = []
    for stage in plan.stages:
        low, high = plan.ranges[stage.name]["tokens"]
        fast, slow = plan.ranges[stage.name]["seconds"]
        rows.append(
            (
                stage.name,
                _count(stage.work.prompt),
                _count(stage.work.written),
                _count(stage.work.trained + stage.work.scored),
                f"{_count(low)}-{_count(high)}",
                _time(stage.seconds) if plan.has_speeds else "-",
                f"{_time(fast)}-{_time(slow)}" if plan.has_speeds else "-",
                _size(stage.memory.peak),
                _size(stage.worst.peak),
            )
        )
    yield from aligned(headings, rows, numbers=8)


def _totals(plan: Plan) -> Iterator[str]:
    if plan.has_speeds:
        low, high = plan.seconds_range
        yield f"time    {_time(plan.seconds)} ({_time(low)} to {_time(high)})"
        money = plan.money(plan.seconds)
        if money is not None:
            ends = f"{plan.money(low):.2f} to {plan.money(high):.2f}"
            yield f"money   {money:.2f} ({ends}), at {plan.price:g} per device and hour"
    parts = ", ".join(f"{_size(size)} {name}" for name, size in plan.disk.items())
    yield f"disk    {_size(sum(plan.disk.values()))}: {parts}"
    training = next(stage for stage in plan.stages if stage.name == "train")
    held = sorted(training.memory.parts.items(), key=lambda part: -part[1])
    yield f"memory  of training: {', '.join(f'{_size(size)} {name}' for name, size in held if size >= 1e6)}"


def _candidates(plan: Plan) -> Iterator[str]:
    rows = []
    for each in plan.candidates:
        marks = [
            mark for mark, is_it in (("as asked", each == plan.as_asked), ("cheapest", each == plan.chosen)) if is_it
        ]
        rows.append(
            (
                each.sharding,
                str(each.micro_batch),
                _size(each.peak),
                _size(each.worst),
                each.fits(plan.device.memory),
                _time(each.seconds) if plan.has_speeds else "-",
                ", ".join(marks),
            )
        )
    yield from aligned(("sharding", "micro-batch", "GB a rank", "at most", "fits", "training", ""), rows)


def verdict(plan: Plan) -> str:
    """What fits, in one line."""
    asked, chosen = plan.as_asked, plan.chosen
    if chosen is None:
        least = min(plan.candidates, key=lambda each: each.peak)
        more = plan.advice or "no number of processes up to 64 that divides the batch is enough"
        return (
            f"Nothing fits: the least is {_size(least.peak)} a rank ({_way(least)}), and"
            f" {_size(plan.device.memory * USABLE)} can be used; {more}, or train LoRA adapters (--train-lora-rank 16)."
        )
    is_tight = chosen.fits(plan.device.memory) == "tight"
    but = ", but not if each text met its limit" if is_tight else ""
    if asked is not None and asked == chosen:
        return f"It fits as asked: {_way(chosen)}, {_size(chosen.peak)} a rank{but}."
    state = "does not fit" if asked is not None and asked.fits(plan.device.memory) == "no" else "is not the cheapest"
    given = f"As asked ({_way(asked)}) it {state}; use" if asked is not None else "Use"
    return f"{given} {_way(chosen)}, {_size(chosen.peak)} a rank{but}."


def _way(each: Candidate) -> str:
    sharding = "no sharding" if each.sharding == "none" else each.sharding
    return f"{sharding}, --train-micro-batch-size {each.micro_batch}"


def _count(tokens: float) -> str:
    """Tokens in two or three digits.

    >>> [_count(each) for each in (0, 950, 12_345, 1_234_567, 2.5e9)]
    ['-', '950', '12k', '1.2M', '2.5G']
    """
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if tokens >= size:
            return f"{tokens / size:.1f}{unit}" if tokens < 10 * size else f"{tokens / size:.0f}{unit}"
    return f"{tokens:.0f}" if tokens >= 0.5 else "-"


def _size(size: float) -> str:
    return f"{size / 1e9:.2g} GB" if size < 9.95e9 else f"{size / 1e9:.0f} GB"


def _time(seconds: float) -> str:
    return duration(seconds) if seconds < 86_400 else f"{seconds / 3600:.0f} h"


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON values: bytes, seconds and counts."""
    low, high = plan.seconds_range
    return {
        "model": plan.model,
        "tasks": list(plan.tasks),
        "device": {"name": plan.device.name, "memory": plan.device.memory, "usable": plan.device.memory * USABLE},
        "processes": plan.processes,
        "stages": [
            {
                "stage": stage.name,
                "tokens": {
                    name: round(getattr(stage.work, name))
                    for name in ("prompt", "cached", "written", "trained", "scored")
                },
                "tokens_range": [round(each) for each in plan.ranges[stage.name]["tokens"]],
                "seconds": stage.seconds if plan.has_speeds else None,
                "seconds_range": list(plan.ranges[stage.name]["seconds"]) if plan.has_speeds else None,
                "memory": {name: round(size) for name, size in stage.memory.parts.items()},
                "memory_peak": round(stage.memory.peak),
                "memory_at_most": round(stage.worst.peak),
            }
            for stage in plan.stages
        ],
        "seconds": plan.seconds if plan.has_speeds else None,
        "seconds_range": [low, high] if plan.has_speeds else None,
        "money": plan.money(plan.seconds) if plan.has_speeds else None,
        "money_range": [plan.money(low), plan.money(high)] if plan.has_speeds and plan.price is not None else None,
        "disk": {name: round(size) for name, size in plan.disk.items()},
        "ways": [_candidate_json(each, plan) for each in plan.candidates],
        "as_asked": None if plan.as_asked is None else _candidate_json(plan.as_asked, plan),
        "cheapest": None if plan.chosen is None else _candidate_json(plan.chosen, plan),
        "verdict": verdict(plan),
        "notes": list(plan.notes),
    }


def _candidate_json(each: Candidate, plan: Plan) -> dict[str, Any]:
    return {
        "sharding": each.sharding,
        "micro_batch": each.micro_batch,
        "memory_peak": round(each.peak),
        "memory_at_most": round(each.worst),
        "fits": each.fits(plan.device.memory),
        "seconds": each.seconds if plan.has_speeds else None,
    }
