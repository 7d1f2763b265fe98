#!/usr/bin/env bash
# verifiers 0.4: a rollout that could not be scored has the reward 0, like one whose every answer is wrong. Rewards that
# were not asked count as nothing: scored again without a runtime, a full 1.0 is a 0.2, and no error is recorded.
#
# Date: 2026-11-29. Versions: verifiers 0.4.0, Python 3.11.
#
# What happens. `Trace.rewards` is careful: None says that a reward was not computed. `Trace.reward` adds up the rest.
#   - A task has a sound reward and one that raises. Task.score raises TaskError and leaves both as None; Trace.reward is
#     0, the number of a wrong answer.
#   - A task has a reward of weight 0.2 that reads the trace and one of weight 0.8 that takes a `runtime`. Scored offline,
#     Task.score(trace, None), the second is not asked, is no key of Trace.rewards, leaves no error, and is noted in a
#     log line of level INFO. Trace.reward is 0.2 where the same trace has 1.0 with a runtime.
#
# Output seen:
#   rewards of weight                                     rewards                    reward  error
#   1 (sound) and 1 (raises)                              broken None, sound None    0       TaskError
#   1 (sound, wrong answer) and 1 (wrong answer)          broken 0, sound 0          0       none
#   0.2 (trace) and 0.8 (runtime), scored with a runtime  polite 1, ran 1            1       none
#   0.2 (trace) and 0.8 (runtime), scored without one     polite 1                   0.2     none
#
# Why the guess is wrong. The library's own rule is that a failure is data and no guess; one reads that in its records and
# in `rewards`, and takes the one number from `reward`.
#
# Whom it hurts. Whoever trains on, averages or filters by Trace.reward: faults of a grader become wrong answers and pull
# the baseline down. Whoever compares scores from a replay with those of the run, or takes "reward below 1" for failed.
#
# What to do. Ask `rewards` first: a None, or a missing name, is no number. Read `ok` and `errors` with every reward. To
# score offline, refuse tasks whose rewards or metrics take a `runtime` without a default.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CUDA_VISIBLE_DEVICES="" HF_HUB_OFFLINE=1 HF_HOME="$work/hf"

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet verifiers==0.4.0

cd "$work"
"$work/venv/bin/python" - <<'PY'
import asyncio
import platform
from importlib.metadata import version

import verifiers.v1 as vf
from verifiers.v1.graph import MessageNode
from verifiers.v1.types import AssistantMessage

print(f"Python {platform.python_version()}, verifiers {version('verifiers')}")


class Graded(vf.Task[vf.TaskData]):
    @vf.reward
    async def sound(self, trace) -> float:
        return float(trace.last_reply == "yes")

    @vf.reward
    async def broken(self, trace) -> float:
        if trace.last_reply == "yes":
            raise ValueError("a bug of the grader's")
        return 0.0


class Ran(vf.Task[vf.TaskData]):
    @vf.reward(weight=0.2)
    async def polite(self, trace) -> float:
        return 1.0

    @vf.reward(weight=0.8)
    async def ran(self, trace, runtime) -> float:
        return 1.0


def scored(kind, reply, runtime=None):
    """Rewards by name, the one number, and the error."""
    task = kind(vf.TaskData(prompt="Is it so?"))
    recorded = vf.TraceTask(type=kind.__name__, data=task.data)
    trace = vf.Trace(task=recorded, agent=vf.AgentInfo(config=vf.AgentConfig()))
    trace.nodes.append(MessageNode(message=AssistantMessage(content=reply), sampled=True))
    error = "none"
    try:
        asyncio.run(task.score(trace, runtime))
    except vf.TaskError as raised:
        error = type(raised).__name__
    rewards = {name: None if reward is None else reward.score for name, reward in trace.rewards.items()}
    return rewards, trace.reward, error, list(trace.errors)


print(f"{'rewards of weight':52}  {'rewards':25}  reward  error")
ROWS = [  # what, task, reply, runtime, expected
    ("1 (sound) and 1 (raises)", Graded, "yes", None, ({"sound": None, "broken": None}, 0, "TaskError", [])),
    ("1 (sound, wrong answer) and 1 (wrong answer)", Graded, "no", None, ({"sound": 0, "broken": 0}, 0, "none", [])),
    ("0.2 (trace) and 0.8 (runtime), scored with a runtime", Ran, "yes", object(),
     ({"polite": 1, "ran": 1}, 1, "none", [])),
    ("0.2 (trace) and 0.8 (runtime), scored without one", Ran, "yes", None, ({"polite": 1}, 0.2, "none", [])),
]
for what, kind, reply, runtime, expected in ROWS:
    rewards, total, error, errors = scored(kind, reply, runtime)
    listed = ", ".join(f"{name} {value if value is None else format(value, 'g')}" for name, value in rewards.items())
    print(f"{what:52}  {listed:25}  {total:<6g}  {error}")
    assert (rewards, round(total, 9), error, errors) == expected, (rewards, total, error, errors)
PY
echo "as described"
