"""The payload of the page: everything that it shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rrr_core.evaluation.anatomy import Anatomy
from rrr_core.report.convergence import Convergence
from rrr_core.report.curves import Curves
from rrr_core.report.evidence import Evidence
from rrr_core.report.folders import Transfer
from rrr_core.report.forgetting import Forgetting
from rrr_core.report.mined import Mined
from rrr_core.report.pairs import Pairs
from rrr_core.report.words import Words

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EpisodeSet:
    """The episodes of one model in one mode, or of training."""

    run: int
    kind: str
    """`evaluation` or `training`."""
    label: str
    mode: str
    total: int
    shown: int
    transitions: dict[str, int]
    """Kind of transition → how many of the `total` episodes."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run folder."""

    name: str
    task: str | None
    evidence: Evidence
    figures: dict[str, Json]
    """Label → figures.json."""
    pairs: list[Json]
    """Paired differences between models, from comparison.json."""
    forgetting: Forgetting | None
    pairs_shown: dict[str, Pairs]
    """Mode → rows that the model before training and the trained one both failed at first."""
    anatomy: dict[str, dict[str, Anatomy]]
    """Mode → label → the kinds of its reflections."""
    mined: Mined | None
    curves: Curves | None
    convergence: Convergence | None
    profiles: dict[str, Json]
    """Stage → its profile, as written by `rrr_core.profiling.spent.Spent`."""
    manifests: dict[str, Json]
    """Stage → its manifest."""
    notes: list[str]
    """What a reader must know to interpret the figures."""
    missing: list[str]
    """What is missing or broken in the folder, one sentence each."""


@dataclass(frozen=True, slots=True)
class Payload:
    """Everything on the page."""

    written: str
    version: str
    live: float | None
    """Seconds after which the page loads itself again, while the run goes on; None for a page that is final."""
    words: Words
    runs: list[Run]
    transfers: list[Transfer]
    sets: list[EpisodeSet]
    fields: tuple[str, ...]
    segment_fields: tuple[str, ...]
    episodes: list[list[Any]]
    """Episodes as lists in the order of `fields`, with segments in the order of `segment_fields`."""
    texts: list[str]
