"""Reads run folders into one typed payload: everything the page shows, and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import rrr_core
from rrr_core.errors import RrrError
from rrr_core.report.folders import names_of, parts_of, transfers_of
from rrr_core.report.payload import EpisodeSet, Payload, Run
from rrr_core.report.places import Places
from rrr_core.report.reader import Reader
from rrr_core.report.selection import FIELDS, SEGMENT_FIELDS, Texts, pack
from rrr_core.report.words import words

EPISODE_BYTES = 3_600_000
"""Approximate size limit of all embedded episodes together."""


def read_runs(
    folders: Sequence[Path], say: Callable[[str], None] = lambda _: None, live: float | None = None
) -> Payload:
    """The payload of the page on `folders`. `say` gets a line for each damaged file, which the page lists as well.

    `live` is set while the runs go on: what is not there yet is not missing, and the page loads itself again after so
    many seconds. Raises RrrError for a folder that is not a run.
    """
    if not folders:
        raise RrrError("report: no run folder was named; give one or more folders that `rrr run` made")
    named = list(zip(folders, names_of(folders), strict=True))
    places = Places(folders)
    parts = [each for folder, name in named for each in parts_of(folder, name)]
    read = [Reader(*each, places, say, is_live=live is not None).read() for each in parts]
    count = sum(len(samples) for _, samples in read)
    texts, spent = Texts(places.without_known), 0
    sets: list[EpisodeSet] = []
    episodes: list[list[Any]] = []
    for run_index, (_, samples) in enumerate(read):
        for sample in samples:
            budget = (EPISODE_BYTES - spent) // (count - len(sets))
            before = texts.size
            packed = pack(sample.sample.in_order(sample.wanted), len(sets), texts, budget)
            spent += texts.size - before + sum(7 * len(each) for each in packed)
            episodes += packed
            totals = sample.sample.totals
            sets.append(
                EpisodeSet(run_index, sample.kind, sample.label, sample.mode, totals.total(), len(packed), dict(totals))
            )
    return Payload(
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC" if live else "%Y-%m-%d %H:%M UTC"),
        version=rrr_core.__version__,
        live=live,
        words=words(max((_rounds(run) for run, _ in read), default=1)),
        runs=[run for run, _ in read],
        transfers=[each for folder, name in named for each in transfers_of(folder, name, say)],
        sets=sets,
        fields=FIELDS,
        segment_fields=SEGMENT_FIELDS,
        episodes=episodes,
        texts=texts.values,
    )


def _rounds(run: Run) -> int:
    """The most rounds in an evaluation of a run."""
    modes = (mode for figures in run.figures.values() for mode in figures["modes"].values())
    return max((len(mode.get("rounds") or ()) for mode in modes), default=1)
