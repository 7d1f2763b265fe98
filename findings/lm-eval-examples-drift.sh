#!/usr/bin/env bash
# lm-eval: an item's few-shot examples depend on the items evaluated before it, and evaluate() called twice on the same
# task objects shows a second model other examples than the first.
#
# Date: 2026-11-29. Versions: lm-eval 0.4.13, datasets 5.2.0, torch 2.13.0 (CPU), Python 3.11.
#
# What happens. The default few-shot sampler (gsm8k, hendrycks_math and most others; mmlu_pro's is in order) has one
# random generator for a task, and draws from it item after item. So item 2 gets other examples when it is evaluated
# alone than when items 0 and 1 come first, and a run with `limit` or `samples` is no part of the whole run.
# simple_evaluate() seeds the generator (`fewshot_random_seed`), evaluate() does not: on task objects that were loaded
# once, it goes on where the last call stopped, so that two models get different prompts for the same items. No error, no
# warning; `prompt_hash` in the samples shows it.
#
# Output seen:
#   item 2, alone and after items 0 and 1: 1 rows in both, 1 with other prompts
#   evaluate() twice on one task: 8 rows in both, 8 with other prompts
#   evaluate() twice, seeded before each: 8 rows in both, 0 with other prompts
#   simple_evaluate() twice: 8 rows in both, 0 with other prompts
#
# Why the guess is wrong. "Seeded" is read as "each item's prompt is fixed", as it would be with a generator seeded by
# the item. And loading tasks once for several models is what saves loading them again.
#
# Whom it hurts. Whoever compares models item by item, merges results of parts (chunks of `samples`, several machines),
# or resumes by asking only the missing items: examples differ, and their effect is counted as the models'.
#
# What to do. Call task.set_fewshot_seed(seed) before each evaluate(), and ask the same list of items each time. Check
# that `prompt_hash` is equal before two samples are paired.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CUDA_VISIBLE_DEVICES="" OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 HF_HOME="$work/hf" TQDM_DISABLE=1

"${PYTHON:-python3}" -m venv "$work/venv"
# lm-eval's interface imports parts of its Hugging Face extra
"$work/venv/bin/pip" install --quiet torch==2.13.0 "lm-eval[hf]==0.4.13" datasets==5.2.0 transformers==5.24.0

cd "$work"
"$work/venv/bin/python" - <<'PY' 2>errors || { cat errors; exit 1; }
import logging
import platform
from importlib.metadata import version

logging.disable(logging.WARNING)
from datasets import Dataset
from lm_eval.api.registry import get_model
from lm_eval.evaluator import evaluate, simple_evaluate
from lm_eval.tasks import TaskManager

print(f"Python {platform.python_version()}, lm-eval {version('lm-eval')}, datasets {version('datasets')}")
splits = {
    "train": [{"question": f"What is {number} + 1?", "answer": str(number + 1)} for number in range(40)],
    "test": [{"question": f"What is {number} + 2?", "answer": str(number + 2)} for number in range(8)],
}
config = {
    "task": "sums",
    "custom_dataset": lambda **_: {split: Dataset.from_list(rows) for split, rows in splits.items()},
    "training_split": "train",
    "fewshot_split": "train",
    "test_split": "test",
    "num_fewshot": 4,
    "output_type": "generate_until",
    "generation_kwargs": {"until": ["\n"]},
    "doc_to_text": "{{question}}",
    "doc_to_target": "{{answer}}",
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
}
manager, model = TaskManager(include_defaults=False), get_model("dummy")()


def rows_and_prompts(results):
    return {each["doc_hash"]: each["prompt_hash"] for each in results["samples"]["sums"]}


def whole(**options):
    return rows_and_prompts(simple_evaluate(model, tasks=[config], task_manager=manager, bootstrap_iters=0, **options))


def again(tasks, seed=None):
    if seed is not None:
        tasks["tasks"]["sums"].set_fewshot_seed(seed)
    return rows_and_prompts(evaluate(model, tasks, bootstrap_iters=0))


def compared(one, other):
    shared = one.keys() & other.keys()
    differing = sum(one[row] != other[row] for row in shared)
    return len(shared), differing


alone, after_two = whole(samples={"sums": [2]}), whole(limit=3)
loaded = manager.load([config])
first, second = again(loaded), again(loaded)
seeded, seeded_again = again(loaded, seed=7), again(loaded, seed=7)
found = {
    "item 2, alone and after items 0 and 1": compared(alone, after_two),
    "evaluate() twice on one task": compared(first, second),
    "evaluate() twice, seeded before each": compared(seeded, seeded_again),
    "simple_evaluate() twice": compared(whole(), whole()),
}
for what, (rows, differing) in found.items():
    print(f"{what}: {rows} rows in both, {differing} with other prompts")

assert list(found.values()) == [(1, 1), (8, 8), (8, 0), (8, 0)]
print("as described: an item's examples depend on what was evaluated before it")
PY
