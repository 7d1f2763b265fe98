"""A task in inspect_ai: run by its own `eval` with its mock model, and read back from its log."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("inspect_ai", reason="the extra inspect is not installed")
pytestmark = pytest.mark.exports

import inspect_ai
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.log import EvalLog, read_eval_log
from inspect_ai.model import ModelOutput, ModelUsage, get_model

from rrr_core.errors import PluginError, RrrError
from rrr_core.exports.inspect_ai import data_options, reflect_and_retry, task, texts
from rrr_core.exports.judging import shared_judge
from tests.conftest import FakeSite
from tests.exports.plugins import SHAKY


@pytest.fixture(autouse=True)
def shaky(site: FakeSite) -> Iterator[None]:
    site.install_task("shaky", SHAKY)
    yield
    shared_judge("shaky").close()
    shared_judge.cache_clear()


FILTERED = "(filtered)"
"""What a filter leaves of an answer."""


def run(made: Any, folder: Path, *replies: str, **options: Any) -> EvalLog:
    """The log, read back, of an evaluation in which the model says `replies` one after another."""
    outputs = [ModelOutput.from_content("mockllm/model", reply) for reply in replies]
    for output in outputs:
        if output.completion == FILTERED:
            output.choices[0].stop_reason = "content_filter"
        output.usage = ModelUsage()  # Without it the mock counts tokens with a vocabulary from the network.
    model = get_model("mockllm/model", custom_outputs=outputs)
    (log,) = inspect_ai.eval(made, model=model, log_dir=str(folder), display="none", max_samples=1, **options)
    assert log.status == "success", log.error
    return read_eval_log(log.location)


def scores(log: EvalLog, name: str = "verdict") -> list[Any]:
    assert log.samples is not None
    return [sample.scores[name] for sample in log.samples]


def figures(log: EvalLog) -> dict[str, tuple[float, int, int]]:
    """Scorer → accuracy, scored and unscored samples."""
    assert log.results is not None
    return {
        each.name: (each.metrics["accuracy"].value, each.scored_samples, each.unscored_samples)
        for each in log.results.scores
    }


def test_a_verdict_is_a_score_with_its_reason(tmp_path: Path) -> None:
    log = run(task("shaky", rows=2), tmp_path, "0", "7")
    assert [(score.value, score.explanation) for score in scores(log)] == [
        ("C", "passed"),
        ("I", "wrong number: not 1"),
    ]
    assert figures(log) == {"verdict": (0.5, 2, 0)}


def test_a_withheld_verdict_leaves_its_sample_unscored_and_out_of_the_accuracy(tmp_path: Path) -> None:
    log = run(task("shaky", rows=2), tmp_path, "0", "crash")
    assert figures(log) == {"verdict": (1.0, 1, 1)}
    unscored = scores(log)[1]
    assert math.isnan(unscored.value)
    assert unscored.reason == "scoring_failed"
    assert "rrr-shaky 1.0, hook rrr_verify: ZeroDivisionError" in unscored.explanation


def test_where_every_verdict_is_withheld_there_is_no_accuracy_rather_than_zero(tmp_path: Path) -> None:
    accuracy, scored, unscored = figures(run(task("shaky", rows=1), tmp_path, "crash"))["verdict"]
    assert math.isnan(accuracy)
    assert (scored, unscored) == (0, 1)


def test_samples_are_the_rows_in_order_with_prompts_for_the_named_model(tmp_path: Path) -> None:
    made = task("shaky", "train", rows=2, data={"first": "5"}, model="Qwen/Qwen3-8B")
    assert [(sample.id, sample.metadata["row"]["number"]) for sample in made.dataset] == [
        ("train-0", 5),
        ("train-1", 6),
    ]
    assert [message.text for message in made.dataset[1].input] == ["You are a qwen.", "Say 6."]


def test_the_log_records_which_plugin_made_it_and_with_what(tmp_path: Path) -> None:
    log = run(task("shaky", rows=1, data="first=3"), tmp_path, "3")
    assert log.eval.metadata == {"task": "shaky", "distribution": "rrr-shaky", "version": "1.0", "overlays": []}
    assert log.eval.task.endswith("shaky")
    assert log.eval.task_version == "1.0"
    assert (log.eval.task_args["rows"], log.eval.task_args["data"]) == (1, "first=3")


def test_a_failed_answer_is_reflected_on_and_tried_again_and_both_tries_are_scored(tmp_path: Path) -> None:
    log = run(task("shaky", rows=2, second_try=True), tmp_path, "0", "7", "I misread it.", "1")
    assert figures(log) == {"verdict": (1.0, 2, 0), "first_try": (0.5, 2, 0)}
    assert log.samples is not None
    assert [message.text for message in log.samples[1].messages[1:]] == [
        "Say 1.",
        "7",
        "Why was '7' wrong?",
        "I misread it.",
        "Again: say 1.",
        "1",
    ]


def test_a_withheld_first_verdict_is_not_reflected_on(tmp_path: Path) -> None:
    log = run(task("shaky", rows=1, second_try=True), tmp_path, "crash")
    assert log.samples is not None
    assert len(log.samples[0].messages) == 3
    assert [each[1:] for each in figures(log).values()] == [(0, 1), (0, 1)]


@pytest.mark.parametrize("texts", [[FILTERED], ["7", FILTERED]], ids=["answer", "reflection"])
def test_a_filtered_answer_or_reflection_leaves_its_sample_unscored(tmp_path: Path, texts: list[str]) -> None:
    log = run(task("shaky", rows=1, second_try=True), tmp_path, *texts)
    (score,) = scores(log)
    assert math.isnan(score.value)
    assert score.explanation == "no answer: content filter"


def test_the_second_try_works_with_a_task_made_without_it(tmp_path: Path) -> None:
    log = run(task("shaky", rows=1), tmp_path, "7", "Hm.", "0", solver=reflect_and_retry())
    assert figures(log) == {"verdict": (1.0, 1, 0)}


def test_overlays_apply(tmp_path: Path) -> None:
    log = run(task("shaky", rows=1, overlays=["noisy:probability=1"]), tmp_path, "0")
    assert figures(log) == {"verdict": (0.0, 1, 0)}


def test_installed_tasks_are_found_by_their_names(tmp_path: Path) -> None:
    log = run("rrr_core/countdown", tmp_path, "no", task_args={"rows": 1})
    assert log.eval.task == "rrr_core/countdown"
    assert scores(log)[0].metadata["category"] == "invalid equation"


def test_an_unknown_task_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(PluginError, match="Did you mean 'shaky'"):
        task("shakey")


def test_what_the_user_can_fix_is_reported_in_one_line() -> None:
    with pytest.raises(PrerequisiteError) as caught:
        task("shaky", split="dev")
    assert isinstance(caught.value, RrrError)
    assert caught.value.message == str(caught.value) == "There is no split 'dev': use 'train' or 'test'."


def test_texts_of_the_command_line_are_options() -> None:
    assert data_options(["first=1", "other=a=b"]) == {"first": "1", "other": "a=b"}
    assert data_options({"first": 1}) == {"first": "1"}
    assert data_options(None) == {}
    assert texts("a") == ("a",)
    with pytest.raises(RrrError, match="data = 'first': expected KEY=VALUE"):
        data_options("first")
