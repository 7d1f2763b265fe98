"""The map of a run folder: where each stage keeps which file. No other module joins these names.

    run.json                      what made the run, and the state of each stage
    mine/shard-NNNNN.jsonl        mined rows; summary.json once all are there
    train/metrics.jsonl           a line a step; beside it episodes.jsonl, refreshed-NNNNN.jsonl, checkpoint-N/, model/,
                                  and summary.json once training is finished
    eval/LABEL/MODE-NNNNN.jsonl   evaluated rows; figures.json once all are there
    eval/comparison.json          evaluated models beside each other
    report.html

Each stage's folder holds manifest.json, profile.json and .lock besides. docs/run-folders.md says what is in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

VANILLA, TRAINED = "vanilla", "trained"
"""Labels of the model before training and after it."""

STAGES = ("mine", "train", "eval")
"""The folders of a run that stages write, in the order of the work."""

MANIFEST, RUN_RECORD, PROFILE, LOCK = "manifest.json", "run.json", "profile.json", ".lock"
BOOKKEEPING = frozenset({MANIFEST, RUN_RECORD, PROFILE, LOCK})
"""Files that hold no work: a folder with nothing else in it is as good as new."""


@dataclass(frozen=True, slots=True)
class StageFolder:
    """What every stage's folder holds."""

    path: Path

    @property
    def manifest(self) -> Path:
        return self.path / MANIFEST

    @property
    def profile(self) -> Path:
        return self.path / PROFILE

    @property
    def lock(self) -> Path:
        return self.path / LOCK


class MineFolder(StageFolder):
    """A failure set."""

    def shard(self, number: int) -> Path:
        """The shard of that number, from 0."""
        return self.path / f"shard-{number:05d}.jsonl"

    def shards(self) -> list[Path]:
        """The shards that are there, in order."""
        return sorted(self.path.glob("shard-*.jsonl"))

    @property
    def summary(self) -> Path:
        """Written when all shards are there."""
        return self.path / "summary.json"


class TrainFolder(StageFolder):
    """A training run, or a warm-up."""

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def episodes(self) -> Path:
        return self.path / "episodes.jsonl"

    @property
    def summary(self) -> Path:
        """Written when training is finished."""
        return self.path / "summary.json"

    @property
    def model(self) -> Path:
        """The trained model, or its adapter."""
        return self.path / "model"

    def refreshed(self, step: int) -> Path:
        """The attempts that were found before the step after `step`."""
        return self.path / f"refreshed-{step:05d}.jsonl"

    def refreshes(self) -> dict[int, Path]:
        """Step → its refreshed attempts, of those that are there."""
        return {int(path.stem.partition("-")[2]): path for path in sorted(self.path.glob("refreshed-*.jsonl"))}

    def checkpoint(self, step: int) -> Path:
        """Where transformers keeps the checkpoint after `step`."""
        return self.path / f"checkpoint-{step}"

    def checkpoints(self) -> dict[int, Path]:
        """Step → its checkpoint, in the order of the steps."""
        found = {path.name.partition("-")[2]: path for path in self.path.glob("checkpoint-*")}
        return {step: found[str(step)] for step in sorted(int(text) for text in found if text.isdecimal())}


class EvalFolder(StageFolder):
    """The evaluation of one model."""

    def shard(self, mode: str, number: int) -> Path:
        """The shard of that number, from 0, in that mode."""
        return self.path / f"{mode}-{number:05d}.jsonl"

    def shards(self, mode: str) -> list[Path]:
        """The shards of a mode that are there, in order."""
        return sorted(self.path.glob(f"{mode}-*.jsonl"))

    def modes(self) -> dict[str, list[Path]]:
        """Mode → its shards, in order."""
        modes: dict[str, list[Path]] = {}
        for path in sorted(self.path.glob("*-*.jsonl")):
            modes.setdefault(path.stem.rpartition("-")[0], []).append(path)
        return dict(sorted(modes.items()))

    @property
    def figures(self) -> Path:
        """Written last: a folder without it holds an unfinished evaluation."""
        return self.path / "figures.json"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A whole run."""

    path: Path

    @property
    def record(self) -> Path:
        return self.path / RUN_RECORD

    @property
    def mine(self) -> MineFolder:
        return MineFolder(self.path / "mine")

    @property
    def train(self) -> TrainFolder:
        return TrainFolder(self.path / "train")

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def comparison(self) -> Path:
        return self.path / "eval" / "comparison.json"

    def evaluation(self, label: str) -> EvalFolder:
        """The evaluation of the model with that label."""
        return EvalFolder(self.path / "eval" / label)

    def evaluations(self) -> list[EvalFolder]:
        """The evaluations that are there, by their labels; the model before training first, then the trained one."""
        known = {VANILLA: 0, TRAINED: 1}
        folders = [path for path in (self.path / "eval").glob("*") if path.is_dir()]
        return [EvalFolder(path) for path in sorted(folders, key=lambda path: (known.get(path.name, 2), path.name))]

    def manifests(self) -> dict[str, Path]:
        """Stage, such as `eval/vanilla`, → its manifest, of those that are there; `run` is the whole run's record."""
        stages = [*self.path.glob(f"*/{MANIFEST}"), *self.path.glob(f"*/*/{MANIFEST}")]
        stages.sort(key=lambda path: (len(path.parts), path))
        found = {path.parent.relative_to(self.path).as_posix(): path for path in stages}
        return {"run": self.record, **found} if self.record.exists() else found

    def has_stage(self) -> bool:
        """Whether a stage's folder is there."""
        return any((self.path / stage).is_dir() for stage in STAGES)
