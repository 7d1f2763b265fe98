#!/usr/bin/env bash
# TRL and transformers: a checkpoint stored in bfloat16 is trained in float32 if the trainer gets its name, and in
# bfloat16 if it gets the loaded model; then 98 of 100 weights are after thirty steps what they were before.
#
# Date: 2026-11-30. Versions: TRL 1.16.0, transformers 5.24.0, accelerate 1.15.0, torch 2.13.0 (CPU), Python 3.11.
#
# What happens. SFTTrainer (GRPOTrainer likewise) loads a model that is given by name in float32. from_pretrained, from
# transformers 5 on, loads it as it is stored, which for nearly every published model is bfloat16; a trainer takes the
# loaded model as it is. bf16=True is the same for both: it computes passes in bfloat16, and makes no copy of the
# weights in float32. AdamW moves a weight by about the learning rate, 1e-6 here, and a bfloat16 has eight significant
# bits: a sum that rounds to the old weight leaves nothing behind, not for the next step either. No warning is printed,
# and the mean loss is the same to three digits.
#
# Output seen (the dtype of the trained weights, the share of matrices' weights that thirty steps left as they were):
#   by name                torch.float32    0.1%   loss 4.178
#   loaded beforehand      torch.bfloat16  98.0%   loss 4.179
#
# Why the guess is wrong. Name and object look like two spellings of one thing, and bf16=True like mixed precision, of
# which everybody knows that the weights stay in float32. They do, if that is what they were; before transformers 5 a
# loaded model was.
#
# Whom it hurts. Whoever loads the model first, to add tokens, an adapter or a quantised head, and trains it whole at a
# rate of reinforcement learning, 1e-7 to 1e-5: the reward stays where it was, and the search begins in the reward
# function. A model of 135 million weights at 3e-5 learnt nothing that way in 24 steps, and in float32 what there was to
# learn in five.
#
# What to do. from_pretrained(..., dtype=torch.float32) before a full training; adapters of peft are float32 anyway.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 ${TORCH_INDEX:+--index-url "$TORCH_INDEX"}
"$work/venv/bin/pip" install --quiet trl==1.16.0 transformers==5.24.0 accelerate==1.15.0

cat > "$work/by_name.py" <<'PY'
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer

torch.manual_seed(0)
print(", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "trl", "accelerate")))
folder = Path(sys.argv[1])
words = ["<pad>", "<end>", *(f"w{number}" for number in range(62))]
plain = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="<pad>"))
plain.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="<pad>", eos_token="<end>")
texts = Dataset.from_list([{"text": " ".join(f"w{(a + b) % 62}" for b in range(12))} for a in range(64)])

stored = str(folder / "stored")
shape = LlamaConfig(
    vocab_size=64, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=4, max_position_embeddings=64, pad_token_id=0, eos_token_id=1,
)
LlamaForCausalLM(shape).bfloat16().save_pretrained(stored)
tokenizer.save_pretrained(stored)
before = {
    name: weight.clone()
    for name, weight in AutoModelForCausalLM.from_pretrained(stored, dtype=torch.float32).state_dict().items()
    if weight.dim() == 2
}


def unchanged(model):
    """The dtype of the trained weights, the share of them that did not change, and the mean loss."""
    settings = SFTConfig(
        output_dir=str(folder / "out"), max_steps=30, learning_rate=1e-6, lr_scheduler_type="constant",
        weight_decay=0.0, per_device_train_batch_size=8, bf16=True, use_cpu=True, report_to=[], save_strategy="no",
        logging_strategy="no", disable_tqdm=True,
    )
    trainer = SFTTrainer(model=model, args=settings, train_dataset=texts, processing_class=tokenizer)
    loss = trainer.train().training_loss
    after = trainer.model.state_dict()
    same = sum(int((after[name].float() == weight).sum()) for name, weight in before.items())
    return after["model.embed_tokens.weight"].dtype, same / sum(weight.numel() for weight in before.values()), loss


found = {"by name": unchanged(stored), "loaded beforehand": unchanged(AutoModelForCausalLM.from_pretrained(stored))}
for kind, (dtype, share, loss) in found.items():
    print(f"{kind:20} {dtype!s:16} {100 * share:5.1f}%   loss {loss:.3f}")
assert found["by name"][0] is torch.float32 and found["by name"][1] < 0.05
assert found["loaded beforehand"][0] is torch.bfloat16 and found["loaded beforehand"][1] > 0.9
assert abs(found["by name"][2] - found["loaded beforehand"][2]) < 0.01, "their losses differ"
PY
"$work/venv/bin/python" "$work/by_name.py" "$work" 2> "$work/errors" || { cat "$work/errors"; exit 1; }
if grep -i "bfloat16\|bf16\|dtype\|precision" "$work/errors"; then
    echo "it warns now"
    exit 1
fi
echo "as described"
