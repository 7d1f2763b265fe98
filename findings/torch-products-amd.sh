#!/usr/bin/env bash
# torch: on an AMD processor with AVX-512 a float32 matrix product runs at less than half of the speed that the same
# wheel reaches through oneDNN, and bfloat16, which goes through oneDNN, is more than four times as fast.
#
# Date: 2026-11-29. Versions: torch 2.13.0 (CPU), with its MKL and oneDNN 3.12, Python 3.11, one thread, EPYC (Zen 5).
#
# What happens. torch.backends.cpu.get_cpu_capability() says AVX512, and torch's own kernels use it. Products of float32
# matrices, torch.mm and nn.Linear, go to MKL, which takes its AVX-512 code on Intel's processors alone. oneDNN, in the
# same wheel, has no such rule, and torch hands it bfloat16 but not float32. set_float32_matmul_precision allows it to
# round and so changes something else; as it stands nothing public routes a float32 product there.
#
# Output seen (GFLOP a second of processor time, 1672 rows, 576 to 1536):
#   torch.mm, float32           105
#   oneDNN, float32             236   2.2 times, as exact: 4e-7 against 3e-7 from float64
#   torch.mm, bfloat16          485
#
# Why the guess is wrong. "AVX512" from torch and 2.5 times the width in lscpu look like the whole of it, and a profile
# shows aten::mm at 75%: the loop seems to be at the hardware's limit. And bfloat16 looks like a factor of 4.6, more than
# half as many bits can give, so that a comparison of dtypes on such a machine says more about libraries than about dtypes.
#
# Whom it hurts. Whoever trains or samples small models on CPUs in float32, and whoever compares engines there: one that
# calls oneDNN itself, as vLLM's CPU build does, wins by this factor alone.
#
# On another processor the script says so and exits with 77.
#
# What to do. torch.ops.mkldnn._linear_pointwise(rows, weight, None, "none", [], "") is that product, without a gradient
# (torch.compile uses it); transposed views are fine. Or measure on both makes before a CPU's ratio is published.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 ${TORCH_INDEX:+--index-url "$TORCH_INDEX"}
"$work/venv/bin/pip" install --quiet numpy

cat > "$work/products.py" <<'PY'
import platform
import statistics
import sys
import time
from pathlib import Path

import torch

torch.set_num_threads(1)
print(f"Python {platform.python_version()}, torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")
if "AuthenticAMD" not in Path("/proc/cpuinfo").read_text() or torch.backends.cpu.get_cpu_capability() != "AVX512":
    print("needs an AMD processor with AVX-512: nothing can be seen here")
    sys.exit(77)

torch.manual_seed(0)
rows, weight = torch.randn(1672, 576), torch.randn(1536, 576)
work = 2 * len(rows) * weight.numel() / 1e9


def speed(product):
    product()
    found = []
    for _ in range(9):
        began = time.process_time()
        for _ in range(5):
            product()
        found.append(5 * work / (time.process_time() - began))
    return statistics.median(found)


def by_onednn():
    return torch.ops.mkldnn._linear_pointwise(rows, weight, None, "none", [], "")


exact = rows.double() @ weight.double().t()
narrow = rows.bfloat16(), weight.bfloat16().t()
plain, onednn, half = speed(lambda: rows @ weight.t()), speed(by_onednn), speed(lambda: narrow[0] @ narrow[1])
errors = [float((found - exact).norm() / exact.norm()) for found in (rows @ weight.t(), by_onednn())]
print(f"torch.mm, float32   {plain:6.0f}   {errors[0]:.0e} from float64")
print(f"oneDNN, float32     {onednn:6.0f}   {errors[1]:.0e} from float64")
print(f"torch.mm, bfloat16  {half:6.0f}")
assert onednn > 1.5 * plain, "torch's product is no longer slower"
assert half > 3 * plain, "bfloat16 no longer gains more than half as many bits explain"
assert max(errors) < 1e-6
PY
"$work/venv/bin/python" "$work/products.py"
echo "as described"
