"""A model on the benchmarks, in the folder of its evaluation: one file for each of lm-eval's tasks, and the scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rrr_core.errors import DataError, ModelError, RrrError
from rrr_core.evaluation.forgetting.benchmarks import BENCHMARKS, Benchmark
from rrr_core.evaluation.forgetting.drawing import drawn
from rrr_core.evaluation.forgetting.harness import (
    Harness,
    Item,
    LmEval,
    MakeHarness,
    Subtask,
    installed_version,
)
from rrr_core.evaluation.forgetting.local_rows import Rows, digest_of_rows, read_local
from rrr_core.evaluation.forgetting.reading import MEASURE_AGAIN, read_items, read_scores
from rrr_core.evaluation.forgetting.settings import ForgettingSettings
from rrr_core.evaluation.statistics import wilson
from rrr_core.generation import ModelSettings
from rrr_core.progress import Progress
from rrr_core.records import OBJECT, Record
from rrr_core.runs.about import about_this_run
from rrr_core.runs.digests import Digests
from rrr_core.runs.files import read_json
from rrr_core.runs.layout import EvalFolder, ForgettingFolder
from rrr_core.runs.stage import note_in_manifest, open_stage, stage_lock
from rrr_core.text import counted


class Benchmarks:
    """The benchmarks of a call, which measures one model after another with one harness.

    Raises RrrError if lm-eval is not installed, and for local rows that cannot be used: all that can be known before a
    model is asked.
    """

    def __init__(self, settings: ForgettingSettings, make: MakeHarness = LmEval) -> None:
        self.settings, self.version = settings, installed_version()
        chosen = [BENCHMARKS[key] for key in settings.benchmarks]
        self._chosen = chosen
        self._rows: Mapping[str, Rows] = (
            {} if settings.data is None else {each.key: read_local(Path(settings.data), each) for each in chosen}
        )
        self._harness: Harness = make(settings, self._rows)
        self._subtasks: dict[str, Sequence[Subtask]] = {}

    def measure_again(self, like: ModelSettings, evaluation: EvalFolder, progress: Progress) -> Mapping[str, Any]:
        """Measure the model that an earlier call evaluated, loaded as `like`. Raises as `measure`."""
        identity = _identity_of(evaluation)
        found = identity["model"]
        adapter, base = found.get("adapter"), found.get("base", found.get("name"))
        if found.get("backend") == "server" or not isinstance(base, str):
            raise RrrError(
                f"{evaluation.path}: --forgetting needs the weights of the model evaluated there, and its manifest does"
                " not name them: compare with the model's own name."
            )
        model = replace(
            like,
            model=base,
            revision=found.get("revision"),
            adapter=adapter.get("name") if isinstance(adapter, dict) else None,
        )
        return self.measure(model, str(identity.get("label")), evaluation, progress)

    def measure(
        self, model: ModelSettings, label: str, evaluation: EvalFolder, progress: Progress | None = None
    ) -> Mapping[str, Any]:
        """Measure a model beside its evaluation, or resume: the content of its `scores.json`.

        Raises RrrError if it was measured with other settings, and ModelError for a model that cannot be loaded.
        """
        check_weights(model)
        files, progress = evaluation.forgetting, progress or Progress()
        with stage_lock(files.path, progress):
            identity = self._identity(label, _identity_of(evaluation)["model"])
            open_stage(files.path, "forgetting", identity, about_this_run())
            if files.scores.exists():
                return read_scores(files.scores)
            numbers = {each.key: self._numbers(each) for each in self._chosen}
            versions = {each.name: each.version for parts in self._subtasks.values() for each in parts}
            note_in_manifest(files.path, "tasks", versions)
            digests = Digests(files.path)
            found = {
                each.key: self._answers(model, label, each, numbers[each.key], digests, progress)
                for each in self._chosen
            }
            scores = {
                "label": label,
                "lm_eval": self.version,
                "tasks": versions,
                "seed": self.settings.seed,
                "benchmarks": {each.key: _score(each, found[each.key]) for each in self._chosen},
            }
            digests.settle(files.items(name) for parts in found.values() for name in parts)
            digests.write_json(files.scores, scores)
            return scores

    def _identity(self, label: str, model: Mapping[str, Any]) -> dict[str, Any]:
        settings = asdict(self.settings)
        settings["data"] = None if self.settings.data is None else digest_of_rows(self._rows)
        # As its evaluation has it: with the digest of its weights, so that a model trained again is another.
        return {"label": label, "model": dict(model), "settings": settings, "lm_eval": self.version}

    def _numbers(self, benchmark: Benchmark) -> dict[str, list[int]]:
        if benchmark.key not in self._subtasks:
            self._subtasks[benchmark.key] = self._harness.subtasks(benchmark)
        sizes = {each.name: each.size for each in self._subtasks[benchmark.key]}
        return drawn(sizes, self.settings.items, self.settings.seed)

    def _answers(
        self,
        model: ModelSettings,
        label: str,
        benchmark: Benchmark,
        numbers: Mapping[str, Sequence[int]],
        digests: Digests,
        progress: Progress,
    ) -> dict[str, Sequence[Item]]:
        files = ForgettingFolder(digests.folder)
        found: dict[str, Sequence[Item]] = {}
        for name, wanted in numbers.items():
            path = files.items(name)
            if path.exists():
                found[name] = read_items(path, digests)
            else:
                progress.say(f"Asking {label} {counted(len(wanted), 'item')} of {name}")
                found[name] = self._harness.ask(model, benchmark, name, wanted)
                digests.write_lines(path, map(asdict, found[name]))
            if [each.number for each in found[name]] != list(wanted):
                raise DataError(f"{path} holds other items than are drawn: delete it, and {MEASURE_AGAIN}")
        return found


def check_weights(model: ModelSettings) -> None:
    """Raise ModelError for a model behind a server."""
    if model.base_url:
        raise ModelError("--forgetting needs the model's weights, which a server keeps: name them with --model.")


def _identity_of(evaluation: EvalFolder) -> Mapping[str, Any]:
    """What an evaluation is of. Raises DataError for a damaged manifest."""
    manifest = Record(read_json(evaluation.manifest), f"{evaluation.manifest}:1", "a manifest")
    identity = Record(manifest.get("identity", OBJECT), manifest.place, "the identity")
    identity.get("model", OBJECT)
    return identity.values


def _score(benchmark: Benchmark, found: Mapping[str, Sequence[Item]]) -> dict[str, Any]:
    rights = [item.right for items in found.values() for item in items]
    return {
        "title": benchmark.title,
        "metric": benchmark.metric,
        "filter": benchmark.filter,
        "shots": benchmark.shots,
        "right": asdict(wilson(sum(rights), len(rights))),
        "parts": {
            name: {"passed": sum(item.right for item in items), "total": len(items)} for name, items in found.items()
        },
    }
