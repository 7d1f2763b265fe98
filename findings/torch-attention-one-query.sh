#!/usr/bin/env bash
# torch: attention of one query in bfloat16 on a CPU takes several times as long as of two or three that read the same
# keys. So decoding a batch whose prompts are equally long is slower than decoding one with padding.
#
# Date: 2026-12-01. Versions: torch 2.13.0 (CPU), transformers 5.24.0, Python 3.11, one thread, AMD EPYC (Zen 4).
#
# What happens. scaled_dot_product_attention takes torch's own kernel for CPUs. With one query per head in bfloat16 it does
# some 2.5 GFLOP a second; the same query given twice, both computed, takes half of the time, and the three query heads
# of a key head given as three queries of one head a fifth. In float32 one query costs least, as one would think.
#
# transformers meets both cases. If the batch has padding, it gives query heads that share their keys as several queries of
# one head. Without padding there is no mask, and it passes `enable_gqa=True` instead: the slow form.
#
# Output seen (ms of processor time a call; 24 texts, 9 query heads, 3 key heads, 150 keys of 64 numbers):
#   one query, enable_gqa             bfloat16 3.42   float32 0.51
#   three queries of a key head       bfloat16 0.58   float32 0.45
#   keys of its own, one query        bfloat16 3.69   float32 1.37
#   the same query twice              bfloat16 1.82   float32 2.08
# and of transformers' `generate`, 24 tokens by a model of that shape with 8 layers: 24 prompts of 100 tokens take 1.28
# times as long (1.86 s) as 23 of 100 and one of 99.
#
# Why the guess is wrong. More padding should be more work, bfloat16 less than float32, and two queries twice one. A
# profile shows one operator, as it does for float32, so the model looks slow rather than the batch.
#
# Whom it hurts. Whoever decodes in bfloat16 on a CPU: several samples of one prompt, benchmarks with prompts of one
# length, and all models whose heads have keys of their own. Comparisons of bfloat16 with float32 measure this instead.
#
# What to do. Give a decoded token's query heads as queries of their key head; where each head has keys of its own, give
# its query twice and drop one result.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 ${TORCH_INDEX:+--index-url "$TORCH_INDEX"}
"$work/venv/bin/pip" install --quiet transformers==5.24.0 numpy

cat > "$work/query.py" <<'PY'
import platform
import statistics
import sys
import time

import torch
import transformers
from torch.nn.functional import scaled_dot_product_attention as attention
from transformers import LlamaConfig, LlamaForCausalLM

torch.set_num_threads(1)
torch.set_grad_enabled(False)
torch.manual_seed(0)
print(f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}")
if not torch.cpu._is_avx512_bf16_supported():
    print("needs a processor that multiplies bfloat16: nothing can be seen here")
    sys.exit(77)


def hold(is_so, what):
    """Exit with status 1 if it is no longer so."""
    if not is_so:
        sys.exit(f"changed: {what}")


def took(work, times=20, rounds=7):
    """Milliseconds of processor time."""
    found = []
    for _ in range(rounds + 1):
        began = time.process_time()
        for _ in range(times):
            work()
        found.append((time.process_time() - began) / times * 1e3)
    return statistics.median(found[1:])


TEXTS, HEADS, KEY_HEADS, KEYS, WIDTH = 24, 9, 3, 150, 64
ms = {}
for dtype in (torch.bfloat16, torch.float32):
    query = torch.randn(TEXTS, HEADS, 1, WIDTH).to(dtype)
    key, value = torch.randn(2, TEXTS, KEY_HEADS, KEYS, WIDTH).to(dtype)
    own_key, own_value = torch.randn(2, TEXTS, HEADS, KEYS, WIDTH).to(dtype)
    grouped, twice = query.view(TEXTS, KEY_HEADS, HEADS // KEY_HEADS, WIDTH), query.repeat(1, 1, 2, 1)
    one, several = attention(query, key, value, enable_gqa=True), attention(grouped, key, value).view(query.shape)
    hold(torch.allclose(one, several, atol=1e-2), "the two forms give different outputs")
    ms[dtype] = (
        took(lambda: attention(query, key, value, enable_gqa=True)),
        took(lambda: attention(grouped, key, value)),
        took(lambda: attention(query, own_key, own_value)),
        took(lambda: attention(twice, own_key, own_value)),
    )
names = ("one query, enable_gqa", "three queries of a key head", "keys of its own, one query", "the same query twice")
for name, narrow, wide in zip(names, *ms.values()):
    print(f"{name:<32}  bfloat16 {narrow:.2f}   float32 {wide:.2f}")
one, several, alone, doubled = ms[torch.bfloat16]
hold(one > 2.5 * several, "one query in bfloat16 is no longer slow beside three of a key head")
hold(alone > 1.3 * doubled, "one query in bfloat16 is no longer slower than the same twice")
hold(ms[torch.float32][3] > ms[torch.float32][2], "in float32 two queries are faster than one, too")

config = LlamaConfig(
    vocab_size=512, hidden_size=576, intermediate_size=1536, num_hidden_layers=8, num_attention_heads=HEADS,
    num_key_value_heads=KEY_HEADS, bos_token_id=None, eos_token_id=None, pad_token_id=0, use_cache=True,
)
model = LlamaForCausalLM(config).to(torch.bfloat16).eval()


def decoded(padding):
    """Generate 24 tokens on prompts of 100, the last of which has so much padding."""
    ids = torch.randint(1, 512, (TEXTS, 100))
    mask = torch.ones_like(ids)
    mask[-1, :padding] = 0
    return model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=24, do_sample=False)


full, padded = (took(lambda: decoded(padding), times=1, rounds=5) for padding in (0, 1))
print(f"generate: {full:.0f} ms without padding, {padded:.0f} ms with one token of it, {full / padded:.2f} times")
hold(full > 1.2 * padded, "transformers decodes an unpadded batch as fast as a padded one")
PY
"$work/venv/bin/python" "$work/query.py"
echo "as described"
