#!/usr/bin/env bash
# TRL's GRPOTrainer scores a token by the backbone and the output matrix: what a model has between the two is left out,
# silently. ModernBERT's decoder is trained on log-probabilities several nats from those that it samples with.
#
# Date: 2026-11-28. Versions: trl 1.16.0, transformers 5.24.0, torch 2.13.0 (CPU), Python 3.11.
#
# What happens. GRPOTrainer saves memory with a head of its own: it runs `model.base_model` and multiplies the last
# hidden states by `model.get_output_embeddings()`. Scales and soft caps that the configuration names are applied. But
# ModernBertDecoderForCausalLM has a dense layer, an activation and a norm between backbone and output matrix (as every
# BERT-like head has), and these are skipped. Nothing warns: shapes fit, the loss is finite, the gradient isn't zero.
#
# Output seen (largest difference of a completion token's log-probability from the model's own logits, in nats):
#   llama               0.00
#   modernbert-decoder  5.77
#
# Why the guess is wrong. The model loads by AutoModelForCausalLM and generates; one expects training to score with what
# generates, or an error where it can't.
#
# Whom it hurts. Whoever trains such a model with GRPO: ratios and divergences are those of another model, whose
# updates don't raise the probability of what was rewarded.
#
# What to do. Before training compare the trainer's log-probabilities with log_softmax of model(...).logits, once.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CUDA_VISIBLE_DEVICES="" OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 HF_HOME="$work/hf"

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0 trl==1.16.0

cd "$work"
"$work/venv/bin/python" - <<'PY' || exit 1
import logging
import platform
import warnings

import torch
import transformers
import trl
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
print(f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}, "
      f"trl {trl.__version__}")


def tokenizer():
    vocab = ["<pad>", "<eos>", "<unk>", *(f"w{i}" for i in range(29))]
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocab)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>")


def trainer_of(kind, **sizes):
    """A GRPOTrainer of a tiny network of this kind, with weights large enough to see what each token changes."""
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(AutoConfig.for_model(
        kind, vocab_size=32, pad_token_id=0, bos_token_id=1, eos_token_id=1, initializer_range=0.3, **sizes)).eval()
    return trl.GRPOTrainer(
        model=network, processing_class=tokenizer(), reward_funcs=[lambda completions, **_: [0.0] * len(completions)],
        train_dataset=Dataset.from_list([{"prompt": "w1"}]),
        args=trl.GRPOConfig(
            output_dir="out", per_device_train_batch_size=2, num_generations=2, max_steps=1, report_to=[],
            use_cpu=True, bf16=False, gradient_checkpointing=False, disable_tqdm=True, temperature=1.0))


def apart(trainer):
    """How far the trainer's log-probabilities are from the model's own, without any padding."""
    ids = torch.randint(3, 32, (2, 20))
    with torch.no_grad():
        scored = trainer._get_per_token_logps_and_entropies(trainer.model, ids, torch.ones_like(ids), 8)[0]
        own = trainer.model(input_ids=ids).logits[:, -9:-1].log_softmax(-1).gather(-1, ids[:, -8:, None])[..., 0]
    return float((scored - own).abs().max())


SIZES = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4)
found = {kind: apart(trainer_of(kind, **SIZES)) for kind in ("llama", "modernbert-decoder")}
for kind, difference in found.items():
    print(f"{kind:18}  {difference:.2f}")
assert found["llama"] < 1e-4
assert found["modernbert-decoder"] > 0.5
print("as described: ModernBERT's decoder is scored without a part of its head")
PY
