"""Warm-up: supervised training on a task's worked conversations, for a model that has no basic ability yet."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from trl import SFTConfig, SFTTrainer

from rrr_core.errors import ModelError
from rrr_core.hookspecs import Message
from rrr_core.progress import Advance, Progress
from rrr_core.training.checkpoints import SealCheckpoints, newest_checkpoint
from rrr_core.training.tiny import make_model, make_tokenizer
from rrr_core.training.warmup_settings import WarmupSettings

TOKENIZER_CONVERSATIONS = 4000
"""Conversations that a tokenizer made from scratch learns from."""


class ShowSteps(TrainerCallback):  # type: ignore[misc]
    """Moves a progress bar with each optimiser step."""

    def __init__(self, advance: Advance) -> None:
        self.advance = advance
        self.loss = ""

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if logs and "loss" in logs:
            self.loss = f"loss {float(logs['loss']):.3f}"

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.advance(1, self.loss)


def warm_up(
    conversations: Iterable[Sequence[Message]],
    folder: Path,
    settings: WarmupSettings,
    model_name: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Train on `conversations` in their order; gives the folder of the finished model, `folder / "model"`.

    Only the assistant's tokens are learned, each turn's end token included. With no `model_name` a tiny model is made
    from scratch. Continues from the newest checkpoint in `folder`. Raises ModelError where the model's chat template
    cannot tell the assistant's tokens from the rest.
    """
    progress = progress or Progress()
    finished = folder / "model"
    if finished.exists():
        return finished
    stream: Iterator[Sequence[Message]] = iter(conversations)
    first = list(itertools.islice(stream, TOKENIZER_CONVERSATIONS))
    model, tokenizer = _start(first, settings, model_name)
    data = Dataset.from_list(
        [{"messages": [dict(message) for message in messages]} for messages in itertools.chain(first, stream)]
    )
    steps = len(data) // settings.batch_size
    checkpoint = newest_checkpoint(folder)
    done = int(checkpoint.name.partition("-")[2]) if checkpoint else 0
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with progress.track("warm-up", total=steps, done=done) as advance:
        trainer = SFTTrainer(
            model=model,
            args=SFTConfig(
                output_dir=str(folder),
                per_device_train_batch_size=settings.batch_size,
                max_steps=steps,
                learning_rate=settings.learning_rate,
                lr_scheduler_type="cosine",
                warmup_steps=round(settings.warmup_ratio * steps),
                weight_decay=settings.weight_decay,
                adam_beta2=0.98,
                train_sampling_strategy="sequential",
                assistant_only_loss=True,
                max_length=settings.context,
                activation_checkpointing=False,
                dataloader_pin_memory=False,
                bf16=False,
                logging_steps=10,
                save_steps=settings.save_every,
                save_total_limit=2,
                seed=settings.seed,
                data_seed=settings.seed,
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=data,
            processing_class=tokenizer,
            callbacks=[SealCheckpoints(), ShowSteps(advance)],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    half = folder / "model.part"
    if half.exists():
        shutil.rmtree(half)
    trainer.model.save_pretrained(half)
    tokenizer.save_pretrained(half)
    half.rename(finished)
    return finished


def _start(
    first: Sequence[Sequence[Message]], settings: WarmupSettings, model_name: str | None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    if model_name is None:
        texts = [message["content"] for messages in first for message in messages]
        tokenizer = make_tokenizer(texts, settings.vocabulary)
        return make_model(tokenizer, settings), tokenizer
    try:
        tokenizer = AutoTokenizer.from_pretrained(model_name, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(
            model_name, trust_remote_code=False, use_safetensors=True, dtype="float32"
        )
    except (OSError, ValueError) as error:
        raise ModelError(f"model {model_name!r} cannot be loaded: {str(error).splitlines()[0]}") from error
    return model, tokenizer
