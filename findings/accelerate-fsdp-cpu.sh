#!/usr/bin/env bash
# accelerate: FSDP asked for on a CPU is data-parallel training with whole weights in every process, without a word.
#
# Date: 2026-11-29. Versions: accelerate 1.15.0, torch 2.13.0 (CPU), Python 3.11.
#
# What happens. accelerate turns a launch into FSDP only if its processes have GPUs or other accelerators; the list of
# devices it looks through lacks the CPU. With processes on CPUs (gloo) the plugin is accepted, kept nowhere, and
# prepare() wraps the model in DistributedDataParallel. No warning is given, is_fsdp2 is False, and training works.
#
# Output seen:
#   fully_shard of torch      parameters of the layer here: 32 of 64
#   accelerate, FSDP 2        wrapped in DistributedDataParallel, 64 of 64
#   warnings                  0
#
# Why the guess is wrong. torch shards on CPUs: fully_shard with gloo does what it does on GPUs, which is how one tests
# sharded code without any. accelerate's configuration and its plugin take FSDP on CPUs without a complaint.
#
# Whom it hurts. Whoever tests FSDP training in a CI without GPUs: the tests are green and have tested DDP. What only
# sharding does (weights that are DTensors, passes that are collectives, gathered checkpoints) first runs on the GPUs.
#
# What to do. Assert isinstance(model, FSDPModule) after prepare(). To shard on CPUs call torch's fully_shard, or set
# distributed_type and fsdp_plugin on accelerate's state before prepare().
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 ${TORCH_INDEX:+--index-url "$TORCH_INDEX"}
"$work/venv/bin/pip" install --quiet accelerate==1.15.0 numpy

cat > "$work/ranks.py" <<'PY'
import platform
import warnings

import accelerate
import torch
from accelerate import Accelerator
from accelerate.utils import FullyShardedDataParallelPlugin
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor


def here(model):
    return sum((w.to_local() if isinstance(w, DTensor) else w).numel() for w in model.parameters())


with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    accelerator = Accelerator(cpu=True, fsdp_plugin=FullyShardedDataParallelPlugin(fsdp_version=2))
    model = torch.nn.Linear(8, 8, bias=False)
    prepared, _ = accelerator.prepare(model, torch.optim.AdamW(model.parameters()))
about_sharding = [one for one in caught if "fsdp" in str(one.message).lower() or "shard" in str(one.message).lower()]
sharded = fully_shard(torch.nn.Linear(8, 8, bias=False))
if accelerator.is_main_process:
    print(f"Python {platform.python_version()}, accelerate {accelerate.__version__}, torch {torch.__version__}")
    print(f"fully_shard of torch      parameters of the layer here: {here(sharded)} of 64")
    print(f"accelerate, FSDP 2        wrapped in {type(prepared).__name__}, {here(prepared)} of 64")
    print(f"warnings                  {len(about_sharding)}")
assert here(sharded) == 32
assert type(prepared).__name__ == "DistributedDataParallel" and here(prepared) == 64
assert not accelerator.is_fsdp2 and not about_sharding
PY

cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" -m torch.distributed.run --standalone --nproc-per-node=2 ranks.py || exit 1
echo "as described: on CPUs accelerate's FSDP is DistributedDataParallel"
