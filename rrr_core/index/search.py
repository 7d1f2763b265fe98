"""Searching the installed and the known tasks for words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rrr_core.index.badge import Badge
from rrr_core.index.known import Known
from rrr_core.tasks.discovery import TaskEntry


@dataclass(frozen=True, slots=True)
class Found:
    """A task that was found, installed or known or both."""

    task: str
    package: str
    installed: str = ""
    """The installed version; empty if it is not installed."""
    is_listed: bool = True
    """Whether the index lists it; one that it does not may have a badge that the index does not know."""
    summary: str = ""
    badge: Badge | None = None
    problem: str = ""
    """Why its badge does not count, or why it cannot be used though it is installed."""


def search(words: str, known: Iterable[Known], installed: Sequence[TaskEntry]) -> list[Found]:
    """The tasks that have all the words in their name, package, summary or error classes, in any case.

    Those with a word in their name come first. Imports no plugin: an installed task that no index lists has its
    distribution's summary.
    """
    wanted = words.casefold().split()
    ranked = []
    for found, more in _all(known, installed):
        texts = " ".join((found.task, found.package, found.summary, *more)).casefold()
        if all(word in texts for word in wanted):
            named = sum(word in found.task.casefold() for word in wanted)
            ranked.append((-named, found.task, found.package, found))
    return [found for *_, found in sorted(ranked, key=lambda each: each[:3])]


def _all(known: Iterable[Known], installed: Sequence[TaskEntry]) -> Iterable[tuple[Found, Sequence[str]]]:
    """Every task once, with further texts to search."""
    here = {(entry.name, _plain(entry.distribution)): entry for entry in installed if entry.value}
    for each in known:
        entry = here.pop((each.task, _plain(each.package)), None)
        version, error = (entry.version, entry.error) if entry is not None else ("", None)
        yield (
            Found(each.task, each.package, version, True, each.summary, each.badge, error or each.problem),
            each.categories,
        )
    for entry in here.values():
        yield (
            Found(entry.name, entry.distribution, entry.version, False, _summary(entry), problem=entry.error or ""),
            (),
        )


def _summary(entry: TaskEntry) -> str:
    from importlib import metadata

    try:
        fields = metadata.metadata(entry.distribution)
        return str(fields["Summary"]) if "Summary" in fields else ""
    except Exception:  # noqa: BLE001 - importlib.metadata lets any error of its parser through
        return ""


def _plain(distribution: str) -> str:
    return distribution.casefold().replace("_", "-").replace(".", "-")
