#!/usr/bin/env bash
# transformers: PhiMoE's router_jitter_noise isn't noise. It decides in evaluation, too, how the experts' outputs are
# weighted, so setting it to 0 "to switch the noise off" gives another model. Mixtral's field of the same name is noise.
#
# Date: 2026-11-28. Versions: transformers 5.24.0, torch 2.13.0 (CPU), Python 3.11.
#
# What happens. In both families the configuration has router_jitter_noise.
#   - Mixtral multiplies the hidden states by random numbers from 1 - noise to 1 + noise, in training mode alone. In
#     evaluation the value changes nothing.
#   - PhiMoE's router takes it as a threshold: experts whose score lies further below the best one's than twice this
#     value (relative to the larger of the two sizes) are left out before the softmax that weighs the chosen expert.
#     Nothing is drawn from it, and it acts in both modes. The noise of training mode is input_jitter_noise, and the
#     sampling of the expert.
#
# Output seen (largest change of the logits in evaluation mode, the same weights, against router_jitter_noise = 0):
#   mixtral: 0.01 -> 0, 0.3 -> 0
#   phimoe: 0.01 -> 0.63, 0.3 -> 1.7; the same value twice gives the same logits
#
# Why the guess is wrong. The name, its sibling input_jitter_noise, which is noise, and the field of the same name in
# Mixtral, from which PhiMoE is derived, all say that this is training noise that evaluation doesn't see.
#
# Whom it hurts. Whoever switches every source of randomness off before comparing log-probabilities (the policy's with
# those of an inference engine or of a reference model, in GRPO or distillation): the comparison is then with a model
# that nobody trained, and importance ratios are off by more than rounding, without a warning.
#
# What to do. Set input_jitter_noise to 0 and leave router_jitter_noise as published.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HF_HUB_OFFLINE=1 HF_HOME="$work/hf"

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0

cd "$work"
"$work/venv/bin/python" - <<'PY' || exit 1
import platform

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

transformers.logging.set_verbosity_error()
print(f"Python {platform.python_version()}, transformers {transformers.__version__}, torch {torch.__version__}")
SMALL = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 64, "pad_token_id": 0, "eos_token_id": 1,
    "bos_token_id": 1, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None,
}


def logits(family, noise):
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **SMALL, router_jitter_noise=noise)
    network = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for weights in network.parameters():
            if weights.dim() > 1:
                weights.mul_(8)
        return network(torch.arange(2, 34)[None]).logits


def change(family, noise):
    return float((logits(family, noise) - logits(family, 0.0)).abs().max())


for family in ("mixtral", "phimoe"):
    print(f"{family}: {', '.join(f'{noise} -> {change(family, noise):.2g}' for noise in (0.01, 0.3))}")
assert change("mixtral", 0.01) == change("mixtral", 0.3) == 0
assert change("phimoe", 0.01) > 1e-3 and change("phimoe", 0.3) > 1e-3
assert torch.equal(logits("phimoe", 0.3), logits("phimoe", 0.3))
print("as described: PhiMoE's router_jitter_noise changes what it computes in evaluation")
PY
