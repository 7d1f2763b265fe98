"""`rrr train`: from a failure set to a model that reflects better, resumable at every checkpoint."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate.utils import gather_object
from safetensors import SafetensorError
from transformers import PreTrainedTokenizerBase, PrinterCallback, Trainer

from rrr_core.answering import check_max_steps
from rrr_core.episode import Failure
from rrr_core.errors import DataError, RrrError
from rrr_core.generation import ModelSettings
from rrr_core.generation.measured import measured
from rrr_core.generation.transformers_backend import load_from
from rrr_core.generation.vllm_start import free_dropped
from rrr_core.processes.alike import check_alike
from rrr_core.processes.shards import Executor, ThisProcess
from rrr_core.processes.watch import Unwatched, Watch, watching
from rrr_core.processes.world import world_of
from rrr_core.profiling.profile import profiled
from rrr_core.progress import Progress
from rrr_core.records import COUNT, NUMBER, TEXT, Record
from rrr_core.runs.about import about_this_run
from rrr_core.runs.digests import Digests
from rrr_core.runs.files import explained, read_json
from rrr_core.runs.layout import TrainFolder
from rrr_core.runs.stage import open_stage, stage_lock
from rrr_core.tasks import Task
from rrr_core.text import one_line
from rrr_core.training.checkpoints import DRAWS, UNUSED, Seal, SealCheckpoints, check_draws, newest_checkpoint
from rrr_core.training.dropout import check_pass, without_dropout
from rrr_core.training.engine import engine_identity, open_engine
from rrr_core.training.failures import digest, enough, with_room
from rrr_core.training.freshness import forget_refreshes
from rrr_core.training.measures import Tasks
from rrr_core.training.preflight import (
    check_network,
    check_room,
    checked_config,
    fitted,
    lora_config,
    trained_whole,
    training_dtype,
)
from rrr_core.training.profiling import MeasureSteps, count_tokens
from rrr_core.training.records import Recorder
from rrr_core.training.rewards import check_task_rewards
from rrr_core.training.rounding import lost_steps
from rrr_core.training.settings import TrainSettings
from rrr_core.training.several import Judges, by_name, identity_of_tasks, open_judges, rollout_of
from rrr_core.training.sharding import own_environment
from rrr_core.training.together import gather_watched, shared_by
from rrr_core.training.trainer import ReflectionTrainer
from rrr_core.training.upstream import prepare
from rrr_core.verification import VerifySettings


@dataclass(frozen=True)
class TrainSummary:
    """The outcome of a finished training run."""

    steps: int
    failures: int
    seconds: float
    """Wall-clock time of this call, without a resumed run's earlier calls."""
    model: str
    """Folder of the trained model, or of its LoRA adapter."""
    abstentions: int


def train(
    tasks: Task | Sequence[Task],
    failures: Sequence[Failure],
    model_settings: ModelSettings,
    folder: Path,
    settings: TrainSettings,
    progress: Progress | None = None,
    verify: VerifySettings | None = None,
    executor: Executor | None = None,
) -> TrainSummary:
    """Train the model named in `model_settings` on `failures`; everything is written into `folder`.

    With several tasks, each failure knows its own (`rrr_core.mining.failure_set.failures_of_several`).
    A second call with the same settings resumes at the newest checkpoint; on a CPU it ends bit-identical to an
    uninterrupted run. In a launch every process calls it, and the first one writes; `executor` is how they agree.
    Raises DataError for an empty failure set, ModelError for a model that cannot be loaded, and RrrError for options
    that do not fit together or a folder that holds another run.
    """
    if not failures:
        raise DataError("the failure set is empty: there is nothing to reflect on. Mine more rows or a harder split.")
    progress, executor = progress or Progress(), executor or ThisProcess()
    named = by_name(tasks)
    check_max_steps(list(named.values()), settings.max_steps)
    for task in named.values():
        check_task_rewards(settings.reward, task, progress.notice if _writes() else lambda _: None)
    if not _writes():
        with (
            own_environment(),
            watching(world_of(os.environ), settings.collective_timeout) as watch,
            open_judges(named, settings, verify) as judges,
        ):
            return _train(named, failures, model_settings, folder, settings, judges, Progress(), executor, watch)
    with (
        own_environment(),
        watching(world_of(os.environ), settings.collective_timeout) as watch,
        stage_lock(folder, progress),
        profiled(folder, progress) as profile,
        open_judges(named, settings, verify, profile) as judges,
    ):
        return _train(named, failures, model_settings, folder, settings, judges, progress, executor, watch)


def _train(
    tasks: Tasks,
    failures: Sequence[Failure],
    model_settings: ModelSettings,
    folder: Path,
    settings: TrainSettings,
    judges: Judges,
    progress: Progress,
    executor: Executor,
    watch: Watch | Unwatched,
) -> TrainSummary:
    started = time.monotonic()
    prepare()
    checked_config(model_settings, folder, settings)  # before a large model is loaded
    policy = load_from(model_settings, training_dtype(model_settings))
    if hasattr(policy.network, "peft_config"):
        raise trained_whole(model_settings)
    settings = fitted(settings, policy.chat, any(task.has_steps for task in tasks.values()))
    arguments = checked_config(model_settings, folder, settings)
    check_network(settings, arguments, policy.network)
    if _writes() and (lost := lost_steps(policy.network, settings)) is not None:
        progress.notice(lost)
    identity = {
        **identity_of_tasks(tasks),
        "model": policy.describe(),
        **engine_identity(model_settings),
        "settings": settings.identity(),
        "failures": {"count": len(failures), "sha256": digest(failures, rated=settings.curriculum != "none")},
    }
    if _writes():
        open_stage(folder, "train", identity=identity, about={**about_this_run(), "draws": DRAWS})
        check_room(settings, folder, policy.network, training_dtype(model_settings))
    check_alike(executor, folder, identity)
    executor.meet(f"training in {folder}")
    files = TrainFolder(folder)
    summary_file = files.summary
    digests = Digests(folder)
    if summary_file.exists() and files.model.exists():
        digests.check(summary_file, TRAIN_AGAIN)
        digests.check_inside(files.model, TRAIN_AGAIN)
        return read_train_summary(summary_file)
    due = {*range(settings.save_every, settings.steps, settings.save_every), settings.steps}
    done, checkpoint = newest_checkpoint(folder, due, progress.say, _writes()) if executor.leads else (0, None)
    done = executor.agree(f"the checkpoint of {folder} to resume from", done)
    if done:
        checkpoint = files.checkpoint(done)
        check_draws(files, checkpoint)
    with progress.track(
        f"Training {', '.join(task.name for task in tasks.values())}", total=settings.steps, done=done
    ) as advance:
        profile = judges.profile
        recorder = Recorder(
            folder, policy.tokenizer, settings.episodes_per_step, advance, _writes(), profile, progress.say
        )
        recorder.cut_back(done)
        if checkpoint is not None:
            sealed = Seal.read(checkpoint)
            judges.recall(sealed.verdicts)
        if _writes():
            forget_refreshes(folder, after=done)
        engine = open_engine(policy, model_settings)
        if engine.notice:
            progress.notice(engine.notice)
        rollout = rollout_of(
            tasks,
            measured(engine, profile),
            judges,
            settings,
            shared_by(arguments.process_index, arguments.world_size, gather_watched(watch)),
        )
        usable = with_room(failures, rollout, progress.say)
        spending = MeasureSteps(profile, folder if _writes() else None, gather_object)
        trainer = ReflectionTrainer(
            tasks=tasks,
            rollout=rollout,
            failures=enough(usable, settings.batch_size // settings.group_size),
            settings=settings,
            on_episodes=recorder.keep,
            say=progress.say,
            watch=watch,
            model=policy.network,
            args=arguments,
            processing_class=policy.tokenizer,
            peft_config=lora_config(settings),
            callbacks=[
                SealCheckpoints(settings.keep_checkpoints, (recorder.metrics, recorder.episodes), judges),
                spending,
                recorder,
            ],
        )
        count_tokens(profile, trainer.model, trainer.ref_model)
        trainer.remove_callback(PrinterCallback)
        networks = [trainer.model, *([] if trainer.ref_model is None else [trainer.ref_model])]
        with disk_faults(folder), without_dropout(*networks):
            check_pass(trainer.model)
            run_trainer(trainer, checkpoint, left=settings.steps - done)
            spending.add_up()
    judges.finish()
    summary = TrainSummary(
        steps=settings.steps,
        failures=len(usable),
        seconds=round(time.monotonic() - started, 1),
        model=str(files.model),
        abstentions=judges.abstained,
    )
    watch.enter("the saving of the model", waits=True)
    with profile.during("save"), disk_faults(folder):
        save_whole(trainer, policy.tokenizer, files.model)
    if _writes():
        finals = [files.metrics, files.episodes, *files.refreshes().values(), *files_in(files.model)]
        digests.settle(path for path in finals if path.exists())
        digests.write_json(summary_file, dataclasses.asdict(summary))
    return summary


TRAIN_AGAIN = "delete the model's folder, and run the same command again: it goes on from the last checkpoint."


def files_in(model: Path) -> list[Path]:
    """The files of a saved model."""
    return sorted(path for path in model.rglob("*") if path.is_file() and path.name != UNUSED)


def read_train_summary(path: Path) -> TrainSummary:
    """What `summary.json` of a training run holds. Raises DataError."""
    fields = Record(read_json(path), f"{path}:1", "a summary of training")
    fields.has_only([field.name for field in dataclasses.fields(TrainSummary)])
    return TrainSummary(
        steps=fields.get("steps", COUNT),
        failures=fields.get("failures", COUNT),
        seconds=fields.get("seconds", NUMBER),
        model=fields.get("model", TEXT),
        abstentions=fields.get("abstentions", COUNT),
    )


def run_trainer(trainer: Trainer, checkpoint: Path | None, left: int) -> None:
    """Train the steps that are left after a checkpoint; if none are, only load it: `Trainer.train` would take one."""
    if left <= 0 and checkpoint is not None:
        trainer._load_from_checkpoint(str(checkpoint))
    else:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)


@contextmanager
def disk_faults(folder: Path) -> Iterator[None]:
    """Turn a refused checkpoint into one clear line, whatever library was writing it."""
    try:
        with explained(folder):
            yield
    except SafetensorError as error:
        raise RrrError(
            f"{folder} cannot be written: {one_line(error)}: make room and run the same command again to resume."
        ) from error
    except RuntimeError as error:
        if "PytorchStreamWriter" not in str(error) and "unexpected pos" not in str(error):
            raise
        raise RrrError(
            f"{folder} cannot be written: a checkpoint was cut off, as when the disk is full: make room and run the"
            " same command again to resume."
        ) from error


def save_whole(trainer: Trainer, tokenizer: PreTrainedTokenizerBase, model: Path) -> None:
    """Write the trained model; its folder appears whole or not at all."""
    part = model.with_name(model.name + ".part")
    if _writes():
        for leftover in (part, model):
            if leftover.exists():
                shutil.rmtree(leftover)
    trainer.save_model(str(part))
    if _writes():
        tokenizer.save_pretrained(str(part))
        part.rename(model)


def leave_processes() -> None:
    """Leave the process group of `accelerate launch`, all together: a process left behind may abort at its end.

    vLLM's engine in this process shuts down before, while there are the groups it started in.
    """
    if "vllm" in sys.modules:  # collecting all garbage takes a second
        free_dropped()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def _writes() -> bool:
    """Whether this process is the one that writes files in a distributed run."""
    return os.environ.get("RANK", "0") == "0"
