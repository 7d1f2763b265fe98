#!/usr/bin/env bash
# TRL's GRPOTrainer passes no position ids with its left-padded batches: GPT-2's log-probability of the same completion
# depends on how long its neighbour's prompt is.
#
# Date: 2026-11-28. Versions: trl 1.16.0, transformers 5.24.0, torch 2.13.0 (CPU), Python 3.11.
#
# What happens. Prompts are padded on the left, and the scoring pass gets input_ids and attention_mask. The mask keeps
# the padding from being attended to. It doesn't move positions: a model that gets no position_ids counts them from the
# first column, padding included. With rotary positions nothing changes, since only distances matter. With learned or
# sinusoidal ones each row is scored at positions other than those it was generated at, since `generate` does derive
# position_ids from the mask.
#
# Output seen (largest change of a completion token's log-probability, in nats, when the other row's prompt is 24 tokens
# longer):
#   llama        0.00
#   opt          0.00   derives positions from the mask itself
#   gpt2         2.25
#   gpt_bigcode  2.84
#   gpt_neo      1.93
#
# Why the guess is wrong. An attention mask is taken to make padding harmless, and for generation it does.
#
# Whom it hurts. Whoever trains these with GRPO on prompts of different lengths: the ratio of new to old probabilities
# looks fine, since both are wrong alike, but it is that of texts at other positions than those sampled.
#
# What to do. Prompts of one length in a batch, or a model with rotary positions, or a subclass whose scoring pass adds
# position_ids = (attention_mask.cumsum(1) - 1).clamp(min=0).
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


def moved(trainer):
    """How far one completion's log-probabilities move when its neighbour's prompt grows by 24 tokens."""
    row, other = torch.randint(3, 32, (1, 16)), torch.randint(3, 32, (1, 40))
    short = torch.cat([row, other[:, -16:]])
    long = torch.cat([torch.nn.functional.pad(row, (24, 0)), other])
    with torch.no_grad():
        one, same = (
            trainer._get_per_token_logps_and_entropies(trainer.model, ids, (ids > 0).long(), 8)[0][0]
            for ids in (short, long))
    return float((one - same).abs().max())


WIDE = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4)
GPT = dict(n_embd=32, n_layer=2, n_head=4)
SIZES = {
    "llama": {**WIDE, "intermediate_size": 64},
    "opt": {**WIDE, "ffn_dim": 64, "word_embed_proj_dim": 32, "init_std": 0.3},
    "gpt2": GPT,
    "gpt_bigcode": GPT,
    "gpt_neo": {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]]},
}
found = {}
for kind, sizes in SIZES.items():
    trainer = trainer_of(kind, **sizes)
    trainer.model.eval()
    found[kind] = moved(trainer)
    print(f"{kind:11}  {found[kind]:.2f}")
assert max(found["llama"], found["opt"]) < 1e-4
assert min(found["gpt2"], found["gpt_bigcode"], found["gpt_neo"]) > 0.1
print("as described: without position ids, padding moves learned positions")
PY
