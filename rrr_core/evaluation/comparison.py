"""Compares evaluated models on the same rows: paired differences and transitions for each pair."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from rrr_core.config.renamed import identity_of_today
from rrr_core.errors import DataError, RrrError
from rrr_core.evaluation.figures import WAYS
from rrr_core.evaluation.folder import read_episodes
from rrr_core.evaluation.forgetting.comparison import forgotten
from rrr_core.evaluation.outcomes import Outcomes, after_round, crossed, difference, outcomes
from rrr_core.evaluation.reading import FIGURES_AGAIN, read_figures
from rrr_core.evaluation.settings import MODES, EvalSettings
from rrr_core.runs.digests import Digests
from rrr_core.runs.files import read_json
from rrr_core.runs.layout import EvalFolder

PAIRED = {
    **{way.key: (way.key, way.key) for way in WAYS},
    "first_try_b_vs_second_try_a": ("second_try", "first_try"),
}
"""Name in `comparison.json` → (figure of model a, figure of model b); the difference is b - a. Rounds after the first
add `after_round(2)` and so on.

The last entry is the paper's striking claim: the trained model's (b) first try beats the untrained model's (a) second.
"""
_SHOWN = {True: "right", False: "wrong"}


@dataclass(frozen=True, slots=True)
class _Evaluated:
    """One evaluated model."""

    folder: Path
    figures: Mapping[str, Any]
    identity: Mapping[str, Any]
    rows: Mapping[str, Sequence[bytes]]
    """Mode → the digest of each row's content."""
    outcomes: Mapping[str, Sequence[Outcomes]]

    @property
    def label(self) -> str:
        return str(self.figures["label"])


def compare(folders: Sequence[Path], out: Path) -> dict[str, Any]:
    """Compare evaluated models, write the comparison to the file `out` and return it.

    In each pair the model given first is `a`, and differences are b - a, so pass the model before training first. A
    single folder gives a comparison without pairs. Raises RrrError if an evaluation is unfinished, if two share a
    label, or if two used different rows, naming both folders.
    """
    evaluated = [_read(Path(folder)) for folder in folders]
    if not evaluated:
        raise RrrError("There is nothing to compare: give at least one evaluation folder.")
    for a, b in combinations(evaluated, 2):
        if a.label == b.label:
            raise RrrError(
                f"{a.folder} and {b.folder} are both labelled {a.label!r}: evaluate one again with another --label."
            )
    pairs = [pair for a, b in combinations(evaluated, 2) for pair in _pairs(a, b)]
    comparison: dict[str, Any] = {
        "labels": [each.label for each in evaluated],
        "figures": {each.label: dict(each.figures) for each in evaluated},
        "pairs": pairs,
        "notes": [note for a, b in combinations(evaluated, 2) for note in _notes(a, b)],
    }
    if forgetting := forgotten({each.label: each.folder for each in evaluated}):
        comparison["forgetting"] = forgetting
    digests = Digests(Path(out).parent)
    digests.write_json(Path(out), comparison)
    digests.settle([Path(out)])
    return comparison


def _read(folder: Path) -> _Evaluated:
    files = EvalFolder(folder)
    if not files.figures.exists():
        if not folder.is_dir():
            raise RrrError(f"{folder} is not a folder.")
        raise RrrError(f"{folder} has no {files.figures.name}: the evaluation is unfinished, run it again to resume.")
    figures, manifest = read_figures(files.figures), read_json(files.manifest)
    Digests(folder).check(files.manifest, FIGURES_AGAIN)
    rows: dict[str, list[bytes]] = {}
    results: dict[str, list[Outcomes]] = {}
    for mode in (mode for mode in MODES if mode in figures["modes"]):
        rows[mode], results[mode] = [], []
        for episode in read_episodes(folder, mode):
            rows[mode].append(_digest(episode.row))
            results[mode].append(outcomes(episode, _rounds(figures["modes"][mode])))
        _check_counts(files, figures["modes"][mode], results[mode])
    identity = manifest.get("identity", {}) if isinstance(manifest, dict) else {}
    # Settings that are newer than an evaluation make no difference.
    identity = identity_of_today("eval", identity, {"settings": asdict(EvalSettings())})
    return _Evaluated(folder, figures, identity, rows, results)


def _rounds(figures: Mapping[str, Any]) -> int:
    """How many rounds a mode's figures have; one before there were several."""
    return len(figures.get("rounds") or [None])


def _check_counts(files: EvalFolder, figures: Mapping[str, Any], outcomes: Sequence[Outcomes]) -> None:
    """Raise DataError if the figures count other answers than the shards hold."""
    counted = {way.key: figures.get(way.key) for way in WAYS}
    counted |= {after_round(each["round"]): each["right"] for each in figures.get("rounds") or ()}
    for name, share in counted.items():
        judged = [right for each in outcomes if (right := each[name]) is not None]
        if share is not None and (share["passed"], share["total"]) != (sum(judged), len(judged)):
            raise DataError(
                f"{files.figures}:1: {name} has {share['passed']} of {share['total']} right, and the shards beside"
                f" it {sum(judged)} of {len(judged)}: {FIGURES_AGAIN}"
            )


def _pairs(a: _Evaluated, b: _Evaluated) -> Iterator[dict[str, Any]]:
    shared = [mode for mode in a.outcomes if mode in b.outcomes]
    if not shared:
        raise RrrError(
            f"{a.folder} was evaluated {' and '.join(a.outcomes)}, {b.folder} {' and '.join(b.outcomes)}: "
            "evaluate both in the same mode to compare them."
        )
    for mode in shared:
        _check_rows(a, b, mode)
        shares = [each.figures["modes"][mode] for each in (a, b)]
        # Round 1 is the second try.
        later = [after_round(number) for number in range(2, min(map(_rounds, shares)) + 1)]
        for figure, (of_a, of_b) in {**PAIRED, **{name: (name, name) for name in later}}.items():
            # A control that either model did not run cannot be paired.
            if figure in PAIRED and any(each.get(of) is None for each, of in zip(shares, (of_a, of_b), strict=True)):
                continue
            found = difference(a.outcomes[mode], of_a, b.outcomes[mode], of_b)
            table = crossed(a.outcomes[mode], of_a, b.outcomes[mode], of_b)
            yield {
                "a": a.label,
                "b": b.label,
                "mode": mode,
                "figure": figure,
                "difference": None if found is None else asdict(found),
                "transitions": {
                    f"{_SHOWN[before]}→{_SHOWN[after]}": table[before, after]
                    for before in (True, False)
                    for after in (True, False)
                },
            }


def _check_rows(a: _Evaluated, b: _Evaluated, mode: str) -> None:
    one, other = a.rows[mode], b.rows[mode]
    if one == other:
        return
    place = next((index for index, (x, y) in enumerate(zip(one, other, strict=False)) if x != y), None)
    what = f"{len(one)} and {len(other)} of them" if place is None else f"row {place} is not the same"
    raise RrrError(
        f"{a.folder} and {b.folder} were evaluated on different rows ({mode}: {what}): "
        "evaluate both with the same task, --data and --rows."
    )


def _notes(a: _Evaluated, b: _Evaluated) -> Iterator[str]:
    """What differs between two evaluations apart from the model."""
    for name in ("task", "settings"):
        one, other = a.identity.get(name) or {}, b.identity.get(name) or {}
        for key in dict.fromkeys([*one, *other]):
            if key != "shard_rows" and one.get(key) != other.get(key):
                yield (
                    f"{a.label} and {b.label} differ in {name}.{key}: "
                    f"{json.dumps(one.get(key))} and {json.dumps(other.get(key))}."
                )


def _digest(row: Mapping[str, Any]) -> bytes:
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).digest()
