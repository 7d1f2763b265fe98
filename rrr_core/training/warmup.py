"""Warm-up: supervised training on tasks' worked conversations, for a model without basic ability."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, Features, Json, List, Value
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from trl import SFTConfig, SFTTrainer

from rrr_core.chat.format import ChatFormat
from rrr_core.chat.rendering import Template
from rrr_core.chat.settings import ChatSettings, template_arguments
from rrr_core.episode.calls import CALLS
from rrr_core.errors import ModelError
from rrr_core.generation.transformers_backend import load_transformers
from rrr_core.hookspecs import Message
from rrr_core.profiling.profile import Profile, profiled
from rrr_core.progress import Advance, Progress
from rrr_core.runs.about import about_this_run
from rrr_core.runs.digests import Digests
from rrr_core.runs.layout import TrainFolder
from rrr_core.runs.stage import open_stage, stage_lock
from rrr_core.tasks import Task
from rrr_core.tasks.tools import TOOLS_ROLE
from rrr_core.training.assistant_tokens import marks_assistant, with_assistant_tokens
from rrr_core.training.checkpoints import SealCheckpoints, newest_checkpoint
from rrr_core.training.interleaved import conversations_of
from rrr_core.training.options import has_bfloat16
from rrr_core.training.profiling import MeasureSteps, count_tokens
from rrr_core.training.run import disk_faults, files_in, run_trainer, save_whole
from rrr_core.training.tiny import make_model, make_tokenizer
from rrr_core.training.upstream import prepare
from rrr_core.training.warmup_settings import WarmupSettings

TOKENIZER_CONVERSATIONS = 4000
"""Conversations of each task that a tokenizer is trained on from scratch."""


class ShowSteps(TrainerCallback):  # type: ignore[misc]
    """Advances a progress bar with each optimiser step."""

    def __init__(self, advance: Advance) -> None:
        self.advance = advance
        self.loss = ""

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if logs and "loss" in logs:
            self.loss = f"loss {float(logs['loss']):.3f}"

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.advance(1, self.loss)


def warm_up(
    tasks: Sequence[Task],
    folder: Path,
    settings: WarmupSettings,
    model_name: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Train on the tasks' worked conversations, in order; gives the finished model's folder, `folder / "model"`.

    Only the assistant's tokens are learned, each turn's end token included. Without `model_name` a tiny model is made
    from scratch. A second call with the same settings resumes at the newest checkpoint. Raises PluginError if a task
    has no such conversations, RrrError for weights that do not fit, and ModelError for a model that cannot be loaded.
    """
    progress = progress or Progress()
    with stage_lock(folder, progress), profiled(folder, progress) as profile:
        described = {task.name: task.provenance() for task in sorted(tasks, key=lambda task: task.name)}
        whose = described if len(tasks) > 1 else described[tasks[0].name]
        identity = {"task": whose, "model": model_name, "settings": settings.identity()}
        open_stage(folder, "warmup", identity=identity, about=about_this_run())
        finished = TrainFolder(folder).model
        if not finished.exists():
            conversations = conversations_of(tasks, settings)
            sample = TOKENIZER_CONVERSATIONS * len(tasks)
            _warm_up(conversations, sample, finished, settings, model_name, progress, profile)
            Digests(folder).settle(files_in(finished))
        else:
            Digests(folder).check_inside(finished, "delete the model's folder, and run the same command again.")
        return finished


def _warm_up(
    conversations: Iterable[Sequence[Message]],
    sample: int,
    finished: Path,
    settings: WarmupSettings,
    model_name: str | None,
    progress: Progress,
    profile: Profile,
) -> None:
    prepare()
    stream = iter(conversations)
    first = list(itertools.islice(stream, sample))
    model, tokenizer = _start(first, settings, model_name)
    progress.say("Reading the worked conversations")
    arguments = template_arguments(settings.template)
    given = {"chat_template_kwargs": arguments} if arguments else {}
    chat, is_marked = ChatFormat(tokenizer, ChatSettings(arguments)), marks_assistant(tokenizer)
    conversations = by_length(itertools.chain(first, stream), settings.batch_size)
    if is_marked:
        data = _data_set([{**_shown(chat.template, each), **given} for each in conversations])
    else:
        data = Dataset.from_list([with_assistant_tokens(chat, each) for each in conversations])
    folder = finished.parent
    steps = max(1, len(data) // settings.batch_size)
    due = {*range(settings.save_every, steps, settings.save_every), steps}
    done, checkpoint = newest_checkpoint(folder, due, progress.say)
    accelerated, at_once = torch.accelerator.is_available(), settings.micro_batch_size or settings.batch_size
    with progress.track("Warming up", total=steps, done=done) as advance:
        trainer = SFTTrainer(
            model=model,
            args=SFTConfig(
                output_dir=str(folder),
                per_device_train_batch_size=at_once,
                gradient_accumulation_steps=settings.batch_size // at_once,
                max_steps=steps,
                learning_rate=settings.learning_rate,
                lr_scheduler_type="cosine",
                warmup_steps=round(settings.warmup_ratio * steps),
                weight_decay=settings.weight_decay,
                adam_beta2=0.98,
                train_sampling_strategy="sequential",
                assistant_only_loss=is_marked,
                max_length=settings.context,
                gradient_checkpointing=False,
                dataloader_pin_memory=accelerated,
                use_cpu=not accelerated,
                bf16=settings.precision == "bfloat16" or (settings.precision == "auto" and has_bfloat16()),
                logging_steps=10,
                save_steps=settings.save_every,
                seed=settings.seed,
                data_seed=settings.seed,
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=data,
            processing_class=tokenizer,
            callbacks=[SealCheckpoints(keep=2), MeasureSteps(profile, folder), ShowSteps(advance)],
        )
        count_tokens(profile, trainer.model)
        trainer.remove_callback(PrinterCallback)
        with disk_faults(folder):
            run_trainer(trainer, checkpoint, left=steps - done)
            with profile.during("save"):
                save_whole(trainer, tokenizer, finished)


def by_length(conversations: Iterable[Sequence[Message]], size: int) -> Iterator[Sequence[Message]]:
    """The conversations with each batch of `size` in order of length, so that micro-batches hold little padding.

    >>> said = lambda text: [{"role": "user", "content": text}]
    >>> [each[0]["content"] for each in by_length(map(said, ("ccc", "a", "bb", "b", "")), size=3)]
    ['a', 'bb', 'ccc', '', 'b']
    """
    stream = iter(conversations)
    while batch := list(itertools.islice(stream, size)):
        yield from sorted(batch, key=lambda each: sum(len(message["content"] or "") for message in each))


def _shown(template: Template, conversation: Sequence[Message]) -> dict[str, Any]:
    """A worked conversation as the trainer takes it. Raises ModelError for calls that the template cannot write."""
    if not any(each["role"] == TOOLS_ROLE for each in conversation):
        return {"messages": [dict(message) for message in conversation]}
    if template.calls.form is None and any(CALLS in each for each in conversation):
        raise ModelError(
            "The worked conversations call tools, and the model's chat template writes no calls: warm up another model"
            " (--model), or have the plugin write what it calls into the text."
        )
    messages, arguments = template.shaped(conversation)
    return {"messages": messages, **{name: json.dumps(value) for name, value in arguments.items()}}


def _data_set(rows: list[dict[str, Any]]) -> Dataset:
    """The rows as a table. Calls differ in their arguments, so messages with some stay JSON."""
    if not any("tool_calls" in message for row in rows for message in row["messages"]):
        return Dataset.from_list(rows)
    names = dict.fromkeys(name for row in rows for name in row)
    kinds = {"messages": List(Json()), "tools": Value("string"), "chat_template_kwargs": Json()}
    filled = [{name: row.get(name) for name in names} for row in rows]
    return Dataset.from_list(filled, features=Features({name: kinds[name] for name in names}))


def _start(
    first: Sequence[Sequence[Message]], settings: WarmupSettings, model_name: str | None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    if model_name is None:
        texts = [message["content"] for messages in first for message in messages]
        tokenizer = make_tokenizer(texts, settings.vocabulary, settings.tags)
        return make_model(tokenizer, settings), tokenizer
    loaded = load_transformers(model_name, dtype="float32")
    return loaded.network, loaded.tokenizer
