#!/usr/bin/env bash
# torch: on a CPU with AMX the backward pass of scaled_dot_product_attention takes two to three times as long in bfloat16
# as in float32 for texts of 64 to 137 tokens, while its forward pass takes 0.6 of the time.
#
# Date: 2026-11-30. Versions: torch 2.13.0 (CPU), Python 3.11, one thread, Intel Xeon with AMX (amx_bf16).
#
# What happens. The forward kernel multiplies in bfloat16 by the matrix unit. The backward kernel converts blocks back and
# forth and multiplies pieces too small for that to pay; only from some 600 tokens on it is level, and at 2,048 it gains.
#
# Output seen (milliseconds of processor time, 9 heads of 64, causal; error of a key's gradient from float64's on the same
# bfloat16 inputs):
#   8 texts of 137 tokens     forward 5.1 in float32, 3.3 in bfloat16     backward 12.9 in float32, 29.9 in bfloat16
#   32 texts of 64 tokens     forward 5.3, 3.1                            backward 15.5, 42.8
#   1 text of 2,048 tokens    forward 40.8, 16.0                          backward 105, 79.9
#   error at 137 tokens       2e-7 in float32, 4e-3 in bfloat16
#
# Why the guess is wrong. Matrix products are ten times as fast in bfloat16 there, the linear layers of a model show it,
# and inference, which is all forward, gains at every length. So a training step under autocast is expected to gain in
# attention, too; at the lengths of short answers it loses there, and a step gains far less than products promise.
#
# Whom it hurts. Whoever trains on CPUs under autocast on short texts, or on short completions that attend to themselves.
#
# On a processor without AMX the script says so and exits with 77.
#
# What to do. Under autocast, compute short attention in float32: leave the forward pass, which gains, and give the
# backward pass float32 copies, or switch autocast off around both. The gradients are more exact besides.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 ${TORCH_INDEX:+--index-url "$TORCH_INDEX"}
"$work/venv/bin/pip" install --quiet numpy

cat > "$work/attention.py" <<'PY'
import platform
import statistics
import sys
import time

import torch
from torch.nn.functional import scaled_dot_product_attention

torch.set_num_threads(1)
print(f"Python {platform.python_version()}, torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")
if not torch.cpu._is_amx_tile_supported():
    print("needs a processor with AMX: nothing can be seen here")
    sys.exit(77)


def measure(dtype, texts, tokens):
    """Milliseconds of the forward and the backward pass, and the gradient of keys."""
    source = torch.Generator().manual_seed(0)
    states = [torch.randn(texts, 9, tokens, 64, generator=source).bfloat16() for _ in range(4)]
    *operands, of_output = (each.to(dtype) for each in states)
    forward, backward = [], []
    for _ in range(14):
        fresh = [each.clone().requires_grad_() for each in operands]
        began = time.process_time()
        output = scaled_dot_product_attention(*fresh, is_causal=True)
        between = time.process_time()
        output.backward(of_output)
        forward.append(between - began)
        backward.append(time.process_time() - between)
    return *(1e3 * statistics.median(each[4:]) for each in (forward, backward)), fresh[1].grad.double()


slower = {}
for texts, tokens in ((8, 137), (32, 64), (1, 2048)):
    exact = measure(torch.float64, texts, tokens)[2]
    found = {dtype: measure(dtype, texts, tokens) for dtype in (torch.float32, torch.bfloat16)}
    for dtype, (forward, backward, gradient) in found.items():
        error = float((gradient - exact).norm() / exact.norm())
        print(f"{texts} × {tokens} tokens, {dtype}: forward {forward:.1f} ms, backward {backward:.1f} ms, error {error:.0e}")
    slower[tokens] = [found[torch.bfloat16][each] / found[torch.float32][each] for each in (0, 1)]
as_described = slower[64][1] > 1.5 and slower[137][1] > 1.5 and slower[137][0] < 1 and slower[2048][1] < 1
print("as described" if as_described else f"not as described: bfloat16 over float32, forward and backward: {slower}")
sys.exit(0 if as_described else 1)
PY
"$work/venv/bin/python" "$work/attention.py"
