#!/usr/bin/env bash
# TRL's GRPOTrainer: a reward function that abstains has scored 0, and a group that abstentions have silenced isn't
# counted among those without variance.
#
# Date: 2026-11-28. Versions: trl 1.16.0, transformers 5.24.0, torch 2.13.0 (CPU), Python 3.11.
#
# What happens. A reward function may return None for a completion. GRPOTrainer's documentation says that the function
# is then left out of that completion's reward. With the default way of putting several functions together (sum, then
# normalise) being left out of a sum is the same as having added 0:
#   - of two completions that are both right, the one on which a second judge abstains is pushed down as hard as a wrong
#     one is, and the other one up;
#   - if that judge only ever takes points away, abstaining beats being judged: the completion without a verdict wins;
#   - a right completion without a verdict ties with a wrong one that the second judge likes, and nothing is learnt.
# Only when every function abstains is a completion kept out of its group's mean. Then a pair of which one abstains
# gives its other half an advantage of 0: no gradient. Such a pair, and a group that abstained as a whole, have a
# standard deviation that is not a number, so frac_reward_zero_std, by which one sees how many groups teach nothing,
# says 0 of them.
#
# Output seen (adv: the advantages of the pair; dead: frac_reward_zero_std):
#   answer [1, 1], judge [1, None]                      adv [0.707, -0.707]  gradient yes  dead 0.0
#   answer [1, 1], judge [-1, None]                     adv [-0.707, 0.707]  gradient yes  dead 0.0
#   answer [0, 1], judge [1, None]                      adv [0.0, 0.0]       gradient no   dead 1.0
#   answer [1, 1], judge [1, None], normalize_then_sum  adv [0.0, 0.0]       gradient no   dead 1.0
#   answer [0, 1], judge [1, None], normalize_then_sum  adv [-0.707, 0.707]  gradient yes  dead 0.0
#   answer [1, 1]                                       adv [0.0, 0.0]       gradient no   dead 1.0
#   answer [1, None]                                    adv [0.0, 0.0]       gradient no   dead 0.0
#   answer [None, None]                                 adv [0.0, 0.0]       gradient no   dead 0.0
#
# Why the guess is wrong. "Left out" reads as neutral: a mean over those who answered, or the advantage that the answer
# alone would give. And the metric's name promises every group without a signal, where only a standard deviation that
# is exactly 0 counts.
#
# Whom it hurts. Whoever trains with several verifiers of which one may abstain within a group (a parser that finds
# nothing to parse, a judge that timed out, a test that doesn't apply), and whoever watches frac_reward_zero_std to see
# how much of a batch is wasted.
#
# What to do. Let a function abstain on a whole prompt, never on some completions of it: inside a group return a number
# that means neutral for that judge (the group's mean of it, say), or set multi_objective_aggregation to
# "normalize_then_sum", where an abstention counts as average. Count the groups without a signal from the advantages.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CUDA_VISIBLE_DEVICES="" OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 HF_HOME="$work/hf"

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0 trl==1.16.0

cd "$work"
"$work/venv/bin/python" - <<'PY' || exit 1
import contextlib
import glob
import io
import logging
import math
import platform
import tempfile
import warnings

import pyarrow.parquet
import torch
import transformers
import trl
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
print(f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}, "
      f"trl {trl.__version__}")


def tokenizer():
    vocab = ["<pad>", "<eos>", "<unk>", *(f"w{i}" for i in range(29))]
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocab)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>")


def model():
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=64, pad_token_id=0, bos_token_id=None, eos_token_id=1))


def verifier(name, verdicts):
    def reward(completions, **_):
        assert len(completions) == len(verdicts)
        return list(verdicts)

    reward.__name__ = name
    return reward


def step(aggregation="sum_then_normalize", **verdicts):
    """One step of GRPO on one pair of completions: its advantages, whether anything moved, and the metric."""
    out = tempfile.mkdtemp(dir=".")
    trainer = trl.GRPOTrainer(
        model=model(),
        processing_class=tokenizer(),
        reward_funcs=[verifier(name, values) for name, values in verdicts.items()],
        train_dataset=Dataset.from_list([{"prompt": "w1"}]),
        args=trl.GRPOConfig(
            output_dir=out, per_device_train_batch_size=2, num_generations=2, max_completion_length=4, max_steps=1,
            logging_steps=1, log_completions=True, save_strategy="no", report_to=[], use_cpu=True, bf16=False,
            gradient_checkpointing=False, disable_tqdm=True, seed=0, multi_objective_aggregation=aggregation))
    with contextlib.redirect_stdout(io.StringIO()):
        trainer.train()
    [table] = glob.glob(f"{out}/completions/*.parquet")
    advantages = [round(a, 3) for a in pyarrow.parquet.read_table(table)["advantage"].to_pylist()]
    logged = trainer.state.log_history[0]
    assert math.isfinite(logged["grad_norm"])
    label = ", ".join(f"{name} {values}" for name, values in verdicts.items()).replace(".0", "")
    label += "" if aggregation == "sum_then_normalize" else f", {aggregation}"
    seen = (advantages, logged["grad_norm"] > 0, logged["frac_reward_zero_std"])
    print(f"{label:50}  adv {advantages!s:15}  gradient {'yes' if seen[1] else 'no':3}  dead {seen[2]}")
    return seen


up, down, flat = [0.707, -0.707], [-0.707, 0.707], [0.0, 0.0]
one, none = 1.0, None
assert step(answer=[one, one], judge=[one, none]) == (up, True, 0.0)
assert step(answer=[one, one], judge=[-one, none]) == (down, True, 0.0)
assert step(answer=[0.0, one], judge=[one, none]) == (flat, False, 1.0)
assert step("normalize_then_sum", answer=[one, one], judge=[one, none]) == (flat, False, 1.0)
assert step("normalize_then_sum", answer=[0.0, one], judge=[one, none]) == (down, True, 0.0)
assert step(answer=[one, one]) == (flat, False, 1.0)
assert step(answer=[one, none]) == (flat, False, 0.0)
assert step(answer=[none, none]) == (flat, False, 0.0)
print("as described: an abstention counts as 0, and a group that it silences isn't counted as dead")
PY
