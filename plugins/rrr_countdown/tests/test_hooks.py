"""The plugin as the core sees it: its hooks, its examples, its prompts."""

import subprocess
import sys
import types
from itertools import islice

import pluggy
import pytest
import rrr_countdown
from rrr_countdown import prompts
from rrr_countdown.examples import EXAMPLES
from rrr_countdown.generated import split_of

from rrr_core import hookspecs
from rrr_core.hookspecs import Model

ROW = {"nums": [44, 19, 35], "target": 60}


@pytest.fixture
def hooks():
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(rrr_countdown)
    manager.check_pending()
    return manager.hook


def test_every_required_hook_is_there(hooks):
    rows = hooks.rrr_load_dataset(task="countdown", split="test", options={})
    row = next(iter(rows))
    assert set(row) == {"nums", "target"}
    assert hooks.rrr_prompt(task="countdown", row=row, model=Model("m"))
    assert hooks.rrr_verify(task="countdown", row=row, answer="").is_failed
    assert any(example.hostile for example in hooks.rrr_examples(task="countdown"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.reason)
def test_every_example_gets_its_verdict(hooks, example):
    verdict = hooks.rrr_verify(task="countdown", row=example.row, answer=example.answer)
    assert (verdict.outcome, verdict.category) == (example.outcome, example.category)


def test_the_examples_cover_every_class():
    assert {example.category for example in EXAMPLES} == {"", "invalid equation", "wrong numbers", "missed target"}
    assert all(example.reason for example in EXAMPLES)


def test_every_family_has_its_own_prompt_and_an_unknown_one_gets_the_generic():
    wordings = {family: prompts.prompt(ROW, Model("m", family))[-1]["content"] for family in prompts.PROMPTS}
    assert {"generic", "qwen", "llama", "phi", "palmyra", "rrr-tiny"} <= set(wordings)
    assert len(set(wordings.values())) == len(wordings)
    assert prompts.prompt(ROW, Model("m", "mistral")) == prompts.prompt(ROW, Model("m", "generic"))


@pytest.mark.parametrize("family", ["generic", "qwen", "llama", "phi", "palmyra"])
def test_a_prompt_names_numbers_target_tags_and_the_rule(family):
    messages = prompts.prompt(ROW, Model("m", family))
    content = messages[-1]["content"]
    assert messages[-1]["role"] == "user"
    for part in ("[44, 19, 35]", "60", "<answer>", "</answer>", "exactly once"):
        assert part in content


def test_only_families_with_their_own_system_message_get_one():
    roles = {
        family: [message["role"] for message in prompts.prompt(ROW, Model("m", family))] for family in prompts.PROMPTS
    }
    assert roles.pop("qwen") == ["system", "user"]
    assert set(map(tuple, roles.values())) == {("user",)}


def test_the_embedded_model_gets_exactly_the_words_it_knows(hooks):
    model = Model("m", "rrr-tiny")
    assert prompts.prompt(ROW, model) == [{"role": "user", "content": "Numbers: 44 19 35. Target: 60."}]
    assert (
        hooks.rrr_reflection_prompt(task="countdown", row=ROW, attempt="x", model=model)
        == "Wrong. Reflect on what went wrong."
    )
    assert prompts.tiny_turns([44, 19, 35], 60) == (
        "Numbers: 44 19 35. Target: 60.",
        "Wrong. Reflect on what went wrong.",
        "Numbers: 44 19 35. Target: 60.",
    )


def test_other_models_get_the_prompts_of_the_paper(hooks):
    asked = hooks.rrr_reflection_prompt(task="countdown", row=ROW, attempt="x", model=Model("m", "qwen"))
    assert asked == (
        "You tried solving the problem and got the wrong answer. Reflect on what went wrong and write a short "
        "explanation that will help you do better next time."
    )


def test_a_row_read_back_from_json_gives_the_same_prompt():
    assert prompts.prompt({"nums": (44, 19, 35), "target": 60}, Model("m")) == prompts.prompt(ROW, Model("m"))


def test_warm_up_conversations_alternate_use_the_tiny_words_and_only_warm_up_rows(hooks):
    conversations = list(hooks.rrr_warmup(task="countdown", split="warmup", count=40, seed=3))
    assert len(conversations) == 40
    assert conversations == list(hooks.rrr_warmup(task="countdown", split="warmup", count=40, seed=3))
    for messages in conversations:
        assert [message["role"] for message in messages] == ["user", "assistant"] * (len(messages) // 2)
        numbers, _, target = messages[0]["content"].removeprefix("Numbers: ").removesuffix(".").partition(". Target: ")
        assert split_of([int(n) for n in numbers.split()], int(target)) == "warmup"


def test_the_right_answers_of_the_warm_up_conversations_pass(hooks):
    passes = 0
    for messages in islice(hooks.rrr_warmup(task="countdown", split="warmup", count=60, seed=0), 60):
        numbers, _, target = messages[0]["content"].removeprefix("Numbers: ").removesuffix(".").partition(". Target: ")
        row = {"nums": [int(n) for n in numbers.split()], "target": int(target)}
        last_attempt = messages[-1]["content"]
        passes += hooks.rrr_verify(task="countdown", row=row, answer=last_attempt).is_passed
    assert passes > 0


def test_the_final_answer_is_the_judged_equation_alone(hooks):
    text = "I think <answer>1</answer>, no: <answer> 44 + 35 - 19 = 60 </answer>"
    assert hooks.rrr_final_answer(task="countdown", row=ROW, text=text) == "44 + 35 - 19"


def test_the_default_model_is_the_shipped_folder_or_none(hooks, tmp_path, monkeypatch):
    monkeypatch.setattr(rrr_countdown, "EMBEDDED_MODEL", tmp_path)
    assert hooks.rrr_default_model(task="countdown") is None
    (tmp_path / "config.json").write_text("{}")
    assert hooks.rrr_default_model(task="countdown") == str(tmp_path)


def test_importing_the_plugin_imports_nothing_heavy():
    heavy = ("sympy", "torch", "transformers", "datasets", "pyarrow", "numpy", "pandas", "rrr_countdown.hostile")
    code = f"import rrr_countdown, sys; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_module_marks_exactly_these_hooks():
    marked = {
        name
        for name, value in vars(rrr_countdown).items()
        if isinstance(value, types.FunctionType) and hasattr(value, "rrr_impl")
    }
    for_overlays = {"rrr_configure", "rrr_judge", "rrr_combine"}
    specified = {name for name in vars(hookspecs) if name.startswith("rrr_")} - for_overlays
    defaults = {"rrr_retry_prompt": "the prompt again", "rrr_reward": "1 or 0", "rrr_step": "one answer"}
    assert marked == specified - set(defaults)
