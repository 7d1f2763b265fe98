"""Checkpoints that can be trusted after a kill: one counts only once it is sealed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rrr_core.runs import write_json

SEAL = "complete.json"


class SealCheckpoints(TrainerCallback):  # type: ignore[misc]
    """Writes a seal into each checkpoint when all of its other files are on the disk."""

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.is_world_process_zero:
            write_json(Path(args.output_dir) / f"checkpoint-{state.global_step}" / SEAL, {"step": state.global_step})


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest sealed checkpoint, or None. An unsealed one was being written when a run was killed: it is removed."""
    sealed = []
    for checkpoint in folder.glob("checkpoint-*"):
        if (checkpoint / SEAL).exists():
            sealed.append(checkpoint)
        else:
            shutil.rmtree(checkpoint)
    return max(sealed, key=lambda path: int(path.name.partition("-")[2]), default=None)
