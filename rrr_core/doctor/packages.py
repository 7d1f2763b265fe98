"""Which of rrr-core's extras are installed, and what each missing one would add."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING

import rrr_core
from rrr_core.doctor.finding import Finding
from rrr_core.generation.engines import CORE_ENGINES

if TYPE_CHECKING:
    from packaging.requirements import Requirement

COSTS = {
    "ray": "no mining and evaluation on a Ray cluster (`--ray`, docs/scaling.md)",
    "eval": "no forgetting measured on general benchmarks (`rrr eval --forgetting`, docs/evaluation.md)",
    "author": "no new plugin (`rrr new`), and no tox and pytest to test one with",
    "verifiers": "no task set for verifiers, vf-eval and prime-rl (docs/exports.md)",
    "inspect": "no task for Inspect (docs/exports.md)",
}
"""Extra → what cannot be done without it, for those that are no engine's."""


def packages() -> Iterator[Finding]:
    """rrr-core, and each of its extras with the packages it needs."""
    yield Finding("packages", "rrr-core", "ok", rrr_core.__version__)
    if version_of("rrr-core") is None:
        cost = "which extras are installed is unknown: pip install rrr-core"
        yield Finding("packages", "extras", "unknown", "rrr-core runs from its source and is not installed", cost)
        return
    costs = COSTS | {engine.extra: engine.without for engine in CORE_ENGINES.values()}
    for extra, requirements in extras().items():
        found = [installed(requirement) for requirement in requirements]
        if not found:
            yield Finding("packages", f"[{extra}]", "missing", "not offered on this system", costs.get(extra, ""))
            continue
        lacking = [text for text, fits in found if not fits]
        if lacking:
            cost = f"{costs.get(extra, f'without {extra}')}: pip install 'rrr-core[{extra}]'"
            yield Finding("packages", f"[{extra}]", "missing", ", ".join(lacking), cost)
        else:
            yield Finding("packages", f"[{extra}]", "ok", ", ".join(text for text, _ in found))


def extras() -> dict[str, list[Requirement]]:
    """Extra → the packages it adds on this machine, including those of an extra within it."""
    from packaging.requirements import Requirement

    about = metadata.metadata("rrr-core")
    stated = [Requirement(text) for text in metadata.requires("rrr-core") or []]
    bare = [requirement for requirement in stated if requirement.marker is None or _applies(requirement, "")]
    extras: dict[str, list[Requirement]] = {}
    for extra in about.get_all("Provides-Extra") or []:
        added = [requirement for requirement in stated if requirement not in bare and _applies(requirement, extra)]
        extras[extra] = [requirement for requirement in added if requirement.name != "rrr-core"]
    return extras


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def installed(requirement: Requirement) -> tuple[str, bool]:
    """A package as shown to people (`trl 1.16.0`, or what is wrong with it), and whether it will do."""
    version = version_of(requirement.name)
    if version is None:
        return f"{requirement.name} is not installed", False
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{requirement.name} {version} is not {requirement.specifier}", False
    return f"{requirement.name} {version}", True


def version_of(distribution: str) -> str | None:
    """The installed version of a distribution; None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
