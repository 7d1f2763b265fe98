"""Checkpoints that survive a kill and are not trusted blindly: each is sealed, and a damaged one is passed over.

A checkpoint counts once its seal is written, last of all. The seal holds size and SHA-256 of every file, and of what
the journals beside it held. The seals of older versions hold a step alone: their checkpoints are checked as far as
they can be without it.
"""

from __future__ import annotations

import pickle
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_pt_utils import safe_globals

from rrr_core.errors import DataError, RrrError
from rrr_core.records import COUNT, LIST, OBJECT, TEXT, Record
from rrr_core.runs.digests import CHANGED, digest_of
from rrr_core.runs.files import explained, read_json, write_json
from rrr_core.runs.layout import TrainFolder
from rrr_core.text import one_line
from rrr_core.verdicts import Verdict, abstained

SEAL, MARK = "complete.json", "incomplete"
"""The file that is written last into a checkpoint, and the one that is there from the first moment until then."""
STATE = "trainer_state.json"
LOADED = (".safetensors", ".pt", ".pth", ".bin")
"""Suffixes of what transformers loads from a checkpoint."""
NEEDED = (
    ("model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors"),
    ("optimizer.pt", "optimizer.bin"),
    ("scheduler.pt",),
    ("rng_state.pth", "rng_state_0.pth"),
)
"""What resuming needs, each under one of these names."""
DRAWS = "by place in the batch"
"""What a manifest says of the seeds of training's texts: on any number of processes they are those of one."""
UNUSED = "training_args.bin"
"""Written by transformers and never loaded."""


class Kept(Protocol):
    """A file beside the checkpoints that grows with each step."""

    path: Path

    def digest(self) -> tuple[int, str]:
        """Its bytes, and their SHA-256."""


class Judged(Protocol):
    """What counts verdicts."""

    def counts(self) -> dict[str, tuple[int, Counter[Verdict]]]:
        """Task, empty if it is the only one → its verdicts, and those that were withheld."""


@dataclass(frozen=True, slots=True)
class Seal:
    """What a seal says."""

    step: int
    files: dict[str, tuple[int, str]] | None
    """File → its bytes and SHA-256; None in the seal of an older version."""
    journals: dict[str, tuple[int, str]]
    """Journal → its bytes when the checkpoint was written, and their SHA-256."""
    verdicts: dict[str, tuple[int, tuple[Verdict, ...]]]
    """Task, empty if it is the only one → its verdicts until then, and those that were withheld."""

    @classmethod
    def read(cls, checkpoint: Path) -> Seal:
        """The seal of a checkpoint. Raises DataError."""
        path = checkpoint / SEAL
        fields = Record(read_json(path), f"{path}:1", "a checkpoint's seal")
        files = fields.get("files", OBJECT, None)
        verdicts = fields.get("verdicts", OBJECT, {})
        of_tasks = Record(verdicts, fields.place, "the seal's 'verdicts'").get("tasks", OBJECT, {"": verdicts})
        return cls(
            fields.get("step", COUNT),
            None if files is None else _sums(files, path),
            _sums(fields.get("journals", OBJECT, {}), path),
            {task: _verdicts(each, fields.place) for task, each in of_tasks.items()},
        )


def _verdicts(record: Any, place: str) -> tuple[int, tuple[Verdict, ...]]:
    """How many verdicts there were, and those that were withheld."""
    verdicts = Record(record, place, "the seal's 'verdicts'")
    withheld = [Record(each, place, "a withheld verdict") for each in verdicts.get("withheld", LIST, ())]
    return verdicts.get("judged", COUNT, 0), tuple(
        abstained(each.get("category", TEXT), each.get("detail", TEXT))
        for each in withheld
        for _ in range(each.get("times", COUNT))
    )


def _sums(files: dict[str, Any], path: Path) -> dict[str, tuple[int, str]]:
    fields = {name: Record(each, f"{path}:1", f"the seal's {name!r}") for name, each in files.items()}
    return {name: (each.get("bytes", COUNT), each.get("sha256", TEXT)) for name, each in fields.items()}


class SealCheckpoints(TrainerCallback):  # type: ignore[misc]
    """Seals each checkpoint once all its other files are on disk, and then deletes those that are too old to keep."""

    def __init__(self, keep: int, journals: Sequence[Kept] = (), judges: Judged | None = None) -> None:
        self.keep, self.journals, self.judges = keep, journals, judges

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if control.should_save and state.is_world_process_zero:
            checkpoint = TrainFolder(Path(args.output_dir)).checkpoint(state.global_step)
            with explained(checkpoint):
                if is_ours(checkpoint):  # A damaged one that was passed over.
                    shutil.rmtree(checkpoint)
                checkpoint.mkdir(parents=True, exist_ok=True)
                (checkpoint / MARK).touch()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.barrier()  # Each process writes its own random state.
        if not state.is_world_process_zero:
            return
        folder = TrainFolder(Path(args.output_dir))
        seal(folder.checkpoint(state.global_step), state.global_step, self.journals, self.judges)
        sealed = [path for step, path in folder.checkpoints().items() if step <= state.global_step and is_ours(path)]
        for old in sealed[: -self.keep]:
            shutil.rmtree(old)


def seal(checkpoint: Path, step: int, journals: Sequence[Kept] = (), judges: Judged | None = None) -> None:
    """Write the seal of a whole checkpoint."""
    files = {
        path.relative_to(checkpoint).as_posix(): (path.stat().st_size, digest_of(path)) for path in _files(checkpoint)
    }
    kept = {journal.path.name: journal.digest() for journal in journals}
    sums = [
        {name: {"bytes": size, "sha256": digest} for name, (size, digest) in each.items()} for each in (files, kept)
    ]
    counts = {
        task: {
            "judged": judged,
            "withheld": [{**verdict.to_json(), "times": times} for verdict, times in withheld.items()],
        }
        for task, (judged, withheld) in (judges.counts() if judges else {"": (0, Counter[Verdict]())}).items()
    }
    verdicts = counts.get("", {"tasks": counts})
    write_json(checkpoint / SEAL, {"step": step, "files": sums[0], "journals": sums[1], "verdicts": verdicts})
    (checkpoint / MARK).unlink(missing_ok=True)


def _files(checkpoint: Path) -> Iterator[Path]:
    return (path for path in sorted(checkpoint.rglob("*")) if path.is_file() and path.name not in (SEAL, MARK))


def is_ours(checkpoint: Path) -> bool:
    """Whether this run wrote the folder: a copy of another checkpoint says another step, and one by hand says none."""
    if checkpoint.is_symlink() or not checkpoint.is_dir():
        return False
    if (checkpoint / MARK).exists():
        return True
    if not (checkpoint / SEAL).exists():
        return False
    try:
        found = read_json(checkpoint / SEAL)
    except DataError:
        return True
    step = found.get("step") if isinstance(found, dict) else None
    return step is None or TrainFolder(checkpoint.parent).checkpoint(step) == checkpoint


def newest_checkpoint(
    folder: Path, due: Container[int] = (), say: Callable[[str], None] = lambda _: None, writes: bool = True
) -> tuple[int, Path | None]:
    """The step of the newest sound checkpoint, and its folder; 0 and None if there is none.

    `say` gets one line for each damaged checkpoint that is passed over. Removes what a killed run was still writing,
    if `writes`, and touches no folder that the run did not make.
    Raises DataError if there are checkpoints and none is sound, and RrrError for something else in the place of a
    checkpoint that is `due`.
    """
    damaged: list[DataError] = []
    newest: tuple[int, Path | None] = (0, None)
    for step, checkpoint in reversed(TrainFolder(folder).checkpoints().items()):
        if not is_ours(checkpoint):
            if step in due and not _is_free(checkpoint):
                raise RrrError(
                    f"{checkpoint} is not a checkpoint that this run wrote to its end, and it will write one there:"
                    " move or delete it, and run the same command again."
                )
        elif not (checkpoint / SEAL).exists():
            if writes:
                shutil.rmtree(checkpoint)
        elif newest[1] is None:
            try:
                check(checkpoint, step)
            except DataError as error:
                damaged.append(error)
            else:
                newest = step, checkpoint
    if newest[1] is not None:
        for fault in damaged:
            say(f"{fault} Resuming from {newest[1].name} before it.")
    elif damaged:
        raise DataError(
            f"{damaged[0]} No sound checkpoint is before it: restore the file, or delete the folder {folder} and run"
            " the same command again to train from the start."
        )
    return newest


def _is_free(checkpoint: Path) -> bool:
    return checkpoint.is_dir() and not checkpoint.is_symlink() and not any(checkpoint.iterdir())


def check_draws(files: TrainFolder, checkpoint: Path) -> None:
    """Raise RrrError for a checkpoint of an older version's run on several processes, whose texts were others."""
    manifest = read_json(files.manifest)
    about = manifest.get("about") if isinstance(manifest, dict) else None
    if (about or {}).get("draws") != DRAWS and (checkpoint / "rng_state_0.pth").exists():
        raise RrrError(
            f"{files.path} was started on several processes by an older version, whose texts depended on their number:"
            " use another folder, or finish it with that version."
        )


def check(checkpoint: Path, step: int) -> None:
    """Raise DataError, naming the file, if a sealed checkpoint is not as it was written."""
    found = Seal.read(checkpoint)
    if found.files is None:
        _check_unsummed(checkpoint, step)
        return
    for name, (size, digest) in found.files.items():
        if name != UNUSED:
            _check_file(checkpoint / name, size, digest)
    for path in _files(checkpoint):
        if path.suffix in LOADED and path.relative_to(checkpoint).as_posix() not in found.files:
            raise DataError(f"{path} is not a file that rrr wrote.")
    for name, (size, digest) in found.journals.items():
        _check_beginning(checkpoint.parent / name, size, digest)


def _check_file(path: Path, size: int, digest: str) -> None:
    if not path.is_file():
        raise DataError(f"{path} is missing.")
    if (now := path.stat().st_size) != size:
        raise DataError(f"{path} has {now:,} bytes, and rrr wrote {size:,}.")
    if digest_of(path) != digest:
        raise DataError(f"{path} {CHANGED}.")


def _check_beginning(path: Path, size: int, digest: str) -> None:
    """Check a journal up to where it was when the checkpoint was written."""
    if not path.exists():
        raise DataError(f"{path} is missing.")
    if digest_of(path, size) != digest:
        raise DataError(f"{path} {CHANGED}.")


def _check_unsummed(checkpoint: Path, step: int) -> None:
    """Check a checkpoint whose seal has no digests: everything that resuming needs is there and can be read."""
    state = checkpoint / STATE
    if Record(read_json(state), f"{state}:1", "a trainer's state").get("global_step", COUNT) != step:
        raise DataError(f"{state}:1: the state of another step than {step}.")
    known = {name for names in NEEDED for name in names}
    # DeepSpeed and FSDP keep them in folders of their own.
    if not any(path.is_dir() and path.name not in known for path in checkpoint.iterdir()):
        for names in NEEDED:
            if not any((checkpoint / name).is_file() for name in names):
                raise DataError(f"{checkpoint / names[0]} is missing.")
    for path in _files(checkpoint):
        if path.suffix in LOADED and path.name != UNUSED:
            _check_tensors(path)


def _check_tensors(path: Path) -> None:
    """Raise DataError for a file that holds anything but tensors and plain values. Nothing of it is ever run."""
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt"):
                return
        with zipfile.ZipFile(path) as parts:
            if (bad := parts.testzip()) is not None:
                raise DataError(f"{path} is damaged at {bad!r}.")
        with safe_globals():
            torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise DataError(f"{path} holds something else than tensors, and is not loaded.") from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, SafetensorError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read: {one_line(error)[:200]}.") from None
