#!/usr/bin/env bash
# torch: on a CPU a linear layer in bfloat16 keeps some 0.6 MB for every number of rows it ever sees, up to 1,024 of them,
# and the first call with one takes milliseconds more; in float32 it keeps nothing.
#
# Date: 2026-11-30. Versions: torch 2.13.0 (CPU), with oneDNN 3.12, Python 3.11, one thread, Intel Xeon with AMX.
#
# What happens. A product in bfloat16 is oneDNN's, which compiles code for its exact shape. Two caches keep it: oneDNN's
# own, and one in torch's bindings, each of 1,024 entries. Every number of rows is another shape, for each size of weight
# and for each of the three products of training. float32 goes to MKL, which compiles nothing.
#
# Output seen (resident memory after one layer, 576 to 1,536, without gradients, saw 1,500 numbers of rows in random order,
# and after the allocator gave back what it could):
#   float32                                      0 MB
#   bfloat16                                  1322 MB, 974 MB of it in use
#   bfloat16, one cache at 128 entries        smaller, the other keeps the code
#   bfloat16, both at 128                      481 MB, 112 MB of it in use
#
# Why the guess is wrong. Weights and activations halve in bfloat16, so it's chosen to save memory; the growth has no
# tensor behind it, so profilers of tensors show none, and it comes with lengths that vary: it looks like a leak in a loop
# of training or serving, is none in a test with one shape, and stops after some gigabytes, or at the machine's end.
#
# Whom it hurts. Whoever trains or serves on CPUs in bfloat16 on batches of varying length: packed rows, one text at a
# time, the last token of a shrinking batch; and whoever measures the memory of a short run to plan a long one.
#
# On a processor that does not compute in bfloat16 the script says so and exits with 77.
#
# What to do. Set both ONEDNN_PRIMITIVE_CACHE_CAPACITY and LRU_CACHE_CAPACITY before torch is imported: one of them alone
# leaves what the other keeps. Or pad to few lengths.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 ${TORCH_INDEX:+--index-url "$TORCH_INDEX"}
"$work/venv/bin/pip" install --quiet numpy

cat > "$work/shapes.py" <<'PY'
import ctypes
import platform
import random
import sys

import torch

dtype = getattr(torch, sys.argv[1])
torch.set_num_threads(1)
if not torch.cpu._is_avx512_bf16_supported():
    print("needs a processor that computes in bfloat16: nothing can be seen here", file=sys.stderr)
    sys.exit(77)


def resident():
    with open("/proc/self/statm") as lines:
        return int(lines.read().split()[1]) * 4 // 1024


layer = torch.nn.Linear(576, 1536, bias=False).to(dtype)
states = torch.randn(2500, 576).to(dtype)
rows = list(range(1000, 2500))
random.Random(0).shuffle(rows)
with torch.no_grad():
    for count in (1000, 1700, 2499):
        layer(states[:count])
    before = resident()
    for count in rows:
        layer(states[:count])
after = resident() - before
ctypes.CDLL(None).malloc_trim(0)
in_use = resident() - before
print(f"Python {platform.python_version()}, torch {torch.__version__}, {dtype}: {after} MB, {in_use} MB of it in use", file=sys.stderr)
print(in_use)
PY
float32=$("$work/venv/bin/python" "$work/shapes.py" float32)
bfloat16=$("$work/venv/bin/python" "$work/shapes.py" bfloat16)
one=$(LRU_CACHE_CAPACITY=128 "$work/venv/bin/python" "$work/shapes.py" bfloat16)
both=$(LRU_CACHE_CAPACITY=128 ONEDNN_PRIMITIVE_CACHE_CAPACITY=128 "$work/venv/bin/python" "$work/shapes.py" bfloat16)

if [ "$float32" -lt 50 ] && [ "$bfloat16" -gt 400 ] && [ "$one" -gt $((2 * both)) ] && [ "$both" -lt 250 ]; then
    echo "as described"
else
    echo "not as described: $float32 MB in float32, $bfloat16 in bfloat16, $one with one cache smaller, $both with both"
    exit 1
fi
