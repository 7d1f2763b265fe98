#!/usr/bin/env bash
# torch: a linear layer on a CPU brings its weight into the order of the processor's tiles in every call. With the few
# rows that decoding has, that takes as long as the product itself: the same library with the weight packed beforehand is
# about twice as fast at 8 rows, in bfloat16 as in float32, and a layout packed for one row gains next to nothing there.
#
# Date: 2026-12-01. Versions: torch 2.13.0 (CPU) with its MKL and oneDNN 3.12, Python 3.11, one thread, AMD EPYC (Zen 4).
#
# What happens. In bfloat16 nn.Linear is oneDNN's product already, so library, kernel and rounding are the same on both
# sides; float32 is MKL's. torch.ops.mkldnn._reorder_linear_weight(weight, rows) packs a weight once, and
# torch.ops.mkldnn._linear_pointwise multiplies with it. Nothing public does: torch.compile with freezing takes this
# path, eager layers never. The second argument names a number of rows. For float32 a weight packed for 1 is in another
# order than one packed for 32: at 8 rows it is no faster than a plain one.
#
# Output seen (GFLOP a second of processor time, 576 to 1536, 64 weights so that no cache holds them):
#   rows   bfloat16, plain   packed   float32, plain   packed for 32   packed for 1
#   8      53                104      29               54              29
#   24     97                153      54               83              60
#   64     153               189      79               100             83
#   256    191               206      76               86              81
#
# Why the guess is wrong. A product of few rows looks bound by memory, as one of a single row is: the weight is read once
# either way, so packing would gain nothing. At 8 rows and more it is bound by packing. A profile shows one operator,
# aten::addmm or mkldnn_linear, and its time as arithmetic at a poor rate.
#
# Whom it hurts. Whoever decodes with eager torch on a CPU, transformers' `generate` included, and whoever compares it with
# an engine that packs when it loads, as vLLM's CPU build does: half of the gap at small batches may be this.
#
# What to do. Pack each large weight once for some 32 rows, multiply with the copy where no gradient is needed, and
# pack again when the weights have changed. Small weights that a cache holds gain nothing. Memory doubles.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 ${TORCH_INDEX:+--index-url "$TORCH_INDEX"}
"$work/venv/bin/pip" install --quiet numpy

cat > "$work/rows.py" <<'PY'
import platform
import statistics
import sys
import time

import torch
from torch.nn import functional

torch.set_num_threads(1)
torch.set_grad_enabled(False)
capability = torch.backends.cpu.get_cpu_capability()
print(f"Python {platform.python_version()}, torch {torch.__version__}, {capability}")
if not torch.cpu._is_avx512_bf16_supported():
    print("needs a processor that multiplies bfloat16: nothing can be seen here")
    sys.exit(77)
torch.manual_seed(0)
WEIGHTS = 64


def speed(product, rows, weights):
    """GFLOP a second."""
    work = 2 * rows.numel() * weights[0].shape[0] * len(weights) / 1e9
    times = max(1, round(1 / work))
    found = []
    for _ in range(10):
        began = time.process_time()
        for _ in range(times):
            for weight in weights:
                product(rows, weight)
        found.append(times * work / (time.process_time() - began))
    return statistics.median(found[1:])


def packed(rows, weight):
    return torch.ops.mkldnn._linear_pointwise(rows, weight, None, "none", [], "")


print("rows   bfloat16, plain   packed   float32, plain   packed for 32   packed for 1")
found = {}
plain = [torch.randn(1536, 576) for _ in range(WEIGHTS)]
narrow = [weight.bfloat16() for weight in plain]
pack = torch.ops.mkldnn._reorder_linear_weight
for_32, for_1, narrow_32 = ([pack(weight, rows) for weight in each] for each, rows in ((plain, 32), (plain, 1), (narrow, 32)))
for count in (8, 24, 64, 256):
    rows = torch.randn(count, 576)
    found[count] = (
        speed(functional.linear, rows.bfloat16(), narrow),
        speed(packed, rows.bfloat16(), narrow_32),
        speed(functional.linear, rows, plain),
        speed(packed, rows, for_32),
        speed(packed, rows, for_1),
    )
    print(f"{count:<6} {found[count][0]:<17.0f} {found[count][1]:<8.0f} " + " ".join(f"{each:<15.0f}" for each in found[count][2:]))
exact = rows.double() @ plain[0].double().t()
error = float((packed(rows, for_32[0]) - exact).norm() / exact.norm())
print(f"float32, packed: {error:.0e} from float64")
few, many = found[8], found[256]
assert few[1] > 1.4 * few[0], "bfloat16: packing gains little at 8 rows"
assert many[1] < 1.3 * many[0], "bfloat16: packing gains as much at 256 rows"
assert error < 1e-6
if "AuthenticAMD" in open("/proc/cpuinfo").read():
    assert few[3] > 1.3 * few[2], "float32: packing gains little at 8 rows"
    assert few[3] > 1.3 * few[4], "float32: the layout for one row is as good"
PY
"$work/venv/bin/python" "$work/rows.py"
echo "as described"
