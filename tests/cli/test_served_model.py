"""Any model behind `/v1/chat/completions` can be mined and evaluated from the command line."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("httpx2")

from rrr_core.cli import run_command
from rrr_core.mining.failure_set import read_failures
from tests.generation.served import Handler, Play, completion, serving


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


ANSWER = "<answer>1 + 1</answer>"


def answering(odd: Callable[[dict[str, Any]], tuple[int, dict[str, Any]] | None], every: int = 1) -> Play:
    """Every `every`-th request gets what `odd` makes of it; the others get a wrong answer."""
    count, lock = 0, threading.Lock()

    def play(handler: Handler, body: dict[str, Any]) -> None:
        nonlocal count
        with lock:
            count += 1
            number = count
        made = odd(body) if number % every == 0 else None
        handler.send(*(made or (200, completion(ANSWER))))

    return play


def replying(finish: str, **message: Any) -> Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]:
    reply = completion(None, finish)
    reply["choices"][0]["message"].update(message)
    return lambda body: (200, reply)


def refusing(name: str, message: str, is_fine: Callable[[Any], bool]) -> Callable[[dict[str, Any]], Any]:
    error = {"message": message, "type": "invalid_request_error", "param": name, "code": "unsupported"}
    return lambda body: None if is_fine(body.get(name)) else (400, {"error": error})


CALLS = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]
THOUGHT = {"reasoning_content": "I think it is 2."}


def evaluated(play: Play, folder: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Exit code and figures of an evaluation of 16 rows."""
    with serving(play) as stage:
        command = ["eval", "countdown", "--model", "m", "--base-url", stage.base_url, "--folder", str(folder)]
        code = run_command([*command, "--rows", "16", "--modes", "sampled", *options])
    figures = folder / "eval" / "m" / "figures.json"
    return code, json.loads(figures.read_text())["modes"]["sampled"] if figures.exists() else {}


@pytest.mark.parametrize(
    "odd", [replying("stop", **THOUGHT), replying("tool_calls", tool_calls=CALLS)], ids=["null_stop", "tool_calls"]
)
def test_a_reply_without_content_is_a_failed_try(odd: Any, tmp_path: Path) -> None:
    code, figures = evaluated(answering(odd, every=7), tmp_path)
    assert code == 0
    assert figures["first_try"]["total"] == figures["second_try"]["total"] == 16
    assert "no_answers" not in figures
    assert figures["error_classes"]["first"]


FILTER = answering(replying("content_filter", refusal="no"), every=7)


def test_filtered_rows_are_set_aside_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, figures = evaluated(FILTER, tmp_path, "--max-no-answer", "0.2")
    assert code == 0
    missing = figures["no_answers"]["first_try"]["content filter"]
    assert figures["first_try"]["total"] == 16 - missing < 16
    assert not any(figures["abstentions"].values())
    assert "no answer: m, sampled: " in (out := capsys.readouterr().out)
    assert "× content filter; such rows are set aside" in out
    assert run_command(["report", str(tmp_path)]) == 0
    capsys.readouterr()
    assert run_command(["rejudge", str(tmp_path), "--json"]) == 0
    (stage,) = json.loads(capsys.readouterr().out)["stages"]
    assert stage["flipped"] == 0


def test_too_many_filtered_rows_stop_the_job_in_one_line_with_all_shards_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, figures = evaluated(FILTER, tmp_path, "--shard-rows", "8")
    assert (code, figures) == (2, {})
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "rrr: The model gave no answer to" in said
    assert "× content filter), and 2.0% are allowed" in said
    assert "countdown" not in said  # no verifier is at fault
    assert len(list((tmp_path / "eval" / "m").glob("sampled-*.jsonl"))) == 2


def test_raising_the_limit_resumes_without_asking_again(tmp_path: Path) -> None:
    with serving(FILTER) as stage:
        command = ["eval", "countdown", "--model", "m", "--base-url", stage.base_url, "--folder", str(tmp_path)]
        command += ["--rows", "16", "--modes", "sampled"]
        assert run_command(command) == 2
        asked = len(stage.requests)
        assert run_command(command) == 2
        assert run_command([*command, "--max-no-answer", "0.3"]) == 0
        assert len(stage.requests) == asked


def test_the_newer_name_of_the_token_limit_is_found_once_and_kept_in_the_manifest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    code, _ = evaluated(answering(refusing("max_tokens", said, lambda value: value is None)), tmp_path)
    assert code == 0
    about = json.loads((tmp_path / "eval" / "m" / "manifest.json").read_text())["about"]
    assert about["engine"] == {"renamed": {"max_tokens": "max_completion_tokens"}}
    assert capsys.readouterr().err.count("takes max_completion_tokens in place of max_tokens") == 1


def test_a_server_of_one_temperature_is_evaluated_at_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = "Unsupported value: 'temperature' does not support 0.0 with this model. Only the default (1) is supported."
    play = answering(refusing("temperature", said, lambda value: value in (None, 1)))
    with serving(play) as stage:
        command = ["eval", "countdown", "--model", "m", "--base-url", stage.base_url, "--folder", str(tmp_path)]
        assert run_command([*command, "--rows", "4"]) == 2
    assert "--modes sampled --temperature 1" in capsys.readouterr().err.strip().splitlines()[-1]
    assert evaluated(play, tmp_path / "again", "--temperature", "1")[0] == 0


def test_mining_sets_filtered_rows_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(FILTER) as stage:
        command = ["mine", "countdown", "--model", "m", "--base-url", stage.base_url, "--folder", str(tmp_path)]
        assert run_command([*command, "--rows", "24", "--tries", "2", "--max-no-answer", "0.2"]) == 0
    summary = json.loads((tmp_path / "mine" / "summary.json").read_text())
    (counted,) = summary["no_answers"].items()
    assert counted == ("content filter", summary["unanswered_rows"])
    assert summary["unanswered_rows"] > 0
    assert (summary["abstentions"], summary["abstained_rows"]) == (0, 0)
    assert summary["failed_rows"] == 24 - summary["unanswered_rows"] == len(read_failures(tmp_path / "mine"))
    assert "set aside because the model gave no answer" in capsys.readouterr().out
    assert run_command(["report", str(tmp_path)]) == 0


def test_an_evaluation_of_an_earlier_version_is_resumed(tmp_path: Path) -> None:
    """Its manifest has the version of the client that asked, and none of the newer settings."""
    with serving(answering(replying("stop"), every=10**9)) as stage:
        command = ["eval", "countdown", "--model", "m", "--base-url", stage.base_url, "--folder", str(tmp_path)]
        command += ["--rows", "4", "--modes", "greedy"]
        assert run_command(command) == 0
        path = tmp_path / "eval" / "m" / "manifest.json"
        manifest = json.loads(path.read_text())
        assert "openai" not in manifest["identity"]["model"]
        manifest["identity"]["model"]["openai"] = "2.9.0"
        path.write_text(json.dumps(manifest))
        assert run_command(command) == 0


def test_a_run_with_a_server_says_which_option_to_leave_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = ["--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--folder", str(tmp_path)]
    assert run_command(["run", "countdown", *address]) == 2
    assert "name its weights with --model, without --base-url." in capsys.readouterr().err


def test_a_server_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    away = ["--base-url", "http://127.0.0.1:9/v1", "--model", "gone", "--retries", "0", "--folder", str(tmp_path)]
    assert run_command(["mine", "countdown", *away, "--rows", "2"]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("rrr: ")
    assert "127.0.0.1:9" in said
