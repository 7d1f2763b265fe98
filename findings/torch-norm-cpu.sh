#!/usr/bin/env bash
# torch: the norm of a long float32 tensor on a CPU is too small, by 0.02% at 5.7 million elements and by 1% at 100
# million, and clip_grad_norm_ clips by it. The sum of the same squares is right to seven digits.
#
# Date: 2026-11-30. Versions: torch 2.13.0 (CPU), Python 3.11, one thread, EPYC (Zen 5).
#
# What happens. torch.linalg.vector_norm over a whole tensor adds up squares in a few float32 accumulators, one after
# another, so that late squares are added to a total that is millions of times as large and lose their last bits.
# torch.sum adds pairwise. Tensor.norm, torch._foreach_norm and so torch.nn.utils.clip_grad_norm_ are the former.
#
# Output seen (relative error of a norm of independent normal numbers):
#   elements        vector_norm   sqrt of sum of squares
#   1,000,000          -1.0e-05    2.9e-08
#   5,662,310          -1.6e-04   -9.6e-08
#   30,000,000         -1.6e-03   -1.6e-08
#   100,000,000        -1.1e-02    9.8e-09   (apart: the script leaves it out, for its memory)
#   clip_grad_norm_ to 1: 1.0016 is left, where 30,000,000 elements are one parameter
#
# Why the guess is wrong. float32 has seven digits, torch's sums keep them, and no error of a norm shows in a test on
# small tensors. Split into parameters of a million elements the same gradient has a norm that is right to five digits.
#
# Whom it hurts. Whoever compares gradients, norms or clipped steps between CPU and GPU, or between float32 and float64,
# and trains a model whose embedding is one parameter of 100 million elements: its clipped gradients are 1% longer than
# asked for. More threads take shorter pieces, so the figure also depends on their number.
#
# What to do. Compare gradients before they are clipped, and take norms in pieces: the root of the sum of squares, or
# vector_norm(x.view(-1, 1024), dim=1) and the norm of that; or dtype=torch.float64.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 ${TORCH_INDEX:+--index-url "$TORCH_INDEX"}
"$work/venv/bin/pip" install --quiet numpy

cat > "$work/norms.py" <<'PY'
import platform
import sys

import torch

torch.set_num_threads(1)
print(f"Python {platform.python_version()}, torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")
torch.manual_seed(0)
found = {}
for count in (1_000_000, 5_662_310, 30_000_000):
    numbers = torch.randn(count) * 1e-3
    exact = float(torch.linalg.vector_norm(numbers, dtype=torch.float64))
    norms = torch.linalg.vector_norm(numbers), numbers.square().sum().sqrt()
    found[count] = [float(norm) / exact - 1 for norm in norms]
    print(f"{count:>11,}   {found[count][0]:+.1e}   {found[count][1]:+.1e}")
parameter = torch.nn.Parameter(torch.empty(0))
parameter.data = numbers
parameter.grad = numbers.clone()
torch.nn.utils.clip_grad_norm_([parameter], 1.0)
left = float(torch.linalg.vector_norm(parameter.grad, dtype=torch.float64))
print(f"clip_grad_norm_ to 1: {left:.4f} is left")
changed = {
    "the sum of squares is not right either": any(abs(summed) >= 1e-6 for _, summed in found.values()),
    "the norm of 30 million elements is right now": found[30_000_000][0] >= -3e-4,
    "clipped gradients have the length that was asked for": left <= 1.0003,
}
if any(changed.values()):
    print("CHANGED: " + "; ".join(what for what, is_so in changed.items() if is_so))
    sys.exit(1)
PY
"$work/venv/bin/python" "$work/norms.py"
echo "as described"
