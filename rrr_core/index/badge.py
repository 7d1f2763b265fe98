"""A badge: what `rrr check` found of one version of a package, with a digest over all that it says.

The digest shows that a badge was changed. It is no signature: whoever can write the file can write a digest that fits,
so what a badge claims is proved only by `rrr check` run again on the package whose files it names.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rrr_core.text import shown

FORMAT = 1
"""The value of `rrr_badge`, which marks a badge."""
MARK, DIGEST = "rrr_badge", "digest"
LONGEST = 500
"""Characters of a text in a badge or an index."""
SANDBOXED, TRUSTED, NONE = ISOLATIONS = ("sandboxed", "trusted", "none")
"""`trusted`: the verifier is marked so, and runs in the core's own process unless the user says otherwise."""

HOSTILE = "check_hostile_answers_do_no_harm"


@dataclass(frozen=True, slots=True)
class Badge:
    """What was checked, and what was found."""

    task: str
    package: str
    version: str
    core: str
    """The version of rrr-core that checked."""
    summary: str = ""
    source: str = ""
    """Where the rows come from, as the task's manifest says; so is `revision`."""
    revision: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    """The `--data` options that were given."""
    overlays: tuple[str, ...] = ()
    rows: int = 0
    """Rows of each split that were prompted and judged."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """State → the number of checks in it."""
    not_passed: tuple[str, ...] = ()
    """The checks that failed or could not be judged."""
    mutation_score: float | None = None
    """The share of changed gold answers that failed; None without gold answers."""
    mutants: int = 0
    hostile_answers: int = 0
    """Hostile answers that were judged, all refused unless HOSTILE is in `not_passed`."""
    isolation: str = NONE
    protections: tuple[str, ...] = ()
    """What a sandboxed verifier was kept from on the machine that checked."""
    files: str = ""
    """The SHA-256 of the package's files (`rrr_core.index.installed.files_digest`)."""

    @property
    def who(self) -> str:
        return f"{self.package} {self.version}"

    @property
    def ran(self) -> int:
        """The checks that applied: all but the skipped ones."""
        return sum(count for state, count in self.counts.items() if state != "skipped")

    @property
    def sound(self) -> bool:
        """Whether every check that applied passed."""
        return 0 < self.ran == self.counts.get("passed", 0)

    @property
    def hostile(self) -> str:
        """What became of the hostile answers: `420 refused`, `not refused`, or `not judged`."""
        if HOSTILE in self.not_passed:
            return "not refused"
        return f"{self.hostile_answers:,} refused" if self.hostile_answers else "not judged"

    @property
    def score(self) -> tuple[str, str, str, str]:
        """The four figures of trust in words: checks, mutants, hostile answers, isolation.

        >>> Badge("sums", "rrr-sums", "1.0", "0.1", counts={"passed": 27, "skipped": 4}, isolation="sandboxed").score
        ('27/27 checks', 'no mutants', 'hostile answers not judged', 'sandboxed')
        """
        mutants = "no mutants" if self.mutation_score is None else f"{self.mutation_score:.1%} of mutants refused"
        isolation = "no sandbox" if self.isolation == NONE else self.isolation
        return (
            f"{self.counts.get('passed', 0)}/{self.ran} checks",
            mutants,
            f"hostile answers {self.hostile}",
            isolation,
        )

    def to_json(self) -> dict[str, Any]:
        """The badge as a JSON object, its digest included."""
        content = {MARK: FORMAT, **json.loads(json.dumps(asdict(self)))}
        return {**content, DIGEST: digest_of(content)}


def digest_of(content: Mapping[str, Any]) -> str:
    """The digest of a badge's content: SHA-256 over its JSON with sorted keys, without the digest itself."""
    kept = {key: value for key, value in content.items() if key != DIGEST}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def badge_from(value: Any) -> Badge:
    """The badge in a JSON value. Raises ValueError for what is none, and if its digest does not fit its content."""
    if not isinstance(value, dict) or value.get(MARK) != FORMAT:
        raise ValueError(f'it has no "{MARK}": {FORMAT}')
    if value.get(DIGEST) != digest_of(value):
        raise ValueError("its digest does not fit its content: it was changed after `rrr check --badge` wrote it")
    badge = Badge(
        task=text(value, "task"),
        package=text(value, "package"),
        version=text(value, "version"),
        core=text(value, "core"),
        summary=text(value, "summary", ""),
        source=text(value, "source", ""),
        revision=text(value, "revision", ""),
        data={key: text(mapping(value, "data"), key) for key in mapping(value, "data")},
        counts={key: whole(mapping(value, "counts"), key) for key in mapping(value, "counts")},
        overlays=tuple(listed(value, "overlays")),
        rows=whole(value, "rows"),
        not_passed=tuple(listed(value, "not_passed")),
        mutation_score=_share(value, "mutation_score"),
        mutants=whole(value, "mutants"),
        hostile_answers=whole(value, "hostile_answers"),
        isolation=text(value, "isolation"),
        protections=tuple(listed(value, "protections")),
        files=text(value, "files", ""),
    )
    if badge.isolation not in ISOLATIONS:
        raise ValueError(f"isolation is {shown(badge.isolation)}, not one of {', '.join(ISOLATIONS)}")
    return badge


def text(value: Mapping[str, Any], key: str, default: str | None = None) -> str:
    """A text of an object, of at most LONGEST characters. Raises ValueError."""
    found = value.get(key, default)
    if not isinstance(found, str) or len(found) > LONGEST or (not found.strip() and default is None):
        raise ValueError(f"{shown(key)} must be a text of at most {LONGEST} characters, and is {shown(found)}")
    return found


def listed(value: Mapping[str, Any], key: str) -> list[str]:
    """A list of texts of an object. Raises ValueError."""
    found = value.get(key, [])
    if not isinstance(found, list) or not all(isinstance(each, str) and len(each) <= LONGEST for each in found):
        raise ValueError(f"{shown(key)} must be a list of texts, and is {shown(found)}")
    return found


def mapping(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    """An object within an object. Raises ValueError."""
    found = value.get(key, {})
    if not isinstance(found, dict):
        raise ValueError(f"{shown(key)} must be an object, and is {shown(found)}")
    return found


def whole(value: Mapping[str, Any], key: str) -> int:
    """A count of an object. Raises ValueError."""
    found = value.get(key, 0)
    if type(found) is not int or not 0 <= found < 10**9:
        raise ValueError(f"{shown(key)} must be a count, and is {shown(found)}")
    return found


def _share(value: Mapping[str, Any], key: str) -> float | None:
    found = value.get(key)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not (math.isfinite(found) and 0 <= found <= 1):
        raise ValueError(f"{shown(key)} must be a number from 0 to 1, and is {shown(found)}")
    return float(found)
