"""`from_reward`: reward functions of TRL, verifiers and reasoning-gym become verifiers, and their faults abstain."""

from __future__ import annotations

import asyncio
import functools
import math

import pytest

from rrr_core import from_reward
from rrr_core.conformance.probe import importable
from rrr_core.rewards import CATEGORIES, SHAPES, BadReward, NoReward, scorer, shape_of
from rrr_core.verification import Judge
from tests.conftest import FakeSite
from tests.verification.conftest import needs_fork

ROW = {"prompt": "2 + 3?", "answer": "5"}
CHAT = {"prompt": [{"role": "user", "content": "2 + 3?"}], "answer": "5"}


def trl_text(completions, answer, **kwargs):
    return [1.0 if completion == gold else 0.0 for completion, gold in zip(completions, answer, strict=True)]


def trl_chat(prompts, completions, answer, log_metric=None, **kwargs):
    log_metric("seen", 1.0)
    assert prompts[0][-1]["role"] == "user"
    return [float(each[0]["content"] == gold) for each, gold in zip(completions, answer, strict=True)]


async def trl_async(completions, answer, **kwargs):
    await asyncio.sleep(0)
    return trl_text(completions, answer)


def rubric(completion, answer, state, **kwargs):
    assert state["answer"] == answer
    return 1.0 if completion[-1]["content"] == answer else 0.0


async def verifiers(task, trace) -> float:
    await asyncio.sleep(0)
    return {"right": float(trace.last_reply == task.answer), "polite": 0.0}


def reasoning_gym(answer, entry):
    return 1.0 if answer == entry["answer"] else 0.01


def verl(data_source, solution_str, ground_truth, extra_info=None):
    assert (data_source, extra_info) == ("sums", {"level": 1})
    return {"score": float(solution_str == ground_truth), "format": 9.0}


VERL = {"prompt": CHAT["prompt"], "data_source": "sums", "extra_info": {"level": 1}}


SHAPED = {
    "TRL's, on texts": (trl_text, ROW, "trl"),
    "TRL's, on messages": (trl_chat, CHAT, "trl"),
    "TRL's, async": (trl_async, ROW, "trl"),
    "a rubric's": (rubric, {"question": "2 + 3?", "answer": "5"}, "rubric"),
    "verifiers 0.4's": (verifiers, ROW, "verifiers"),
    "reasoning-gym's": (reasoning_gym, ROW, "reasoning-gym"),
    "verl's, on its own rows": (verl, {**VERL, "reward_model": {"style": "rule", "ground_truth": "5"}}, "verl"),
    "verl's, on a plain column": (verl, {**VERL, "ground_truth": "5"}, "verl"),
}


@pytest.mark.parametrize(("function", "row", "shape"), SHAPED.values(), ids=SHAPED)
def test_a_function_of_each_shape_judges_answers(function, row, shape) -> None:
    assert shape_of(function).name == shape
    verify = from_reward(function)
    assert verify(row=row, answer="5").is_passed
    assert verify(row=row, answer="6").category == "low reward"


def test_the_examples_cover_every_shape() -> None:
    assert {shape for _, _, shape in SHAPED.values()} == set(SHAPES)


def test_a_method_of_reasoning_gym_judges_its_own_entries() -> None:
    reasoning_gym = pytest.importorskip("reasoning_gym")
    made = reasoning_gym.create_dataset("leg_counting", size=1, seed=0)
    verify = from_reward(made.score_answer)
    assert verify(row=made[0], answer=made[0]["answer"]).is_passed
    assert verify(row=made[0], answer="no").is_failed


@pytest.mark.parametrize(
    ("reward", "threshold", "passes"),
    [(0.5, 0.5, True), (0.49, 0.5, False), (-1, 0, False), (2, 1, True), (True, 1, True), (0.1 + 0.2 + 0.7, 1, True)],
)
def test_the_threshold_decides(reward, threshold, passes) -> None:
    verify = from_reward(lambda completions: [reward], threshold=threshold)
    assert verify(row=ROW, answer="5").is_passed == passes


def test_a_low_reward_is_in_the_detail() -> None:
    verify = from_reward(lambda completions: [0.25], threshold=0.5)
    assert verify(row=ROW, answer="5").detail == "a reward of 0.25, and 0.5 passes"


def test_what_no_tokenizer_writes_and_what_is_too_long_fail_unseen() -> None:
    seen = []
    verify = from_reward(lambda completions: seen.append(completions) or [1.0], longest=5)
    assert [verify(row=ROW, answer=text).category for text in ("123456", "\ud800", "12345")] == [
        "too long",
        "not text",
        "",
    ]
    assert len(seen) == 1


FAULTS = {
    "NaN": (lambda completions: [math.nan], BadReward, "gave nan, which is no reward"),
    "infinity": (lambda completions: [math.inf], BadReward, "gave inf"),
    "None, which says that it does not apply": (lambda completions: [None], NoReward, "does not apply"),
    "two rewards for one completion": (lambda completions: [1.0, 1.0], BadReward, "gave 2 rewards for one"),
    "a text": (lambda answer, entry: "1.0", BadReward, "gave a text"),
    "a single number where TRL wants a list": (
        lambda completions: 0.5,
        BadReward,
        "returned 0.5; a list of one number for each completion is expected",
    ),
    "nothing where TRL wants a list": (lambda completions: None, BadReward, "returned None; a list of one number"),
    "a list where one number is wanted": (lambda answer, entry: [1.0], BadReward, "returned a list; a number is"),
    "an exception": (lambda completions: 1 / 0, ZeroDivisionError, "division"),
    "a row without verl's truth": (verl, LookupError, "takes 'ground_truth', and the row has prompt"),
    "a column that the row lacks": (lambda completions, target: [1.0], LookupError, "takes 'target', and the row has"),
}


@pytest.mark.parametrize(("function", "error", "message"), FAULTS.values(), ids=FAULTS)
def test_what_gives_no_number_raises_so_the_verdict_is_withheld(function, error, message) -> None:
    with pytest.raises(error, match=message):
        from_reward(function)(row={"prompt": "?"} if function is verl else ROW, answer="5")


REFUSED = {
    "no shape": (lambda text: 1.0, {}, r"\(text\) fits no shape: give one of trl \(completions, \*\*columns\), "),
    "several shapes": (lambda completions, trace: 1.0, {}, "fits several shapes: give one of trl"),
    "a misspelt shape": (trl_text, {"shape": "tlr"}, "there is no shape 'tlr'. Did you mean 'trl'"),
    "token ids": (lambda completions, completion_ids: [1.0], {}, "takes completion_ids, token ids"),
    "a parser": (lambda parser, completion: 1.0, {}, "bind it with functools.partial"),
    "a threshold that is none": (trl_text, {"threshold": math.nan}, "threshold=nan must be a number"),
    "a bound that is none": (trl_text, {"longest": 0}, "longest=0 must be a whole number"),
    "a name without its shape": ("rewards:accuracy", {}, "give its shape"),
    "a name of no function": ("rewards", {"shape": "trl"}, "write module:function"),
    "a function that hides its parameters": (max, {}, "does not show its parameters"),
}


@pytest.mark.parametrize(("function", "options", "message"), REFUSED.values(), ids=REFUSED)
def test_what_no_verdict_can_call_is_refused_at_once(function, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        from_reward(function, **options)


def test_what_a_function_needs_besides_may_be_bound() -> None:
    bound = functools.partial(lambda parser, completion, answer: float(parser(completion) == answer), parser=str.strip)
    assert from_reward(bound)(row=ROW, answer=" 5 ").is_passed


def test_a_function_named_by_its_module_is_imported_at_the_first_verdict() -> None:
    verify = from_reward(f"{__name__}:trl_text", shape="trl")
    assert verify(row=ROW, answer="5").is_passed
    assert not verify(row=ROW, answer="6").is_passed


def test_the_arguments_that_a_function_does_not_name_are_left_out() -> None:
    assert scorer(lambda completions: [len(completions[0])])(ROW, "123") == 3


verify_of_this_module = rrr_verify = from_reward(trl_text)


def test_the_hook_is_found_by_its_module_and_name_as_pickle_wants() -> None:
    assert importable("rrr_verify", verify_of_this_module) == ""


PLUGIN = """
from rrr_core import from_reward, hookimpl

@hookimpl
def rrr_load_dataset(split): return [{"prompt": "?", "answer": "5"}]
@hookimpl
def rrr_prompt(row): return row["prompt"]

async def reward(completions, answer, **kwargs):
    if completions[0] == "raise":
        raise KeyError("target")
    if completions[0] == "nothing":
        return [None]
    return [float(completions[0] == answer[0])]

rrr_verify = from_reward(reward)
"""


@needs_fork
def test_in_the_sandbox_it_judges_and_its_faults_name_the_plugin(site: FakeSite) -> None:
    from rrr_core.tasks import load_task

    site.install_task("paid", PLUGIN)
    with Judge(load_task("paid"), max_abstain=1.0) as judge:
        row = {"prompt": "?", "answer": "5"}
        right, wrong, raised, nothing = judge.judge([(row, each) for each in ("5", "6", "raise", "nothing")])
        assert judge.isolated
    assert (right.outcome, wrong.outcome) == ("passed", "failed")
    assert (raised.outcome, raised.category) == ("abstained", "exception")
    assert raised.detail == "rrr-paid 1.0, hook rrr_verify: KeyError at rrr_paid.py:10: 'target'"
    assert nothing.detail.endswith("NoReward: reward gave None: it does not apply to this row")


def test_the_classes_are_those_that_verdicts_have() -> None:
    verify = from_reward(trl_text, longest=1)
    assert {verify(row=ROW, answer=text).category for text in ("6", "66", "\ud800")} == set(CATEGORIES)
