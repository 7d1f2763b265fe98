"""The plugin as the core sees it: its hooks, its examples, its default model."""

import subprocess
import sys
import types
from itertools import islice

import pluggy
import pytest
import rrr_apigen
from rrr_apigen import calls, tiny
from rrr_apigen.examples import EXAMPLES
from rrr_apigen.generated import split_of

from rrr_core import hookspecs
from rrr_core.hookspecs import Model

ROW = {
    "query": "Wind in Rome?",
    "tools": [
        {
            "name": "get_wind",
            "description": "The wind.",
            "parameters": {"city": {"description": "The city.", "type": "str"}},
        }
    ],
    "answers": [{"name": "get_wind", "arguments": {"city": "Rome"}}],
}
GOLD = '[{"name": "get_wind", "arguments": {"city": "Rome"}}]'


@pytest.fixture
def hooks():
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(rrr_apigen)
    manager.check_pending()
    return manager.hook


def test_every_required_hook_is_there(hooks):
    row = next(iter(hooks.rrr_load_dataset(task="apigen", split="test", options={})))
    assert set(row) == {"query", "tools", "answers"}
    assert hooks.rrr_prompt(task="apigen", row=row, model=Model("m"))
    assert hooks.rrr_verify(task="apigen", row=row, answer="").is_failed
    assert list(hooks.rrr_examples(task="apigen"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.reason)
def test_every_example_gets_its_verdict(hooks, example):
    verdict = hooks.rrr_verify(task="apigen", row=example.row, answer=example.answer)
    assert (verdict.outcome, verdict.category) == (example.outcome, example.category)


def test_the_examples_cover_every_class_and_include_attacks():
    classes = {calls.FORMAT, calls.TOOL_CHOICE, calls.PARAMETER_NAMES, calls.PARAMETER_VALUES}
    assert {example.category for example in EXAMPLES} == {"", *classes}
    assert {example.outcome for example in EXAMPLES if example.hostile} == {"failed"}
    assert all(example.reason for example in EXAMPLES)


def test_the_verifier_is_marked_as_safe_to_run_in_process():
    assert hasattr(rrr_apigen.rrr_verify, hookspecs.TRUSTED)


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_gold_answer_of_generated_rows_passes_and_is_the_judged_part(hooks, split):
    for row in islice(hooks.rrr_load_dataset(task="apigen", split=split, options={}), 100):
        gold = hooks.rrr_gold_answer(task="apigen", row=row)
        assert hooks.rrr_verify(task="apigen", row=row, answer=gold).is_passed
        assert hooks.rrr_final_answer(task="apigen", row=row, text=gold) == gold


def test_an_answer_that_omits_one_call_fails(hooks):
    rows = hooks.rrr_load_dataset(task="apigen", split="train", options={})
    row = next(row for row in rows if len(row["answers"]) > 1)
    answer = tiny.answer(row["answers"][1:])
    assert hooks.rrr_verify(task="apigen", row=row, answer=answer).category == calls.TOOL_CHOICE


def test_no_function_of_one_split_is_offered_in_another(hooks):
    for split in ("train", "test"):
        for row in islice(hooks.rrr_load_dataset(task="apigen", split=split, options={}), 200):
            assert {split_of(tool["name"]) for tool in row["tools"]} == {split}


def test_the_final_answer_is_the_judged_array_alone(hooks):
    text = f"<think>[]</think>I call it.\n```json\n{GOLD}\n```"
    assert hooks.rrr_verify(task="apigen", row=ROW, answer=text).is_passed
    assert hooks.rrr_final_answer(task="apigen", row=ROW, text=text) == GOLD


def test_the_prompts_reach_the_core(hooks):
    model = Model("m", "qwen")
    messages = hooks.rrr_prompt(task="apigen", row=ROW, model=model)
    assert messages[-1]["content"] == hooks.rrr_retry_prompt(task="apigen", row=ROW, model=model) == ROW["query"]
    asked = hooks.rrr_reflection_prompt(task="apigen", row=ROW, attempt="[]", model=model)
    assert "failed in generating the correct tool call" in asked


def test_the_default_model_is_the_shipped_folder_or_none(hooks, tmp_path, monkeypatch):
    monkeypatch.setattr(rrr_apigen, "EMBEDDED_MODEL", tmp_path)
    assert hooks.rrr_default_model(task="apigen") is None
    (tmp_path / "config.json").write_text("{}")
    assert hooks.rrr_default_model(task="apigen") == str(tmp_path)


def test_importing_the_plugin_imports_nothing_heavy():
    heavy = ("jsonschema", "torch", "transformers", "datasets", "pyarrow", "numpy", "pandas")
    code = f"import rrr_apigen, sys; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_module_marks_exactly_these_hooks():
    marked = {
        name
        for name, value in vars(rrr_apigen).items()
        if isinstance(value, types.FunctionType) and hasattr(value, "rrr_impl")
    }
    for_overlays = {"rrr_configure", "rrr_judge", "rrr_combine"}
    specified = {name for name in vars(hookspecs) if name.startswith("rrr_")} - for_overlays
    assert marked == specified - {"rrr_reward", "rrr_step"}, "the core's defaults: 1 or 0, one answer"
