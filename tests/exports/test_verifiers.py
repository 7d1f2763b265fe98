"""A task in verifiers: in its own rollouts, with a model played by a real server."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("verifiers", reason="the extra verifiers is not installed")
pytestmark = pytest.mark.exports

import verifiers.v1 as vf

from rrr_core.errors import RrrError
from rrr_core.exports.judging import shared_judge
from rrr_core.exports.verifiers import last_reply
from tests.conftest import FakeSite
from tests.exports.plugins import SHAKY
from tests.generation.served import Handler, Stage, completion, serving


@pytest.fixture(autouse=True)
def shaky(site: FakeSite) -> Iterator[None]:
    site.install_task("shaky", SHAKY)
    yield
    shared_judge("shaky").close()
    shared_judge.cache_clear()


def environment(**taskset: Any) -> vf.Env:
    config = {"taskset": {"id": "rrr-taskset", "task_name": "shaky", **taskset}}
    return vf.load_environment(vf.resolve_env_config(config))


def rollouts(reply: str, **taskset: Any) -> tuple[list[vf.Trace], Stage]:
    """The traces of an episode for each row, of a model that always says `reply`."""

    def play(handler: Handler, body: dict[str, Any]) -> None:
        handler.send(200, completion(reply))

    async def run(url: str) -> list[vf.Trace]:
        env = environment(**taskset)
        client = vf.EvalClientConfig(base_url=url, api_key_var="NO_KEY")
        context = vf.ModelContext(client=client, model="m")
        async with env.serving():
            episodes = await asyncio.gather(*(env.run_episode(task, context) for task in env.taskset))
        return [trace for episode in episodes for trace in episode.traces]

    with serving(play) as stage:
        return asyncio.run(run(stage.base_url)), stage


def test_the_reward_is_the_tasks_verdict() -> None:
    traces, _ = rollouts("1", rows=3)
    assert [(trace.ok, trace.rewards["passed"].score) for trace in traces] == [(True, 0.0), (True, 1.0), (True, 0.0)]
    assert traces[0].info["verdict"] == {"verdict": "failed", "category": "wrong number", "detail": "not 0"}


def test_a_withheld_verdict_is_an_error_that_names_the_plugin_and_never_a_zero() -> None:
    (trace,), _ = rollouts("crash", rows=1)
    assert not trace.ok
    assert trace.rewards == {"passed": None}
    assert trace.errors[-1].type == "TaskError"
    assert "VerdictWithheld: exception: rrr-shaky 1.0, hook rrr_verify: ZeroDivisionError" in trace.errors[-1].message
    assert trace.info["verdict"]["verdict"] == "abstained"


def test_the_model_is_asked_once_with_the_tasks_prompt() -> None:
    _, stage = rollouts("1", rows=1, model="Qwen/Qwen3-8B", data={"first": "9"})
    (request,) = stage.requests
    assert request["messages"] == [
        {"role": "system", "content": "You are a qwen."},
        {"role": "user", "content": "Say 9."},
    ]
    assert "tools" not in request


def test_the_whole_text_is_judged_as_it_was_written() -> None:
    (trace,), _ = rollouts(" 0\n", rows=1)
    assert trace.last_reply == "0"
    assert last_reply(trace) == " 0\n"
    assert trace.rewards["passed"].score == 0.0


def test_overlays_apply() -> None:
    (trace,), _ = rollouts("0", rows=1, overlays=["noisy:probability=1"])
    assert trace.rewards["passed"].score == 0.0


def test_rows_keep_their_order_and_verifiers_takes_some_of_them() -> None:
    taskset = environment(split="train", data={"first": "3"}).taskset.skip(1).take(2)
    assert [(task.data.id, task.data.row) for task in taskset] == [
        ("train-1", {"number": 4, "split": "train"}),
        ("train-2", {"number": 5, "split": "train"}),
    ]


def test_a_row_records_where_it_came_from() -> None:
    (task,) = environment(rows=1).taskset
    assert task.data.provenance == {
        "task": "shaky",
        "distribution": "rrr-shaky",
        "version": "1.0",
        "overlays": [],
    }


def test_a_saved_trace_can_be_scored_again_without_the_run() -> None:
    (trace,), _ = rollouts("0", rows=1)
    (task,) = environment(rows=1).taskset
    saved = type(trace).model_validate_json(trace.model_dump_json())
    assert saved.rewards["passed"].score == 1.0
    asyncio.run(task.score(saved, None))
    assert saved.rewards["passed"].score == 1.0


def test_gold_answers_are_valid_and_rows_without_one_are_undecided() -> None:
    async def validate() -> list[bool | None]:
        return [await task.validate(None) for task in environment(rows=2).taskset]

    assert asyncio.run(validate()) == [None, True]


def test_an_unknown_task_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match="Did you mean 'shaky'"):
        environment(task_name="shakey")


def test_a_task_has_to_be_named() -> None:
    with pytest.raises(RrrError, match="No task is named: give --env.taskset.task-name"):
        list(environment(task_name="").taskset)


def test_vf_eval_runs_it_from_the_command_line(tmp_path: Path) -> None:
    def play(handler: Handler, body: dict[str, Any]) -> None:
        handler.send(200, completion("<answer>1+1</answer>"))

    with serving(play) as stage:
        command = [str(Path(sys.executable).with_name("vf-eval")), "rrr-taskset"]
        command += ["--env.taskset.task-name", "countdown", "-n", "2", "--model", "m"]
        command += ["--client.base-url", stage.base_url, "--no-rich", "--no-push", "--output-dir", str(tmp_path)]
        environ = {**os.environ, "HOME": str(tmp_path)}
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path, env=environ)
    assert done.returncode == 0, done.stderr
    (kept,) = tmp_path.glob("countdown--m--*/traces.jsonl")
    episodes = [json.loads(line) for line in kept.read_text().splitlines()]
    categories = [trace["info"]["verdict"]["category"] for each in episodes for trace in each["traces"]]
    assert categories == ["wrong numbers", "wrong numbers"]
