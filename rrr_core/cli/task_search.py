"""The lines of `rrr tasks --search` and `rrr tasks --badge`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rrr_core.cli.columns import aligned
from rrr_core.index import Badge, Found
from rrr_core.index.installed import files_digest
from rrr_core.tasks import find_tasks
from rrr_core.text import counted, one_line

HEADINGS = ("task", "package", "installed", "checks", "mutants refused", "hostile", "isolation")
NOT_CHECKED = ("not checked", "", "", "")
NOT_LISTED = ("not in the index", "", "", "")


def found_lines(found: Sequence[Found]) -> Iterator[str]:
    """A row for each task with its figures of trust; its summary below it, or below the last of those that share it."""
    heading, *lines = aligned(HEADINGS, [_row(each) for each in found])
    yield heading
    for line, each, following in zip(lines, found, [*found[1:], None], strict=True):
        yield line
        if each.summary and (each.problem or following is None or following.summary != each.summary):
            yield from textwrap.wrap(one_line(each.summary), 96, initial_indent="  ", subsequent_indent="  ")
        if each.problem:
            yield f"  {one_line(each.problem)}"


def _row(each: Found) -> tuple[str, ...]:
    return each.task, each.package, each.installed or "-", *(_score(each.badge) if each.is_listed else NOT_LISTED)


def _score(badge: Badge | None) -> tuple[str, ...]:
    if badge is None:
        return NOT_CHECKED
    return (
        f"{badge.counts.get('passed', 0)}/{badge.ran} of {badge.version}",
        "-" if badge.mutation_score is None else f"{badge.mutation_score:.1%}",
        badge.hostile,
        badge.isolation,
    )


def found_json(each: Found) -> dict[str, Any]:
    """One task that was found, as JSON-able values."""
    return {**asdict(each), "badge": each.badge.to_json() if each.badge else None}


def badge_lines(badge: Badge) -> Iterator[str]:
    """What a badge says, and whether it is for what is installed here."""
    yield f"{one_line(badge.who)}, task {one_line(badge.task)}, checked by rrr-core {one_line(badge.core)}"
    if badge.summary:
        yield f"  {one_line(badge.summary)}"
    for each in badge.score:
        yield f"  {each}"
    if badge.not_passed:
        yield f"  not passed: {one_line(', '.join(badge.not_passed))}"
    options = [f"--data {key}={value}" for key, value in badge.data.items()]
    options += [f"--with {overlay}" for overlay in badge.overlays]
    yield f"  {counted(badge.rows, 'row')} of each split" + (f", {one_line(' '.join(options))}" if options else "")
    yield f"  {installed_state(badge)}"


def installed_state(badge: Badge) -> str:
    """Whether the installed package is the one that the badge was written for."""
    entry = next((each for each in find_tasks() if each.name == badge.task and not each.error), None)
    if entry is None:
        return "not installed here, so only the badge's own digest was checked"
    if entry.distribution != badge.package or entry.version != badge.version:
        return f"installed here is {one_line(entry.who)}, which the badge is not for"
    if not badge.files or files_digest(entry) != badge.files:
        return "the files installed here are not those that were checked: run rrr check"
    return "the files installed here are those that were checked"
