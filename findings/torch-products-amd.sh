#!/usr/bin/env bash
# torch: on a Zen 5 processor a float32 matrix product runs at less than half of the speed that the same wheel reaches
# through oneDNN, and bfloat16, which goes through oneDNN, is more than four times as fast. On Zen 4, which reports the
# same AVX-512, oneDNN gains nothing with many rows and loses with few.
#
# Date: 2026-11-29 (Zen 5) and 2026-11-30 (Zen 4). Versions: torch 2.13.0 (CPU), with its MKL and oneDNN 3.12, Python
# 3.11, one thread, EPYC.
#
# What happens. torch.backends.cpu.get_cpu_capability() says AVX512, and torch's own kernels use it. Products of float32
# matrices, torch.mm and nn.Linear, go to MKL, which takes its AVX-512 code on Intel's processors alone. oneDNN, in the
# same wheel, has no such rule, and torch hands it bfloat16 but not float32. set_float32_matmul_precision allows it to
# round and so changes something else; as it stands nothing public routes a float32 product there.
#
# Zen 5 computes 512 bits at once. Zen 4 computes them in two halves, so AVX-512 gives a float32 product nothing over
# MKL's AVX2, and a call of oneDNN costs more: with 64 rows, 128 to 128, it takes 1.4 times as long.
#
# Output seen (GFLOP a second of processor time, 1672 rows, 576 to 1536; and 64 rows, 128 to 128):
#                               Zen 5   Zen 4
#   torch.mm, float32           105     90
#   oneDNN, float32             236     99     as exact: 4e-7 against 3e-7 from float64
#   torch.mm, bfloat16          485     195
#   oneDNN over torch.mm, few   -       0.7
#
# Why the guess is wrong. "AVX512" from torch and the flags in lscpu look like the whole of it, and a profile shows
# aten::mm at 75%: the loop seems to be at the hardware's limit. It is, on Zen 4, and is not on Zen 5; the flags are the
# same on both, and so a switch by flag, measured on one of them, slows the other down. And on Zen 5 bfloat16 looks like a
# factor of 4.6, more than half as many bits can give, so that a comparison of dtypes on such a machine says more about
# libraries than about dtypes.
#
# Whom it hurts. Whoever trains or samples small models on CPUs in float32, and whoever compares engines there: one that
# calls oneDNN itself, as vLLM's CPU build does, wins by this factor alone.
#
# On another processor the script says so and exits with 77.
#
# What to do. Decide by the family in /proc/cpuinfo: 26 and above is Zen 5 and later. torch.ops.mkldnn._linear_pointwise(rows, weight, None, "none", [], "") is that product, without a gradient
# (torch.compile uses it); transposed views are fine. Or measure on both makes before a CPU's ratio is published.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 ${TORCH_INDEX:+--index-url "$TORCH_INDEX"}
"$work/venv/bin/pip" install --quiet numpy

cat > "$work/products.py" <<'PY'
import platform
import re
import statistics
import sys
import time
from pathlib import Path

import torch

torch.set_num_threads(1)
print(f"Python {platform.python_version()}, torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")
about = Path("/proc/cpuinfo").read_text()
if "AuthenticAMD" not in about or torch.backends.cpu.get_cpu_capability() != "AVX512":
    print("needs an AMD processor with AVX-512: nothing can be seen here")
    sys.exit(77)
family = int(re.search(r"^cpu family\s*: (\d+)$", about, re.MULTILINE)[1])
print(f"family {family}: {'Zen 5 or later' if family >= 26 else 'Zen 4'}")

torch.manual_seed(0)
rows, weight = torch.randn(1672, 576), torch.randn(1536, 576)
few, small = torch.randn(64, 128), torch.randn(128, 128)


def speed(product, rows, weight):
    """GFLOP a second."""
    work = 2 * len(rows) * weight.numel() / 1e9
    times = max(5, round(1 / work))
    product(rows, weight)
    found = []
    for _ in range(9):
        began = time.process_time()
        for _ in range(times):
            product(rows, weight)
        found.append(times * work / (time.process_time() - began))
    return statistics.median(found)


def by_torch(rows, weight):
    return rows @ weight.t()


def by_onednn(rows, weight):
    return torch.ops.mkldnn._linear_pointwise(rows, weight, None, "none", [], "")


exact = rows.double() @ weight.double().t()
narrow = rows.bfloat16(), weight.bfloat16()
plain, onednn = speed(by_torch, rows, weight), speed(by_onednn, rows, weight)
half = speed(by_torch, *narrow)
of_few = speed(by_onednn, few, small) / speed(by_torch, few, small)
errors = [float((product(rows, weight) - exact).norm() / exact.norm()) for product in (by_torch, by_onednn)]
print(f"torch.mm, float32   {plain:6.0f}   {errors[0]:.0e} from float64")
print(f"oneDNN, float32     {onednn:6.0f}   {errors[1]:.0e} from float64")
print(f"torch.mm, bfloat16  {half:6.0f}")
print(f"oneDNN over torch.mm, few rows  {of_few:.2f}")
if family >= 26:
    assert onednn > 1.5 * plain, "torch's product is no longer slower"
    assert half > 3 * plain, "bfloat16 no longer gains more than half as many bits explain"
else:
    assert onednn < 1.3 * plain, "oneDNN is faster on Zen 4, too"
    assert of_few < 0.85, "oneDNN no longer loses at few rows"
assert max(errors) < 1e-6
PY
"$work/venv/bin/python" "$work/products.py"
echo "as described"
