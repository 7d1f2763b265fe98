#!/usr/bin/env bash
# torch: a fused optimiser changes weights without counting a new version, so autograd's check for weights that were
# changed between a forward and its backward pass does not fire: the gradient comes out wrong, and nothing says so.
#
# Date: 2026-12-01. Versions: torch 2.13.0 (CPU), transformers 5.24.0, peft 0.21.2, Python 3.11.
#
# What happens. Every tensor counts its changes in place in `_version`. Autograd remembers that number for what backward
# will need, and raises "has been modified by an inplace operation" if it differs. AdamW, Adam, SGD and Adagrad raise the
# count of every weight that they step, with foreach=True and with foreach=False. With fused=True the weights change just
# the same, and the count stays. Two graphs on one network, a step after the first one's backward, then the second one's
# backward: an error in the first two forms, and in the third a gradient made from old activations and new weights.
#
# transformers' TrainingArguments choose the fused form by default (`optim` is adamw_torch_fused), and so do trainers
# built on them. peft's `merge()` and `unmerge()` change the base layer's weight by `.data`, and count nothing either.
#
# Output seen (versions counted by one step, or one merge; error of the second gradient):
#   AdamW foreach=False  2   RuntimeError
#   AdamW foreach=True   2   RuntimeError
#   AdamW fused=True     0   no error, the gradient is off by several times its norm
#   peft merge           0
#
# Why the guess is wrong. `fused` is documented as a faster form of the same step, the one that "is typically faster". An
# error that appeared with foreach and is gone with fused looks solved.
#
# Whom it hurts. Whoever keeps something made from weights and asks `_version` whether it is still good: copies packed or
# quantised for inference, merged adapters, caches of keys and values. And whoever overlaps steps, as two losses on one
# network, delayed backward passes and pipelines do: the check that would catch it is off in the Trainer's default.
#
# What to do. Drop such copies where the step is taken, not by version. Take foreach=True while a loop is being written.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 ${TORCH_INDEX:+--index-url "$TORCH_INDEX"}
"$work/venv/bin/pip" install --quiet transformers==5.24.0 peft==0.21.2 accelerate==1.15.0 numpy

cat > "$work/versions.py" <<'PY'
import logging
import sys
import warnings

import peft
import torch
import transformers
from torch import nn

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
print(f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}")


def hold(is_so, what):
    """Exit with status 1 if it is no longer so."""
    if not is_so:
        sys.exit(f"changed: {what}")


def counted(kind, **form):
    """By how much one step raises the version of a weight that it changes."""
    torch.manual_seed(0)
    layer = nn.Linear(8, 8)
    optimiser = getattr(torch.optim, kind)(layer.parameters(), lr=0.1, **form)
    layer(torch.ones(1, 8)).sum().backward()
    version, before = layer.weight._version, layer.weight.detach().clone()
    optimiser.step()
    hold(not torch.equal(before, layer.weight), f"{kind} {form} moves no weight")
    return layer.weight._version - version


def second_gradient(**form):
    """The error of the gradient of a second graph once a step was taken; None if autograd refuses it."""
    torch.manual_seed(0)
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    optimiser = torch.optim.AdamW([*first.parameters(), *second.parameters()], lr=0.5, **form)
    row = torch.ones(1, 4)
    second(first(row)).sum().backward()
    loss = second(first(row)).sum()
    (right,) = torch.autograd.grad(loss, first.weight, retain_graph=True)
    right = right.clone()
    optimiser.step()
    try:
        (found,) = torch.autograd.grad(loss, first.weight)
    except RuntimeError as error:
        hold("modified by an inplace operation" in str(error), f"{form}: {error}")
        return None
    return float((found - right).norm() / right.norm())


forms = ({"foreach": False}, {"foreach": True}, {"fused": True})
for kind in ("AdamW", "Adam", "SGD", "Adagrad"):
    found = [counted(kind, **form) for form in forms]
    print(f"{kind}: versions counted by for-loop, foreach, fused: {found}")
    hold(found[0] > 0 and found[1] > 0 and found[2] == 0, f"{kind} counts {found}")
errors = [second_gradient(**form) for form in forms]
print(f"AdamW: the second gradient's error by for-loop, foreach, fused: {errors}")
hold(errors[:2] == [None, None], "for-loop or foreach no longer raises")
hold(errors[2] is not None and errors[2] > 0.1, "fused raises, or its gradient is right")

optim = transformers.TrainingArguments("unused", use_cpu=True, report_to="none").optim
print(f"the Trainer's default: {optim.value}")
hold(optim.value == "adamw_torch_fused", "the default")


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.query = nn.Linear(8, 8)

    def forward(self, rows):
        return self.query(rows)


settings = peft.LoraConfig(target_modules=["query"], r=2, init_lora_weights=False)
layer = peft.PeftModel(Network(), settings).base_model.model.query
weight, before, version = layer.base_layer.weight, layer.base_layer.weight.detach().clone(), layer.base_layer.weight._version
layer.merge()
hold(layer.base_layer.weight is weight and not torch.equal(before, weight), "merging changes another tensor")
print(f"peft merge: {weight._version - version}")
hold(weight._version == version, "merging counts a version")
PY
"$work/venv/bin/python" "$work/versions.py"
echo "as described"
