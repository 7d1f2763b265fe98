#!/usr/bin/env bash
# lm-eval: a list of items that does not ascend is evaluated in ascending order, and each result is recorded under the
# number of another item.
#
# Date: 2026-11-29. Versions: lm-eval 0.4.13, datasets 5.2.0, torch 2.13.0 (CPU), Python 3.11.
#
# What happens. `samples={"task": [5, 2]}` (on the command line `--samples`) names the items to evaluate. The rows are
# walked in the data set's order and those in the list are kept, so item 2 comes first; the logged sample takes its
# `doc_id` from the list by position, so it is called 5. The accuracy is right, since the set of items is. Every use of
# the samples by their number is wrong: which item was answered how, and any pairing of two models by `doc_id` when
# their lists were in different orders. There is no error and no warning.
#
# Output seen:
#   asked for [2, 5]: doc_id 2 is "What is 2?", doc_id 5 is "What is 5?"
#   asked for [5, 2]: doc_id 5 is "What is 2?", doc_id 2 is "What is 5?"
#
# Why the guess is wrong. The list looks like a list of indices, as in `dataset.select([5, 2])`, which keeps their order
# and which others use to draw a random subset: `random.sample(range(n), k)` is not sorted. The `doc_id` in the logged
# sample looks like an identity, and is a position in the caller's list.
#
# Whom it hurts. Whoever evaluates a random subset and then reads the samples: error analysis, comparisons of two models
# item by item (McNemar's test, a paired bootstrap), item difficulties.
#
# What to do. Sort the list before it is given. Pair by `doc_hash`, which is of the row itself, and not by `doc_id`.
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
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager

print(f"Python {platform.python_version()}, lm-eval {version('lm-eval')}, datasets {version('datasets')}")
rows = [{"question": f"What is {number}?", "answer": str(number)} for number in range(8)]
task = {
    "task": "numbers",
    "custom_dataset": lambda **_: {"test": Dataset.from_list(rows)},
    "test_split": "test",
    "output_type": "generate_until",
    "generation_kwargs": {"until": ["\n"]},
    "doc_to_text": "{{question}}",
    "doc_to_target": "{{answer}}",
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
}


def evaluated(numbers):
    found = simple_evaluate(
        get_model("dummy")(),
        tasks=[task],
        samples={"numbers": numbers},
        task_manager=TaskManager(include_defaults=False),
        bootstrap_iters=0,
    )
    return {sample["doc_id"]: sample["doc"]["question"] for sample in found["samples"]["numbers"]}


for numbers in ([2, 5], [5, 2]):
    named = ", ".join(f'doc_id {number} is "{question}"' for number, question in evaluated(numbers).items())
    print(f"asked for {numbers}: {named}")

assert evaluated([2, 5]) == {2: "What is 2?", 5: "What is 5?"}
assert evaluated([5, 2]) == {5: "What is 2?", 2: "What is 5?"}
print("as described: out of order, each result has another item's number")
PY
