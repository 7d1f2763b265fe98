"""The installed tasks, overlays and engines, read from the distributions' metadata without importing anything."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import rrr_core
from rrr_core.tasks.scanning import Offer, plain_offers

if TYPE_CHECKING:
    from importlib.metadata import Distribution, PackageMetadata

TASKS = "rrr.tasks"
OVERLAYS = "rrr.overlays"
_CORE = "rrr-core"
_FINAL = r"[0-9]{1,9}(?:\.[0-9]{1,9})*"
_PLAIN = re.compile(rf"rrr-core ?((?:>=|<){_FINAL}(?:, ?(?:>=|<){_FINAL})*)")
"""The usual requirement, such as `rrr-core>=0.1,<0.2`."""


@dataclass(frozen=True, slots=True)
class TaskEntry:
    """A distribution's claim to the name of a task, an overlay or an engine."""

    name: str
    """The entry point's name; `?` if the distribution's entry points cannot be read. So are the next two fields."""
    distribution: str
    version: str
    value: str
    """The module that holds the hooks; for an engine, `module:NAME`."""
    error: str | None = None
    """Why it cannot be used, in one line: claimed twice, made for another core, or broken metadata."""
    kind: str = "task"
    """`task`, `overlay` or `engine`."""
    options: tuple[tuple[str, str], ...] = ()
    """The options an overlay was requested with, as key-value pairs."""

    @property
    def who(self) -> str:
        """Distribution and version, as named in every error."""
        return f"{self.distribution} {self.version}"


def provenance_of(task: str, plugin: TaskEntry, *overlays: TaskEntry) -> dict[str, Any]:
    """What a run's manifest records about a task and the overlays on it."""
    return {
        "task": task,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "overlays": [
            {"name": each.name, "distribution": each.distribution, "version": each.version}
            | ({"options": dict(each.options)} if each.options else {})
            for each in overlays
        ],
    }


def find_tasks() -> list[TaskEntry]:
    """All claims to a task, by name. If two claim one name, both are listed and each one's error names both."""
    return find_entries(TASKS, "task")


def find_overlays() -> list[TaskEntry]:
    """All claims to an overlay's name, like `find_tasks`."""
    return find_entries(OVERLAYS, "overlay")


def find_entries(group: str, kind: str, given: Sequence[TaskEntry] = ()) -> list[TaskEntry]:
    """All claims in a group of entry points: `given` ones first, then the rest by name."""
    plain = plain_offers(group)
    if plain is not None:
        found = [entry for offer in plain for entry in _plain_claims(offer, kind)]
    else:
        found = [entry for offer in _offering(group) for entry in _claims(offer, group, kind)]
    entries = [*given, *sorted(found, key=lambda entry: (entry.name, entry.distribution, entry.value))]
    claims = Counter(entry.name for entry in entries if entry.value)
    return [
        replace(entry, error=_clash(entry, entries)) if entry.value and claims[entry.name] > 1 else entry
        for entry in entries
    ]


def _clash(entry: TaskEntry, entries: list[TaskEntry]) -> str:
    rivals = [f"{rival.who} (module {rival.value})" for rival in entries if rival.name == entry.name and rival.value]
    return f"The {entry.kind} {entry.name!r} is claimed by {' and by '.join(rivals)}: uninstall all but one."


def _offering(group: str) -> Iterator[Distribution]:
    """The distributions with entry points in `group`; of two copies of one, the first on the path.

    Reads every `entry_points.txt`, but full metadata only for those few: this keeps `rrr tasks` fast.
    """
    from importlib import metadata

    seen = set()
    for distribution in metadata.distributions():
        try:
            text = distribution.read_text("entry_points.txt")
        except Exception:  # noqa: BLE001, S112 - a stranger's broken files: no way to know if they mean this group
            continue
        if not text or group not in text:
            continue
        name = _field(_fields(distribution), "Name")
        if not name:
            yield distribution
        elif (key := re.sub(r"[-_.]+", "-", name).lower()) not in seen:
            seen.add(key)
            try:
                yield metadata.distribution(name)
            except metadata.PackageNotFoundError:  # Its folder and its metadata disagree about its name.
                yield distribution


def _plain_claims(offer: Offer, kind: str) -> list[TaskEntry]:
    """A plain distribution's claims, each with the error of the whole distribution."""
    problem = _out_of_range(offer.name, offer.version, offer.requires)
    return [TaskEntry(point, offer.name, offer.version, value, problem, kind) for point, value in offer.points]


def _claims(distribution: Distribution, group: str, kind: str) -> list[TaskEntry]:
    """A distribution's claims in `group`, each with the error of the whole distribution."""
    fields = _fields(distribution)
    name, version = _field(fields, "Name") or "?", _field(fields, "Version") or "?"
    try:
        points = sorted({(point.name, point.value) for point in distribution.entry_points if point.group == group})
    except Exception as error:  # noqa: BLE001 - importlib.metadata lets any error of its parser through
        unreadable = f"{name} {version}: its entry_points.txt cannot be read ({type(error).__name__}): reinstall it."
        return [TaskEntry("?", name, version, "", unreadable, kind)]
    problem = _misfit(distribution, fields, name, version)
    return [TaskEntry(point, name, version, value, problem, kind) for point, value in points]


def _fields(distribution: Distribution) -> PackageMetadata | None:
    """A distribution's metadata, which is parsed again at each access, or None if it cannot be read."""
    try:
        return distribution.metadata
    except Exception:  # noqa: BLE001 - importlib.metadata lets any error of its parser through
        return None


def _field(fields: PackageMetadata | None, key: str) -> str | None:
    """A metadata field, or None if it is missing or unreadable, which the callers report in their own words."""
    try:
        return " ".join(str(fields[key]).split()) if fields is not None and key in fields else None
    except Exception:  # noqa: BLE001 - importlib.metadata lets any error of its parser through
        return None


def _misfit(distribution: Distribution, fields: PackageMetadata | None, name: str, version: str) -> str | None:
    """Why the distribution does not fit this core, or None. A distribution that states no range fits every core."""
    who = f"{name} {version}"
    if "?" in (name, version):
        return f"{who}: its metadata in {distribution.locate_file('')} lack name or version: reinstall it."
    try:
        # `requires` parses the metadata once more, and also looks in older places than METADATA.
        required = (fields.get_all("Requires-Dist") if fields is not None else None) or distribution.requires or ()
        stated = [str(text) for text in required]
    except Exception as error:  # noqa: BLE001 - importlib.metadata lets any error of its parser through
        return f"{who}: its metadata cannot be read ({type(error).__name__}): reinstall it."
    return _out_of_range(name, version, stated)


def _out_of_range(name: str, version: str, required: Sequence[str]) -> str | None:
    """Why this core is not among those that a distribution requires, or None."""
    who = f"{name} {version}"
    stated = [text for text in required if re.match(r"rrr[-_.]+core", text, re.IGNORECASE)]
    if all(_fits_plainly(text, rrr_core.__version__) for text in stated):
        return None
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    for text in stated:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            return (
                f"{who}: its metadata hold a malformed requirement {text!r}: reinstall it, or report it to its authors."
            )
        if canonicalize_name(requirement.name) != _CORE:
            continue
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        if not requirement.specifier.contains(rrr_core.__version__, prereleases=True):
            return (
                f"{who} needs {_CORE} {requirement.specifier}, and this is {_CORE} {rrr_core.__version__}: "
                f"install a release of {name} that fits this core, or a core that fits it."
            )
    return None


def _fits_plainly(text: str, version: str) -> bool:
    """Whether a requirement of the usual form admits a version; False for other forms, which packaging has to read.

    Importing packaging takes as long as everything else that finding a task does.

    >>> _fits_plainly("rrr-core>=0.1,<0.2", "0.1.0"), _fits_plainly("rrr-core<0.1.0", "0.1")
    (True, False)
    """
    plain = _PLAIN.fullmatch(text)
    if plain is None or re.fullmatch(_FINAL, version) is None:
        return False
    own = _release(version)
    for part in plain[1].split(","):
        bound = part.strip()
        if not (own >= _release(bound[2:]) if bound.startswith(">=") else own < _release(bound[1:])):
            return False
    return True


def _release(version: str) -> list[int]:
    """The numbers of a final version, without zeros at its end."""
    numbers = list(map(int, version.split(".")))
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers
