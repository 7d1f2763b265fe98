#!/usr/bin/env bash
# inspect_ai: what a sample without a score is worth depends on the reducer of its epochs. `mean` and `pass_at_2` leave
# missing scores out, `at_least_2` takes them for wrong answers; and a scorer that returns None is counted nowhere.
#
# Date: 2026-11-28. Versions: inspect-ai 0.3.285, Python 3.11.
#
# What happens. Four samples in four epochs; the scorer gives 1 in the first epoch and cannot judge the other three.
# Reduced by `mean`, each sample is 1.0 of its one score. `pass_at_2` has too few scores and leaves all samples out
# (accuracy nan, 4 unscored). `at_least_2` gives 0.0, with four samples scored and none unscored: three missing scores
# became three wrong answers. It is so for `Score.unscored()`, for a score of nan, and for None.
# Without epochs, one of four samples unjudged: `Score.unscored()` is reported as 3 scored and 1 unscored; None is
# reported as 3 scored and 0 unscored, so the results no longer say that a sample is missing.
#
# Output seen (accuracy, samples scored, samples unscored):
#   mean        1.0  4  0
#   pass_at_2   nan  0  4
#   at_least_2  0.0  4  0
#   one epoch, unscored  1.0  3  1
#   one epoch, None      1.0  3  0
#
# Why the guess is wrong. The log's own word for such samples is "unscored", apart from right and wrong, and the
# default reducer treats them so; one expects the others to do the same, and the two counts to add up to the samples.
#
# Whom it hurts. Whoever reports consistency (k of n epochs right) with a scorer that sometimes fails, such as a model
# that judges: faults of the judge lower the figure of the judged model, and nothing in the results shows it.
#
# What to do. Return `Score.unscored()`, not None; count unscored epochs in the log's samples before believing
# `at_least_k`.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export INSPECT_LOG_DIR="$work/logs" HOME="$work" NO_COLOR=1

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet inspect-ai==0.3.285

cd "$work"
"$work/venv/bin/python" - <<'PY' || exit 1
import math
import platform
from importlib.metadata import version

from inspect_ai import Epochs, Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput
from inspect_ai.scorer import Score, accuracy, scorer
from inspect_ai.solver import solver

print(f"Python {platform.python_version()}, inspect-ai {version('inspect-ai')}")


@solver
def write():
    async def solve(state, generate):
        state.output = ModelOutput.from_content("scripted", "an answer")
        return state

    return solve


def results(judge, epochs=None):
    """Accuracy, samples scored and samples unscored, when `judge(sample, epoch)` gives the scores of four samples."""

    @scorer(metrics=[accuracy()])
    def judged():
        async def score(state, target):
            return judge(int(state.sample_id), state.epoch)

        return score

    samples = [Sample(input="a question", target="an answer", id=number) for number in range(1, 5)]
    task = Task(dataset=samples, solver=write(), scorer=judged())
    log = eval(task, model="mockllm/model", epochs=epochs, display="none")[0]
    assert log.status == "success", log.error
    (found,) = log.results.scores
    return found.metrics["accuracy"].value, found.scored_samples, found.unscored_samples


RIGHT = Score(value=1.0)
MISSING = {"unscored": Score.unscored(), "nan": Score(value=math.nan), "None": None}
seen = {}
for kind, missing in MISSING.items():
    for reducer in ("mean", "pass_at_2", "at_least_2"):
        seen[reducer, kind] = results(lambda _, epoch, m=missing: RIGHT if epoch == 1 else m, Epochs(4, reducer))
    seen["one epoch", kind] = results(lambda sample, _, m=missing: RIGHT if sample > 1 else m)
for (name, kind), (value, scored, unscored) in seen.items():
    print(f"{name:10}  {kind:8}  {value}  {scored}  {unscored}")
for kind in MISSING:
    assert seen["mean", kind] == (1.0, 4, 0), "mean has changed"
    assert math.isnan(seen["pass_at_2", kind][0]) and seen["pass_at_2", kind][1:] == (0, 4), "pass_at has changed"
    assert seen["at_least_2", kind] == (0.0, 4, 0), "at_least has changed"
assert seen["one epoch", "unscored"] == seen["one epoch", "nan"] == (1.0, 3, 1), "the count of unscored has changed"
assert seen["one epoch", "None"] == (1.0, 3, 0), "the count of None has changed"
print("As described.")
PY
