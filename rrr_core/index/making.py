"""A badge made of the results of the checks."""

from __future__ import annotations

from collections.abc import Sequence

from rrr_core import __version__
from rrr_core.conformance.checks import CHECKS
from rrr_core.conformance.report import counts
from rrr_core.conformance.results import Faulty, Result
from rrr_core.conformance.subject import Subject
from rrr_core.errors import RrrError
from rrr_core.index.badge import LONGEST, NONE, SANDBOXED, TRUSTED, Badge
from rrr_core.index.installed import files_digest
from rrr_core.tasks import find_tasks
from rrr_core.text import cut, one_line
from rrr_core.verification.protection import protections


def make_badge(subject: Subject, results: Sequence[Result]) -> Badge:
    """The badge for a task whose checks have run. Raises RrrError if not all of them did."""
    ran = [result for result in results if result.name in CHECKS]
    if {result.name for result in ran} != set(CHECKS):
        raise RrrError("a badge is for all checks: leave out --only.")
    entry = next(entry for entry in find_tasks() if entry.name == subject.name and not entry.error)
    figures = {name: value for result in ran for name, value in result.figures.items()}
    try:
        manifest = subject.manifest
        trusted = subject.task.trusted
    except (Faulty, RrrError):
        manifest, trusted = None, False
    isolation = NONE if subject.verify.isolation == "none" else TRUSTED if trusted else SANDBOXED
    score = figures.get("mutation_score")
    return Badge(
        task=subject.name,
        package=entry.distribution,
        version=entry.version,
        core=__version__,
        summary=_text(manifest.summary if manifest else ""),
        source=_text(manifest.source if manifest else ""),
        revision=_text(manifest.revision if manifest else ""),
        data={one_line(key): _text(value) for key, value in subject.data.items()},
        overlays=subject.overlays,
        rows=subject.settings.rows,
        counts=counts(ran),
        not_passed=tuple(result.name for result in ran if result.state not in ("passed", "skipped")),
        mutation_score=None if score is None else float(score),
        mutants=int(figures.get("mutants", 0)),
        hostile_answers=int(figures.get("hostile_answers", 0)),
        isolation=isolation,
        protections=tuple(each.name for each in protections() if each.in_force) if isolation == SANDBOXED else (),
        files=files_digest(entry),
    )


def _text(text: str) -> str:
    return cut(one_line(text), LONGEST)
