#!/usr/bin/env bash
# transformers' Trainer: a finished run that is started again takes one more step each time, beyond `max_steps`, and
# saves it as the newest checkpoint.
#
# Date: 2026-11-28. Versions: transformers 5.24.0, accelerate 1.15.0, torch 2.13.0 (CPU), Python 3.11.
#
# What happens. A run with `max_steps=4` ends after 4 steps with `checkpoint-4`. The same command again, with
# `resume_from_checkpoint=True`, loads `checkpoint-4`, takes step 5, since the limit is looked at only after a step, and
# saves `checkpoint-5`. Again: step 6. It stops at the end of an epoch alone: if step 4 ends one, nothing is trained.
#
# Output seen (steps taken, step reached, change of the weights since the run first ended, newest checkpoint):
#   first call            4  4  0.000  checkpoint-4
#   called again          1  5  0.010  checkpoint-5
#   and again             1  6  0.020  checkpoint-6
#   at an epoch's end     0  8  0.000  checkpoint-8
#
# Why the guess is wrong. `max_steps` is "the total number of training steps to perform", and a resumed run that has
# them should only load its checkpoint, as it does where the same number of steps is given in epochs.
#
# Whom it hurts. Whoever restarts jobs by the same command, as schedulers do after a preemption in the last minute: the
# model is trained past the end of its learning-rate schedule, a step per restart, and the figures of "step 4" are
# those of step 6. Reinforcement learning nearly always counts in steps, not epochs.
#
# What to do. Compare the newest checkpoint's step with `max_steps` before `train`, and load instead if they are equal.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CUDA_VISIBLE_DEVICES="" OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 HF_HOME="$work/hf"

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0 accelerate==1.15.0 numpy

cd "$work"
"$work/venv/bin/python" - <<'PY' || exit 1
import os
import platform
import warnings

import accelerate
import torch
import transformers
from torch.utils.data import Dataset
from transformers import AutoModelForCausalLM, LlamaConfig, Trainer, TrainerCallback, TrainingArguments, set_seed

warnings.filterwarnings("ignore")
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
print(f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}, "
      f"accelerate {accelerate.__version__}")


class Rows(Dataset):
    """Sixteen equal rows: at 2 rows a step an epoch has 8 steps."""

    def __len__(self):
        return 16

    def __getitem__(self, place):
        ids = torch.tensor([1, 2, 3, 4])
        return {"input_ids": ids, "labels": ids}


class Steps(TrainerCallback):
    """Counts the steps of one call."""

    taken = 0

    def on_step_end(self, *_, **__):
        self.taken += 1


def call(folder, max_steps, resume):
    """The same script, run once: steps taken, step reached, weights, newest checkpoint."""
    set_seed(0)
    sizes = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    model = AutoModelForCausalLM.from_config(LlamaConfig(vocab_size=32, **sizes))
    arguments = TrainingArguments(
        folder, max_steps=max_steps, save_steps=2, per_device_train_batch_size=2, use_cpu=True, report_to=[],
        logging_strategy="no", disable_tqdm=True, learning_rate=1e-2, lr_scheduler_type="constant",
    )
    steps = Steps()
    trainer = Trainer(model=model, args=arguments, train_dataset=Rows(), callbacks=[steps])
    trainer.train(resume_from_checkpoint=resume)
    weights = torch.cat([each.detach().flatten() for each in model.parameters()])
    newest = max(os.listdir(folder), key=lambda name: int(name.split("-")[1]))
    return steps.taken, trainer.state.global_step, weights, newest


def show(name, found, since):
    taken, reached, weights, newest = found
    print(f"{name:20}  {taken}  {reached}  {(weights - since).abs().max():.3f}  {newest}")
    return taken, reached, newest


first = call("steps", 4, None)
again, more = call("steps", 4, True), call("steps", 4, True)
epoch = call("epoch", 8, None)
at_end = call("epoch", 8, True)
seen = [show(*each, first[2]) for each in (("first call", first), ("called again", again), ("and again", more))]
seen.append(show("at an epoch's end", at_end, epoch[2]))
expected = [(4, 4, "checkpoint-4"), (1, 5, "checkpoint-5"), (1, 6, "checkpoint-6"), (0, 8, "checkpoint-8")]
moved = (again[2] - first[2]).abs().max() > 1e-3 and (more[2] - again[2]).abs().max() > 1e-3
assert seen == expected and moved, f"behaviour has changed: {seen}"
print("As described.")
PY
