"""Any model behind `/v1/chat/completions` can be mined and evaluated from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openai")

from rrr_core.cli import run_command
from rrr_core.mining.failure_set import read_failures
from tests.generation.served import Handler, completion, serving


def hasty(handler: Handler, body: dict[str, Any]) -> None:
    """Adds up all numbers at first; after a reflection it subtracts the last one."""
    messages = body["messages"]
    if "reflect" in messages[-1]["content"].lower():
        handler.send(200, completion("I only added."))
        return
    question = messages[-1]["content"]
    numbers = [int(number) for number in question.partition("[")[2].partition("]")[0].split(",")]
    sign = "-" if any(message["content"] == "I only added." for message in messages) else "+"
    handler.send(200, completion(f"<answer>{'+'.join(map(str, numbers[:-1]))}{sign}{numbers[-1]}</answer>"))


def test_a_served_model_is_mined_and_evaluated(tmp_path: Path) -> None:
    with serving(hasty) as stage:
        model = ["--base-url", stage.base_url, "--model", "hasty-1", "--folder", str(tmp_path), "--concurrency", "4"]
        assert run_command(["mine", "countdown", *model, "--rows", "24", "--tries", "2"]) == 0
        assert run_command(["eval", "countdown", *model, "--rows", "24", "--modes", "greedy"]) == 0
        assert all(request["model"] == "hasty-1" for request in stage.requests)
        assert set(stage.paths) == {"/v1/chat/completions"}
        assert 1 < stage.most_in_flight <= 4
    failures = read_failures(tmp_path / "mine")
    assert failures
    assert all(failure.verdict.category == "missed target" for failure in failures)
    figures = json.loads((tmp_path / "eval" / "hasty-1" / "figures.json").read_text())["modes"]["greedy"]
    assert figures["first_try"]["value"] < figures["second_try"]["value"]
    assert figures["no_reflection"]["value"] == figures["first_try"]["value"]


def test_a_server_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    away = ["--base-url", "http://127.0.0.1:9/v1", "--model", "gone", "--retries", "0", "--folder", str(tmp_path)]
    assert run_command(["mine", "countdown", *away, "--rows", "2"]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("rrr: ")
    assert "127.0.0.1:9" in said
