"""Reads one run folder, or a task's part of one: what it holds, and what is missing or broken in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rrr_core.episode import Episode
from rrr_core.errors import DataError
from rrr_core.evaluation.anatomy import Anatomy, AnatomyCounter
from rrr_core.evaluation.controls import read_evaluated
from rrr_core.evaluation.reading import read_comparison, read_figures
from rrr_core.mining.failure_set import read_summary
from rrr_core.mining.mined_row import MinedRow
from rrr_core.profiling.profile import read_profile
from rrr_core.records import Record
from rrr_core.report.convergence import convergence_of
from rrr_core.report.curves import Curves, curves_of
from rrr_core.report.evidence import evidence_of
from rrr_core.report.forgetting import forgetting_of
from rrr_core.report.manifests import samples_per_step, without_this_page
from rrr_core.report.mined import Mined, mined_of
from rrr_core.report.pairs import Pairs, Retried, rows_of
from rrr_core.report.payload import Json, Run
from rrr_core.report.places import Places
from rrr_core.report.selection import FairSample
from rrr_core.runs.digests import Digests
from rrr_core.runs.files import read_json, read_numbered_lines
from rrr_core.runs.layout import RunFolder, label_order, trained_on
from rrr_core.runs.metrics import read_metrics

EPISODES_SHOWN = {"evaluation": 400, "training": 800}
"""Most episodes of one set that a page embeds."""


@dataclass
class Sample:
    """An episode set while it is read."""

    kind: str
    label: str
    mode: str
    sample: FairSample = field(init=False)
    wanted: list[int] = field(default_factory=list)
    """The rows to show first."""
    retried: Retried = field(default_factory=Retried)
    anatomy: AnatomyCounter = field(default_factory=AnatomyCounter)

    def __post_init__(self) -> None:
        self.sample = FairSample(EPISODES_SHOWN[self.kind])

    def add(self, episode: Episode) -> None:
        self.sample.add(episode)
        if self.kind == "evaluation":
            self.retried.add(episode)
            self.anatomy.add(episode)


def _by_mode(samples: Iterable[Sample]) -> dict[str, dict[str, Sample]]:
    """Mode → label → the episodes of an evaluation."""
    found: dict[str, dict[str, Sample]] = {}
    for each in samples:
        if each.kind == "evaluation":
            found.setdefault(each.mode, {})[each.label] = each
    return found


def _pairs(samples: Sequence[Sample], baseline: str | None, trained: str | None) -> dict[str, Pairs]:
    """Mode → the pairs of the two models, whose rows are then shown first."""
    found = {}
    for mode, of in _by_mode(samples).items():
        if baseline not in of or trained not in of:
            continue
        before, after = of[baseline], of[trained]
        pairs = before.retried.paired(after.retried, set(before.sample.rows()) & set(after.sample.rows()))
        if pairs is not None:
            found[mode] = pairs
            before.wanted = after.wanted = rows_of(pairs)
    return found


def _anatomy(samples: Sequence[Sample]) -> dict[str, dict[str, Anatomy]]:
    counted = {
        mode: {label: each.anatomy.figures() for label, each in of.items()} for mode, of in _by_mode(samples).items()
    }
    return {mode: {label: each for label, each in of.items() if each is not None} for mode, of in counted.items()}


class Reader:
    """Reads one run folder, or a task's part of one, and records what it could not read."""

    def __init__(
        self, files: RunFolder, name: str, places: Places, say: Callable[[str], None], *, is_live: bool = False
    ) -> None:
        self.folder, self.files, self.name = files.path, files, name
        self.missing: list[str] = []
        self._places = places
        self._say = say
        self._is_live = is_live
        """Whether the run goes on: what is not there may still come, and the last line of a file may be half."""

    def read(self) -> tuple[Run, list[Sample]]:
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
        evaluated = dict.fromkeys(each.label for each in samples if each.kind == "evaluation")
        evidence = evidence_of(figures, pairs, [label for label in evaluated if label not in figures])
        shown = self._places.without_any
        run = Run(
            name=self.name,
            task=next((str(record["task"]) for record in figures.values() if record.get("task")), None),
            evidence=evidence,
            figures=shown(figures),
            pairs=shown(pairs),
            forgetting=forgetting_of(self.files.evaluations(), comparison, self._read),
            pairs_shown=_pairs(samples, evidence.baseline, evidence.trained),
            anatomy=_anatomy(samples),
            mined=mined,
            curves=curves,
            convergence=convergence_of(curves, samples_per_step(manifests)),
            profiles=self._profiles(),
            manifests=manifests,
            notes=list(dict.fromkeys(map(self._places.without, map(str, noted)))),
            missing=self.missing,
        )
        return run, samples

    def _manifests(self) -> dict[str, Json]:
        manifests = {stage: self._object(path) for stage, path in self.files.manifests().items()}
        if not manifests:
            self._lacks("No manifest: models, versions and seeds of this run are unknown.")
        return {
            stage: without_this_page(stage, manifest, self._places) for stage, manifest in manifests.items() if manifest
        }

    def _mined(self) -> Mined | None:
        shards = self.files.mine.shards()
        if not shards:
            self._lacks("No failure set (mine/).")
            return None
        summary = self._read(self.files.mine.summary, read_summary) or {}
        if not summary:
            self._lacks("Mining is unfinished: the failure set may still grow.")
        return mined_of(self._records(shards, MinedRow.from_json), summary.get("first_try_pass_rate"))

    def _curves(self) -> Curves | None:
        path = self.files.train.metrics
        if not path.exists():
            self._lacks("No training curves (train/metrics.jsonl).")
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
            self._lacks(f"No profile (profile.json) of {', '.join(without)}: where the time went is unknown.")
        return profiles

    def _figures(self) -> dict[str, Json]:
        figures = {}
        for evaluation in self.files.evaluations():
            record = self._read(evaluation.figures, read_figures)
            if record is not None:
                figures[str(record.get("label") or evaluation.path.name)] = record
        if not figures:
            self._lacks("No finished evaluation (eval/*/figures.json).")
        # Of several trained models, the headline is about the last, so the one of the task's own is put there.
        own = trained_on(self.folder.name)
        return dict(sorted(figures.items(), key=lambda item: (item[0] == own, label_order(item[0]))))

    def _comparison(self, figures: Mapping[str, Json]) -> Json:
        comparison = self._read(self.files.comparison, read_comparison)
        if comparison is None and len(figures) > 1:
            self._lacks("No comparison between models (eval/comparison.json): gains have no intervals.")
        return comparison or {}

    def _evaluated(self, figures: Mapping[str, Json]) -> Iterator[Sample]:
        for evaluation in self.files.evaluations():
            record = self._quiet(evaluation.figures)
            label = str(record.get("label") or evaluation.path.name)
            by_mode = evaluation.modes()
            for mode, paths in by_mode.items():
                yield self._sample("evaluation", label, mode, paths)
            if by_mode and label not in figures:
                self._lacks(f"The evaluation of “{label}” is unfinished: it has episodes but no figures.")

    def _trained(self) -> Iterator[Sample]:
        path = self.files.train.episodes
        if path.exists():
            yield self._sample("training", "training", "", [path])
        elif self.files.train.path.exists():
            self._lacks("No training episodes (train/episodes.jsonl).")

    def _sample(self, kind: str, label: str, mode: str, paths: Sequence[Path]) -> Sample:
        sample = Sample(kind, label, mode)
        for episode in self._records(paths, read_evaluated):
            if episode.task in (None, self.folder.name):
                sample.add(episode)
        return sample

    def _records(self, paths: Sequence[Path], make: Callable[[Json, str], Any]) -> Iterator[Any]:
        """`make(line, place)` of each line. A broken line ends its file and is reported in `missing`."""
        for path in paths:
            self._compare(path)
            lines = read_numbered_lines(path, may_end_early=self._is_live)
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
        if self._is_live:
            return
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
        if self._is_live:
            return
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

    def _lacks(self, text: str) -> None:
        """Note what is not there; while the run goes on, it may still come."""
        if not self._is_live:
            self.missing.append(text)

    def _report(self, text: str) -> None:
        line = text.replace(f"{self.folder}/", "").replace(f"{self.files.whole or self.folder}/", "")
        line = self._places.without(line)
        if line not in self.missing:
            self.missing.append(line)
            self._say(f"{self.name}: {line}")
