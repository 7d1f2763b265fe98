"""The layout of a run folder: the paths of all files. No other module joins these names.

    run.json                      the settings of the run, and the state of each stage
    mine/shard-NNNNN.jsonl        mined rows; summary.json once all are there
    train/metrics.jsonl           one line per step; next to it episodes.jsonl, refreshed-NNNNN.jsonl, checkpoint-N/,
                                  model/, and summary.json once training is finished
    eval/LABEL/MODE-NNNNN.jsonl   evaluated rows; figures.json once all are there
    eval/LABEL/forgetting/        answers to general benchmarks, TASK.jsonl; scores.json once all are there
    eval/comparison.json          the comparison of the evaluated models
    report.html
    tasks/TASK/                   with several tasks, each one's mine/ and eval/; the rest is of all of them
    ../converted/                 beside the run's folder: GGUF models as safetensors, for all runs there
    trained/on-NAME/              where transfer is measured: each training, like train/; transfer.json is the matrix

Each stage's folder also holds manifest.json, SHA256SUMS, profile.json and .lock, and .claims while several processes
work at it. docs/run-folders.md describes what is in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

VANILLA, TRAINED = "vanilla", "trained"
"""Labels of the model before and after training."""

DEFAULT_RUNS = Path("runs")
"""Where a run's folder is if the user names none."""

STAGES = ("mine", "train", "eval")
"""The folders that the stages of a run write, in order."""

PARTS, TRAININGS = "tasks", "trained"
"""The folders of the parts of several tasks, and of the trainings that transfer is measured of."""

MANIFEST, RUN_RECORD, PROFILE, LOCK = "manifest.json", "run.json", "profile.json", ".lock"
CLAIMS = ".claims"
DIGESTS, PROFILE_ASIDE = "SHA256SUMS", "profile.damaged.json"
SHARD_PREFIX = "shard-"
BOOKKEEPING = frozenset({MANIFEST, RUN_RECORD, PROFILE, LOCK, DIGESTS, PROFILE_ASIDE})
"""Files that hold no results: a folder with nothing else in it counts as new."""


def converted_models(run: Path | None = None) -> Path:
    """Where GGUF models are converted to: beside the run's folder, where all runs there share them."""
    return (DEFAULT_RUNS if run is None else Path(run).parent) / "converted"


def label_order(label: str) -> tuple[int, str]:
    """What sorts evaluated models: the one before training first, then the trained one, then the others by name."""
    return {VANILLA: 0, TRAINED: 1}.get(label, 2), label


def trained_on(name: str, seed: int = 0) -> str:
    """The label of the model that was trained on a task, with the nth seed.

    >>> trained_on("countdown"), trained_on("countdown", 2)
    ('on-countdown', 'on-countdown-seed-2')
    """
    return f"on-{name}-seed-{seed}" if seed else f"on-{name}"


@dataclass(frozen=True, slots=True)
class StageFolder:
    """The files that every stage's folder holds."""

    path: Path

    @property
    def manifest(self) -> Path:
        return self.path / MANIFEST

    @property
    def profile(self) -> Path:
        return self.path / PROFILE

    @property
    def profile_aside(self) -> Path:
        """Where a profile that cannot be read is moved."""
        return self.path / PROFILE_ASIDE

    @property
    def digests(self) -> Path:
        """The SHA-256 of each file of results."""
        return self.path / DIGESTS

    @property
    def lock(self) -> Path:
        return self.path / LOCK

    @property
    def claims(self) -> ClaimsFolder:
        """Where several processes share the stage's work; there only while they do."""
        return ClaimsFolder(self.path / CLAIMS)


@dataclass(frozen=True, slots=True)
class ClaimsFolder:
    """Who works on which shard, and what was made and is not yet where it belongs."""

    path: Path

    def claim(self, name: str) -> Path:
        """The file that whoever works on a shard has locked."""
        return self.path / f"{name}.claim"

    def claims(self) -> list[Path]:
        """The existing claims."""
        return sorted(self.path.glob("*.claim"))

    def handed_in(self, name: str) -> Path:
        """What was made of a shard."""
        return self.path / f"{name}.jsonl"

    def all_handed_in(self) -> list[Path]:
        """All that was handed in."""
        return sorted(self.path.glob("[!.]*.jsonl"))

    def presence(self, rank: int) -> Path:
        """The file that a process at work has locked."""
        return self.path / f"process-{rank}"


class MineFolder(StageFolder):
    """A failure set."""

    def shard(self, number: int) -> Path:
        """The shard with this number, from 0."""
        return self.path / f"{SHARD_PREFIX}{number:05d}.jsonl"

    def shards(self) -> list[Path]:
        """The existing shards, in order."""
        return sorted(self.path.glob(f"{SHARD_PREFIX}*.jsonl"))

    @property
    def summary(self) -> Path:
        """Written once all shards are there."""
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
        """Written once training is finished."""
        return self.path / "summary.json"

    @property
    def model(self) -> Path:
        """The trained model, or its adapter."""
        return self.path / "model"

    def refreshed(self, step: int) -> Path:
        """The failing attempts sampled after `step`, before the next one."""
        return self.path / f"refreshed-{step:05d}.jsonl"

    def refreshes(self) -> dict[int, Path]:
        """Step → its refreshed attempts, for existing files."""
        return {int(path.stem.partition("-")[2]): path for path in sorted(self.path.glob("refreshed-*.jsonl"))}

    def checkpoint(self, step: int) -> Path:
        """The folder of the transformers checkpoint after `step`."""
        return self.path / f"checkpoint-{step}"

    def checkpoints(self) -> dict[int, Path]:
        """Step → its checkpoint, in step order."""
        found = {path.name.partition("-")[2]: path for path in self.path.glob("checkpoint-*")}
        return {step: found[str(step)] for step in sorted(int(text) for text in found if text.isdecimal())}


class ForgettingFolder(StageFolder):
    """What one model answers on general benchmarks."""

    def items(self, subtask: str) -> Path:
        """The answers to one of lm-eval's tasks."""
        return self.path / f"{subtask}.jsonl"

    @property
    def scores(self) -> Path:
        """Written last."""
        return self.path / "scores.json"


class EvalFolder(StageFolder):
    """The evaluation of one model."""

    @property
    def forgetting(self) -> ForgettingFolder:
        """The model on general benchmarks; there only if that was measured."""
        return ForgettingFolder(self.path / "forgetting")

    def shard(self, mode: str, number: int) -> Path:
        """The shard of a mode with this number, from 0."""
        return self.path / f"{mode}-{number:05d}.jsonl"

    def shards(self, mode: str) -> list[Path]:
        """The existing shards of a mode, in order."""
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
    """A whole run, or one task's part of it."""

    path: Path
    whole: Path | None = None
    """The folder of the run of several tasks that this is a part of, in which the training is."""

    @property
    def record(self) -> Path:
        return self.path / RUN_RECORD

    @property
    def mine(self) -> MineFolder:
        return MineFolder(self.path / "mine")

    @property
    def train(self) -> TrainFolder:
        if self.whole is None:
            return TrainFolder(self.path / "train")
        own = RunFolder(self.whole).training(trained_on(self.path.name))
        return own if own.path.is_dir() else RunFolder(self.whole).train

    def training(self, label: str) -> TrainFolder:
        """One of the trainings that transfer is measured of, by its label."""
        return TrainFolder(self.path / TRAININGS / label)

    def trainings(self) -> list[TrainFolder]:
        """The existing trainings that transfer is measured of, by label."""
        return [TrainFolder(path) for path in sorted((self.path / TRAININGS).glob("*")) if path.is_dir()]

    @property
    def transfer(self) -> Path:
        """What training on each task does on the others."""
        return self.path / "transfer.json"

    def of_task(self, name: str) -> RunFolder:
        """The part of one of several tasks."""
        return RunFolder(self.path / PARTS / name, self.path)

    def parts(self) -> list[RunFolder]:
        """The existing parts of a run of several tasks, by name; none for a run of one."""
        return [self.of_task(path.name) for path in sorted((self.path / PARTS).glob("*")) if path.is_dir()]

    def stage_folders(self, stage: str) -> list[Path]:
        """The folders in which the results of a stage (`mine`, `train` or `eval`) are."""
        folders = [folder.path / stage for folder in (self, *self.parts())]
        return [*folders, *(each.path for each in self.trainings())] if stage == "train" else folders

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def comparison(self) -> Path:
        return self.path / "eval" / "comparison.json"

    def evaluation(self, label: str) -> EvalFolder:
        """The evaluation of the model with this label."""
        return EvalFolder(self.path / "eval" / label)

    def evaluations(self) -> list[EvalFolder]:
        """The existing evaluations by label: the model before training first, then the trained one, then others."""
        folders = [path for path in (self.path / "eval").glob("*") if path.is_dir()]
        return [EvalFolder(path) for path in sorted(folders, key=lambda path: label_order(path.name))]

    def manifests(self) -> dict[str, Path]:
        """Stage, such as `eval/vanilla`, → its manifest, for existing files; `run` is the record of the whole run."""
        stages = [path for depth in ("*", "*/*", "eval/*/*") for path in self.path.glob(f"{depth}/{MANIFEST}")]
        stages.sort(key=lambda path: (len(path.parts), path))
        found = {path.parent.relative_to(self.path).as_posix(): path for path in stages}
        found |= {f"{TRAININGS}/{each.path.name}": each.manifest for each in self.trainings() if each.manifest.exists()}
        for part in self.parts():
            of_part = RunFolder(part.path).manifests()
            found |= {f"{PARTS}/{part.path.name}/{stage}": path for stage, path in of_part.items()}
        if self.whole is not None and self.train.manifest.exists():
            found["train"] = self.train.manifest
        record = RunFolder(self.whole or self.path).record
        return {"run": record, **found} if record.exists() else found

    def has_stage(self) -> bool:
        """Whether any stage's folder exists."""
        return any((self.path / stage).is_dir() for stage in STAGES) or bool(self.parts())
