"""APIGen's prompts for each model family."""

import json
import types
from pathlib import Path

import pytest
import rrr_apigen
from rrr_apigen import prompts, tiny

from rrr_core.hookspecs import Model, hookimpl
from rrr_core.tasks import Task, TaskEntry
from rrr_core.tasks.hooks import checked_plugin

ROW = {
    "query": "Weather in Zürich for 2 days?",
    "tools": [
        {
            "name": "get_weather",
            "description": "The weather of a city.",
            "parameters": {
                "city": {"description": "The city.", "type": "str"},
                "days": {"description": "How many.", "type": "int, optional", "default": 1},
            },
        },
        {"name": "stop", "description": "Stops.", "parameters": {}},
    ],
    "answers": [{"name": "get_weather", "arguments": {"city": "Zürich", "days": 2}}],
}
FAMILIES = ("generic", "qwen", "llama", "phi", "palmyra")
NATIVE = ("qwen", "phi")


def prompted(family, takes_tools=False, name="m"):
    return prompts.prompt(ROW, Model(name, family, takes_tools))


def words(messages):
    return "\n".join(message["content"] for message in messages)


def roles(messages):
    return [message["role"] for message in messages]


@pytest.mark.parametrize("family", FAMILIES)
def test_tools_in_the_text_are_the_rows_own_one_per_line(family):
    text = words(prompted(family))
    listed = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert listed == ROW["tools"]
    assert "Zürich" in text


@pytest.mark.parametrize("family", FAMILIES)
def test_the_text_asks_for_an_array_of_calls_of_name_and_arguments(family):
    text = words(prompted(family))
    for part in ('[{"name": "function_name", "arguments": {', "JSON array", "leave out an optional argument"):
        assert part in text


@pytest.mark.parametrize("family", ["qwen", "llama", "phi"])
def test_the_query_stands_alone_after_the_instructions(family):
    assert roles(prompted(family)) == ["system", "user"]
    assert prompted(family)[-1]["content"] == ROW["query"]


@pytest.mark.parametrize("family", ["generic", "palmyra"])
def test_a_family_that_may_refuse_a_system_message_gets_everything_in_the_user_message(family):
    (message,) = prompted(family, takes_tools=True)
    assert message["role"] == "user"
    assert message["content"].endswith(f"\n\nQuestion: {ROW['query']}")


def test_every_family_has_its_own_prompt_and_an_unknown_one_gets_the_generic():
    assert len({words(prompted(family)) for family in FAMILIES}) == len(FAMILIES)
    assert prompted("mistral") == prompted("generic")


def test_the_llama_prompt_forbids_parameters_which_its_own_format_uses():
    assert 'Write "arguments", never "parameters".' in words(prompted("llama"))


def test_the_gold_answer_is_in_no_prompt():
    for family in FAMILIES:
        assert json.dumps(ROW["answers"][0]["arguments"], ensure_ascii=False) not in words(prompted(family))
        assert '"days": 2' not in words(prompted(family, takes_tools=True))


@pytest.mark.parametrize("family", NATIVE)
def test_tools_go_into_a_template_that_takes_them_in_openais_form(family):
    messages = prompted(family, takes_tools=True)
    assert messages[0]["role"] == "tools"
    assert messages[-1] == {"role": "user", "content": ROW["query"]}
    weather, stop = json.loads(messages[0]["content"])
    assert weather == {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather of a city.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "The city."},
                    "days": {"type": "integer", "description": "How many.", "default": 1},
                },
                "required": ["city"],
            },
        },
    }
    assert stop["function"]["parameters"] == {"type": "object", "properties": {}, "required": []}


def test_qwens_template_asks_for_the_form_and_phis_does_not():
    assert roles(prompted("qwen", takes_tools=True)) == ["tools", "user"]
    assert roles(prompted("phi", takes_tools=True)) == ["tools", "system", "user"]
    assert "JSON array" in prompted("phi", takes_tools=True)[1]["content"]


@pytest.mark.parametrize("family", ["llama", "generic", "mistral", "rrr-tiny"])
def test_families_with_calls_that_the_verdict_does_not_accept_get_the_tools_in_the_text(family):
    assert prompted(family, takes_tools=True) == prompted(family)


@pytest.mark.parametrize("name", ["Qwen/Qwen3-Coder-30B-A3B-Instruct", "Qwen/Qwen3.5-4B", "models/qwen-3.5"])
def test_qwens_that_write_xml_calls_get_the_tools_in_the_text(name):
    assert prompted("qwen", takes_tools=True, name=name) == prompted("qwen")


@pytest.mark.parametrize("name", ["Qwen/Qwen2.5-1.5B-Instruct", "Qwen/Qwen3-4B", "Qwen/Qwen2.5-Coder-7B-Instruct"])
def test_other_qwens_get_the_tools_in_the_template(name):
    assert roles(prompted("qwen", takes_tools=True, name=name)) == ["tools", "user"]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_reflection_prompt_is_the_papers(family):
    assert prompts.reflection_prompt(Model("m", family)) == (
        "You tried performing the task, but failed in generating the correct tool call. Reflect on what went wrong "
        "and write a short explanation that will help you do better next time."
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_the_retry_is_the_question_again(family):
    assert prompts.retry_prompt(ROW, Model("m", family)) == ROW["query"]


def test_the_embedded_model_is_asked_in_its_own_words():
    model = Model("m", "rrr-tiny")
    assert prompts.prompt(ROW, model) == [{"role": "user", "content": tiny.prompt(ROW)}]
    assert prompts.reflection_prompt(model) == tiny.REFLECTION
    assert prompts.retry_prompt(ROW, model) == tiny.retry_prompt(ROW)


# Through the core


def overlay(**hooks):
    module = types.ModuleType("rrr_short")
    for name, function in hooks.items():
        function.__module__ = module.__name__
        setattr(module, name, hookimpl(function, specname=name))
    return offered(module)


def offered(module):
    return checked_plugin(TaskEntry("short", "rrr-short", "1.0", "rrr_short", kind="overlay"), module)


@pytest.fixture
def plugin():
    return checked_plugin(TaskEntry("apigen", "rrr-apigen", "1.0", "rrr_apigen"), rrr_apigen)


@pytest.mark.parametrize("takes_tools", [False, True])
@pytest.mark.parametrize("family", [*FAMILIES, "rrr-tiny"])
def test_the_core_takes_every_prompt(plugin, family, takes_tools):
    model = Model("m", family, takes_tools)
    task = Task(plugin)
    assert list(task.prompt(ROW, model)) == prompts.prompt(ROW, model)
    assert task.retry_prompt(ROW, model) == prompts.retry_prompt(ROW, model)


def test_an_overlay_words_prompt_reflection_and_retry_anew(plugin):
    short = overlay(
        rrr_prompt=lambda row: f"Calls for: {row['query']}",
        rrr_reflection_prompt=lambda: "Why?",
        rrr_retry_prompt=lambda row: "Again.",
    )
    task, model = Task(plugin, [short]), Model("m", "qwen", True)
    assert task.prompt(ROW, model) == ({"role": "user", "content": f"Calls for: {ROW['query']}"},)
    assert task.reflection_prompt(ROW, "[]", model) == "Why?"
    assert task.retry_prompt(ROW, model) == "Again."


def test_what_an_overlay_leaves_alone_stays_the_tasks(plugin):
    task, model = Task(plugin, [overlay(rrr_reflection_prompt=lambda: "Why?")]), Model("m", "qwen")
    assert list(task.prompt(ROW, model)) == prompts.prompt(ROW, model)


def test_the_overlay_of_the_readme_does_what_it_says(plugin):
    readme = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    module = types.ModuleType("rrr_terse")
    exec(readme.partition("```python\n")[2].partition("```")[0], vars(module))
    task, model = Task(plugin, [offered(module)]), Model("m", "qwen")
    assert task.reflection_prompt(ROW, "[]", model) == "Which call was wrong, and why? Answer in one sentence."
    assert task.retry_prompt(ROW, model) == f"{ROW['query']} Check the name and the type of every argument."
    assert list(task.prompt(ROW, model)) == prompts.prompt(ROW, model)
