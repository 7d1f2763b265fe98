"""Checkpoints that survive a kill: one counts only once it is sealed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rrr_core.runs.files import write_json
from rrr_core.runs.layout import TrainFolder

SEAL = "complete.json"


class SealCheckpoints(TrainerCallback):  # type: ignore[misc]
    """Writes a seal into each checkpoint once all its other files are on disk."""

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.is_world_process_zero:
            checkpoint = TrainFolder(Path(args.output_dir)).checkpoint(state.global_step)
            write_json(checkpoint / SEAL, {"step": state.global_step})


def newest_checkpoint(folder: Path) -> tuple[int, Path | None]:
    """The step of the newest sealed checkpoint, and its folder; 0 and None if there is none.

    Removes an unsealed checkpoint, which a killed run was still writing.
    """
    newest: tuple[int, Path | None] = (0, None)
    for step, checkpoint in TrainFolder(folder).checkpoints().items():
        if (checkpoint / SEAL).exists():
            newest = step, checkpoint
        else:
            shutil.rmtree(checkpoint)
    return newest
