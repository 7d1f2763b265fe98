"""The tools a prompt may start with: what they must be, when they are accepted, and who is blamed."""

from __future__ import annotations

import json

import pytest

from rrr_core import Model
from rrr_core.conversation import reflection_conversation, retry_conversation, with_reflection
from rrr_core.episode import Episode, Failure
from rrr_core.errors import PluginError
from rrr_core.tasks import load_task
from rrr_core.tasks.tools import read_tools, split_tools
from rrr_core.verdicts import failed
from tests.episodes import make_episode, make_failure

TAKES, TAKES_NONE = Model("tiny", takes_tools=True), Model("tiny")
TOOL = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}}
TOOLS = {"role": "tools", "content": json.dumps([TOOL])}
USER = {"role": "user", "content": "?"}


@pytest.fixture
def giving(site):
    """A function that makes a task with the given prompt."""

    def giving(*messages):
        extra = f"@hookimpl\ndef rrr_warmup(): return [{[*messages, dict(USER, role='assistant')]!r}]"
        site.install_task("x", SOURCE.format(list(messages)), extra=extra)
        return load_task("x")

    return giving


SOURCE = """
from rrr_core import hookimpl, passed
@hookimpl
def rrr_load_dataset(): return []
@hookimpl
def rrr_prompt(): return {}
@hookimpl
def rrr_verify(): return passed()
"""


def test_a_prompt_may_begin_with_tools_where_the_model_takes_them(giving):
    assert giving(TOOLS, USER).prompt({}, TAKES) == (TOOLS, USER)


def test_tools_for_a_model_that_takes_none_are_the_plugins_fault_with_what_to_look_at(giving):
    with pytest.raises(PluginError, match=r"^rrr-x 1\.0, hook rrr_prompt: gave tools to a model .*model\.takes_tools"):
        giving(TOOLS, USER).prompt({}, TAKES_NONE)


def test_a_server_or_an_unprobed_model_takes_no_tools():
    assert not Model("some/model").takes_tools


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([USER, TOOLS, USER], "message 1 has the role 'tools', which only the first may have"),
        ([TOOLS, TOOLS, USER], "message 1 has the role 'tools'"),
        ([TOOLS], "its last message has the role 'tools', not 'user'"),
        ([{"role": "tools", "content": "{"}, USER], "message 0, the tools: not JSON"),
    ],
)
def test_tools_in_another_place_or_form_are_the_plugins_fault(giving, messages, reason):
    with pytest.raises(PluginError, match=rf"^rrr-x 1\.0, hook rrr_prompt: {reason}"):
        giving(*messages).prompt({}, TAKES)


def test_a_worked_conversation_may_begin_with_tools(giving):
    (conversation,) = giving(TOOLS, USER).warmup("train", 1, 0)
    assert conversation == (TOOLS, USER, {**USER, "role": "assistant"})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[", "not JSON: "),
        ("[" * 100_000, "not JSON: "),
        ("[NaN]", "not JSON: NaN is not JSON"),
        ("[1e999]", "not JSON: "),
        ('["\\ud800"]', "not JSON: .*surrogates not allowed"),
        ("[]", "not a JSON array of at least one function schema"),
        (json.dumps(TOOL), "not a JSON array of at least one function schema"),
        (json.dumps([TOOL, 7]), 'tool 1 is not an object with the type "function"'),
        (json.dumps([TOOL["function"]]), 'tool 0 is not an object with the type "function"'),
        (json.dumps([{**TOOL, "type": "retrieval"}]), 'tool 0 is not an object with the type "function"'),
        (json.dumps([{**TOOL, "function": "add"}]), 'tool 0 is not an object with the type "function" and a function'),
        (json.dumps([{**TOOL, "function": {"name": " ", "parameters": {}}}]), "tool 0 has no name"),
        (json.dumps([{**TOOL, "function": {"name": 7, "parameters": {}}}]), "tool 0 has no name"),
        (json.dumps([{**TOOL, "function": {"name": "add"}}]), "tool 0 has no parameters: a JSON schema"),
        (json.dumps([{**TOOL, "function": {**TOOL["function"], "description": None}}]), "tool 0 has a description"),
    ],
)
def test_what_is_no_array_of_function_schemas_is_refused_with_a_reason_of_one_line(content, reason):
    with pytest.raises(ValueError, match=f"^{reason}") as caught:
        read_tools(content)
    assert str(caught.value).isprintable()


def test_a_function_needs_no_description_and_keeps_whatever_else_it_has():
    tool = {"type": "function", "function": {"name": "add", "parameters": {}, "strict": True}}
    assert read_tools(json.dumps([tool])) == [tool]


def test_tools_are_split_from_the_other_messages():
    assert split_tools([TOOLS, USER]) == ([TOOL], [USER])
    assert split_tools([USER]) == ([], [USER])
    assert split_tools([]) == ([], [])


def test_tools_stay_first_in_every_conversation_of_an_episode(giving):
    task = giving(TOOLS, USER)
    episode = make_episode(failed("wrong"), prompt=task.prompt({}, TAKES), attempt="3")
    for conversation in (
        reflection_conversation(task, episode, TAKES),
        retry_conversation(task, with_reflection(task, episode, "I miscounted.", TAKES), TAKES),
    ):
        assert conversation[0] == TOOLS
        assert [message["role"] for message in conversation[1:]] == ["user", "assistant"] * (
            len(conversation) // 2 - 1
        ) + ["user"]


def test_a_retry_does_not_repeat_the_tools(giving):
    assert giving(TOOLS, USER).retry_prompt({}, TAKES) == USER["content"]


def test_failures_and_episodes_keep_tools_through_json():
    failure = make_failure(0, "3", prompt=(TOOLS, USER))
    assert Failure.from_json(json.loads(json.dumps(failure.to_json())), "x:1") == failure
    episode = make_episode(failed("wrong"), prompt=(TOOLS, USER), attempt="3")
    assert Episode.from_json(json.loads(json.dumps(episode.to_json())), "x:1") == episode
