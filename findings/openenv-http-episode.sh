#!/usr/bin/env bash
# OpenEnv: POST /reset and then POST /step is no episode. Each request of the HTTP routes gets an environment of its own,
# made for it and thrown away, so /step acts on one that was never reset; no error, no warning. The WebSocket /ws does
# what one expects. A seed for a reset that takes none is dropped as quietly.
#
# Date: 2026-11-29. Versions: openenv 0.10.0, Python 3.11.
#
# What happens. The environment below starts from a total of 0, a reset sets it to 100, a step adds its number. Its box is
# drawn by a reset from the seed. Over HTTP, every answer has status 200:
#   - a step after a reset adds to 0, not to 100, and the next step does so again: nothing is kept from request to request
#   - the box that the seed drew is gone
#   - GET /state says that no step was taken
#   - an environment whose reset takes no seed is reset with {"seed": 1} and draws another box each time; so is one with a
#     misspelt argument ("sede")
#
# Output seen:
#   HTTP       reset 100 in box 140891; steps 1, 1 in boxes that are no 140891; state: 0 steps
#   WebSocket  reset 100 in box 140891; steps 101, 102 in box 140891
#   reset without a seed, asked for seed 1 three times: 3 boxes; a misspelt argument: status 200
#
# Why the guess is wrong. /reset and /step are the verbs of Gymnasium, they are documented side by side in the server's
# own /docs, and the server is most often one container for one trainer. Many clients of environments are two POSTs.
#
# Whom it hurts. Whoever trains or evaluates with plain HTTP: rewards come from the state that the constructor leaves, the
# model reads the observation of a reset that its actions never meet, and a run of one-step episodes shows nothing odd.
# And whoever seeds for a comparison: two arms believed to have played the same episodes have not.
#
# What to do. Use EnvClient or /ws, one session an episode. Test that a step's observation follows from its reset, and
# that the same seed twice shows the same, before trusting either.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CUDA_VISIBLE_DEVICES="" HF_HUB_OFFLINE=1 HF_HOME="$work/hf"

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet openenv==0.10.0

cd "$work"
"$work/venv/bin/python" - <<'PY'
import platform
import random
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")  # Of the test client, about its own successor.

from fastapi.testclient import TestClient
from openenv.core.env_server.http_server import create_fastapi_app
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, Observation, State

print(f"Python {platform.python_version()}, openenv {version('openenv')}")


class Add(Action):
    number: int


class Seen(Observation):
    total: int
    box: int


class Adder(Environment[Add, Seen, State]):
    def __init__(self):
        super().__init__()
        self.total, self.box, self.taken = 0, random.randrange(10**6), State()

    def reset(self, seed=None, episode_id=None, **more):
        self.total, self.box = 100, random.Random(seed).randrange(10**6)
        return Seen(total=self.total, box=self.box)

    def step(self, action, timeout_s=None, **more):
        self.total += action.number
        self.taken.step_count += 1
        return Seen(total=self.total, box=self.box)

    @property
    def state(self):
        return self.taken


class Seedless(Adder):
    def reset(self):
        return super().reset()


def served(kind):
    return TestClient(create_fastapi_app(kind, Add, Seen))


def posted(client, path, body):
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    seen = answer.json()["observation"]
    return seen["total"], seen["box"]


client = served(Adder)
first = posted(client, "/reset", {"seed": 1})
steps = [posted(client, "/step", {"action": {"number": 1}}) for _ in range(2)]
taken = client.get("/state").json()["step_count"]
print(f"HTTP       reset {first[0]} in box {first[1]}; steps {steps[0][0]}, {steps[1][0]} in boxes that are no "
      f"{first[1]}; state: {taken} steps")
assert first[0] == 100
assert [total for total, _ in steps] == [1, 1]
assert all(box != first[1] for _, box in steps)
assert taken == 0

with client.websocket_connect("/ws") as session:
    seen = []
    for message in ({"type": "reset", "data": {"seed": 1}}, *[{"type": "step", "data": {"number": 1}}] * 2):
        session.send_json(message)
        seen.append(session.receive_json()["data"]["observation"])
print(f"WebSocket  reset {seen[0]['total']} in box {seen[0]['box']}; steps {seen[1]['total']}, {seen[2]['total']} in box "
      f"{seen[2]['box']}")
assert [each["total"] for each in seen] == [100, 101, 102]
assert {each["box"] for each in seen} == {first[1]}

seedless = served(Seedless)
boxes = {posted(seedless, "/reset", {"seed": 1})[1] for _ in range(3)}
misspelt = seedless.post("/reset", json={"sede": 1}).status_code
print(f"reset without a seed, asked for seed 1 three times: {len(boxes)} boxes; a misspelt argument: status {misspelt}")
assert len(boxes) == 3
assert misspelt == 200
PY
echo "as described"
