"""Reads run folders into one typed payload: everything the page shows, and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import rrr_core
from rrr_core.errors import DataError, RrrError
from rrr_core.evaluation.controls import read_evaluated
from rrr_core.evaluation.reading import read_comparison, read_figures
from rrr_core.mining.failure_set import read_summary
from rrr_core.mining.mined_row import MinedRow
from rrr_core.profiling.profile import read_profile
from rrr_core.records import Record
from rrr_core.report.curves import Curves, curves_of
from rrr_core.report.evidence import Evidence, evidence_of
from rrr_core.report.folders import Transfer, names_of, parts_of, transfers_of
from rrr_core.report.forgetting import Forgetting, forgetting_of
from rrr_core.report.manifests import without_this_page
from rrr_core.report.mined import Mined, mined_of
from rrr_core.report.selection import FIELDS, SEGMENT_FIELDS, FairSample, Texts, pack
from rrr_core.report.words import Words, words
from rrr_core.runs.digests import Digests
from rrr_core.runs.files import read_json, read_numbered_lines
from rrr_core.runs.layout import RunFolder, label_order, trained_on
from rrr_core.runs.metrics import read_metrics

EPISODES_SHOWN = {"evaluation": 400, "training": 800}
"""Most episodes of one set that a page embeds."""
EPISODE_BYTES = 3_600_000
"""Approximate size limit of all embedded episodes together."""

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
    mined: Mined | None
    curves: Curves | None
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
    words: Words
    runs: list[Run]
    transfers: list[Transfer]
    sets: list[EpisodeSet]
    fields: tuple[str, ...]
    segment_fields: tuple[str, ...]
    episodes: list[list[Any]]
    """Episodes as lists in the order of `fields`, with segments in the order of `segment_fields`."""
    texts: list[str]


@dataclass
class _Sample:
    """An episode set while it is read."""

    kind: str
    label: str
    mode: str
    sample: FairSample = field(init=False)

    def __post_init__(self) -> None:
        self.sample = FairSample(EPISODES_SHOWN[self.kind])


def read_runs(folders: Sequence[Path], say: Callable[[str], None] = lambda _: None) -> Payload:
    """The payload of the page on `folders`. `say` gets a line for each damaged file, which the page lists as well.

    Raises RrrError for a folder that is not a run.
    """
    if not folders:
        raise RrrError("report: no run folder was named; give one or more folders that `rrr run` made")
    named = list(zip(folders, names_of(folders), strict=True))
    read = [_Reader(*each, say).read() for folder, name in named for each in parts_of(folder, name)]
    count = sum(len(samples) for _, samples in read)
    texts, spent = Texts(), 0
    sets: list[EpisodeSet] = []
    episodes: list[list[Any]] = []
    for run_index, (_, samples) in enumerate(read):
        for sample in samples:
            budget = (EPISODE_BYTES - spent) // (count - len(sets))
            before = texts.size
            packed = pack(sample.sample.in_order(), len(sets), texts, budget)
            spent += texts.size - before + sum(7 * len(places) for places in packed)
            episodes += packed
            totals = sample.sample.totals
            sets.append(
                EpisodeSet(run_index, sample.kind, sample.label, sample.mode, totals.total(), len(packed), dict(totals))
            )
    return Payload(
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=rrr_core.__version__,
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


class _Reader:
    """Reads one run folder, or a task's part of one, and records what it could not read."""

    def __init__(self, files: RunFolder, name: str, say: Callable[[str], None]) -> None:
        self.folder, self.files, self.name = files.path, files, name
        self.missing: list[str] = []
        self._say = say

    def read(self) -> tuple[Run, list[_Sample]]:
        self._lost()
        manifests = self._manifests()
        mined = self._mined()
        curves = self._curves()
        figures = self._figures()
        comparison = self._comparison(figures)
        pairs = list(comparison.get("pairs") or [])
        noted = [note for record in (*figures.values(), comparison) for note in record.get("notes") or []]
        if self.files.whole == self.files.train.path.parent and curves is not None:
            noted.append("The training is of several tasks: its curves and its time are those of all of them.")
        samples = [*self._evaluated(figures), *self._trained()]
        run = Run(
            name=self.name,
            task=next((str(record["task"]) for record in figures.values() if record.get("task")), None),
            evidence=evidence_of(figures, pairs),
            figures=figures,
            pairs=pairs,
            forgetting=forgetting_of(self.files.evaluations(), comparison, self._read),
            mined=mined,
            curves=curves,
            profiles=self._profiles(),
            manifests=manifests,
            notes=list(dict.fromkeys(map(str, noted))),
            missing=self.missing,
        )
        return run, samples

    def _manifests(self) -> dict[str, Json]:
        manifests = {stage: self._object(path) for stage, path in self.files.manifests().items()}
        if not manifests:
            self.missing.append("No manifest: models, versions and seeds of this run are unknown.")
        return {stage: without_this_page(stage, manifest) for stage, manifest in manifests.items() if manifest}

    def _mined(self) -> Mined | None:
        shards = self.files.mine.shards()
        if not shards:
            self.missing.append("No failure set (mine/).")
            return None
        summary = self._read(self.files.mine.summary, read_summary) or {}
        if not summary:
            self.missing.append("Mining is unfinished: the failure set may still grow.")
        return mined_of(self._records(shards, MinedRow.from_json), summary.get("first_try_pass_rate"))

    def _curves(self) -> Curves | None:
        path = self.files.train.metrics
        if not path.exists():
            self.missing.append("No training curves (train/metrics.jsonl).")
            return None
        return curves_of(self._records([path], read_metrics))

    def _profiles(self) -> dict[str, Json]:
        stages = [self.files.mine, self.files.train, *self.files.evaluations()]
        profiles: dict[str, Json] = {}
        without = []
        for stage in (stage for stage in stages if stage.manifest.exists()):
            name = "train" if stage == self.files.train else stage.path.relative_to(self.folder).as_posix()
            try:
                spent = read_profile(stage.path)
            except DataError as error:
                self._note(str(error))
                continue
            if spent is None:
                without.append(name)
            else:
                profiles[name] = spent.to_json()
        if without:
            self.missing.append(f"No profile (profile.json) of {', '.join(without)}: where the time went is unknown.")
        return profiles

    def _figures(self) -> dict[str, Json]:
        figures = {}
        for evaluation in self.files.evaluations():
            record = self._read(evaluation.figures, read_figures)
            if record is not None:
                figures[str(record.get("label") or evaluation.path.name)] = record
        if not figures:
            self.missing.append("No finished evaluation (eval/*/figures.json).")
        # Of several trained models, the headline is about the last, so the one of the task's own is put there.
        own = trained_on(self.folder.name)
        return dict(sorted(figures.items(), key=lambda item: (item[0] == own, label_order(item[0]))))

    def _comparison(self, figures: Mapping[str, Json]) -> Json:
        comparison = self._read(self.files.comparison, read_comparison)
        if comparison is None and len(figures) > 1:
            self.missing.append("No comparison between models (eval/comparison.json): gains have no intervals.")
        return comparison or {}

    def _evaluated(self, figures: Mapping[str, Json]) -> Iterator[_Sample]:
        for evaluation in self.files.evaluations():
            record = self._quiet(evaluation.figures)
            label = str(record.get("label") or evaluation.path.name)
            by_mode = evaluation.modes()
            for mode, paths in by_mode.items():
                yield self._sample("evaluation", label, mode, paths)
            if by_mode and label not in figures:
                self.missing.append(f"The evaluation of “{label}” is unfinished: it has episodes but no figures.")

    def _trained(self) -> Iterator[_Sample]:
        path = self.files.train.episodes
        if path.exists():
            yield self._sample("training", "training", "", [path])
        elif self.files.train.path.exists():
            self.missing.append("No training episodes (train/episodes.jsonl).")

    def _sample(self, kind: str, label: str, mode: str, paths: Sequence[Path]) -> _Sample:
        sample = _Sample(kind, label, mode)
        for episode in self._records(paths, read_evaluated):
            if episode.task in (None, self.folder.name):
                sample.sample.add(episode)
        return sample

    def _records(self, paths: Sequence[Path], make: Callable[[Json, str], Any]) -> Iterator[Any]:
        """`make(line, place)` of each line. A broken line ends its file and is reported in `missing`."""
        for path in paths:
            self._compare(path)
            lines = read_numbered_lines(path)
            while True:
                try:
                    number, record = next(lines)
                    made = make(record, f"{path}:{number}")
                except StopIteration:
                    break
                except DataError as error:
                    self._note(str(error))
                    break
                yield made

    def _lost(self) -> None:
        """Report the files that were written and are there no more."""
        evaluated = self.files.evaluations()
        stages = [self.files.mine.path, self.files.train.path, *(each.path for each in evaluated)]
        stages += [each.forgetting.path for each in evaluated if each.forgetting.path.is_dir()]
        for folder in [*stages, self.files.comparison.parent]:
            try:
                lost = Digests(folder).lacking("")
            except DataError as error:
                self._report(str(error))
                continue
            for path in lost:
                self._report(f"{path} is missing, though it was written.")

    def _compare(self, path: Path) -> None:
        """Report a file that was changed since it was written. It is shown as it is."""
        try:
            Digests(path.parent).check(path, "it is shown as it is.")
        except DataError as error:
            self._report(str(error))

    def _read(self, path: Path, reader: Callable[[Path], Json]) -> Json | None:
        """What `reader` reads; None if there is no such file, or it is damaged, which is reported."""
        if not path.exists():
            return None
        try:
            return reader(path)
        except DataError as error:
            self._note(str(error))
            return None

    def _object(self, path: Path) -> Json | None:
        self._compare(path)
        return self._read(path, lambda path: Record(read_json(path), f"{path}:1", "a manifest").values)

    def _quiet(self, path: Path) -> Json:
        """The object in `path`, or an empty one; a broken file was already reported when it was first read."""
        try:
            record = read_json(path) if path.exists() else {}
        except DataError:
            return {}
        return record if isinstance(record, Mapping) else {}

    def _note(self, text: str) -> None:
        self._report(f"{text.rstrip('.')}; the rest of the file is not shown.")

    def _report(self, text: str) -> None:
        line = text.replace(f"{self.folder}/", "").replace(f"{self.files.whole or self.folder}/", "")
        if line not in self.missing:
            self.missing.append(line)
            self._say(f"{self.name}: {line}")
