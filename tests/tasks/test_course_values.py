"""What hooks may return about courses that call tools: examples with calls, and worked conversations."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rrr_core import Action, Call, Example
from rrr_core.tasks.course_values import DEEPEST_CALL, checked_conversation, checked_example

ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
TOOLS = {"role": "tools", "content": json.dumps([ADD])}
ASKED = {"role": "user", "content": "2 + 3?"}
CALLED = {"role": "assistant", "content": "", "calls": [Call("add", {"a": 2, "b": 3})]}
RESULT = {"role": "tool", "content": "5"}
SAID = {"role": "assistant", "content": "It is 5."}


def nested(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels - 1):
        value = {"x": value}
    return value


class TestExamples:
    def test_may_have_actions_that_call_whose_arguments_are_as_read_back_from_json(self) -> None:
        given = Example({}, "5", "passed", actions=("look", Action("now", (Call("add", {"numbers": (2, 3)}),))))
        assert checked_example(given).actions == ("look", Action("now", (Call("add", {"numbers": [2, 3]}),)))

    @pytest.mark.parametrize(
        ("action", "said"),
        [
            (7, "has an int among its actions, not a str or an Action"),
            (Action(None), "has an Action whose text is None, not a str"),  # type: ignore[arg-type]
            (Action(calls="add"), "has an Action that gave a str as its calls, not a tuple of Call"),  # type: ignore[arg-type]
            (Action(calls=({"name": "add"},)), "gave a tuple as its calls, not a tuple of Call"),  # type: ignore[arg-type]
            (Action(calls=(Call(" ", {}),)), "gave a call without a name"),
            (Action(calls=(Call("add", {"a": {1, 2}}),)), "a call of 'add' whose arguments: is not JSON-able"),
            (Action(calls=(Call("add", {"a": "\ud83d"}),)), "a call of 'add' with a lone surrogate"),
            (Action(calls=(Call("add", nested(DEEPEST_CALL + 1)),)), "a call of 'add' nested too deeply"),
        ],
    )
    def test_have_no_action_that_no_model_could_write(self, action: Any, said: str) -> None:
        with pytest.raises(ValueError, match=said):
            checked_example(Example({}, "5", "passed", actions=(action,)))

    def test_may_call_as_deeply_as_a_models_call_can_be_read(self) -> None:
        checked_example(Example({}, "5", "passed", actions=(Action(calls=(Call("add", nested(DEEPEST_CALL)),)),)))


class TestWorkedConversations:
    def test_may_show_tools_call_them_and_read_what_that_led_to(self) -> None:
        tools, asked, called, result, said = checked_conversation([TOOLS, ASKED, CALLED, RESULT, SAID])
        assert (tools, asked, result, said) == (TOOLS, ASKED, RESULT, SAID)
        assert json.loads(called.pop("calls")) == [{"name": "add", "arguments": {"a": 2, "b": 3}}]
        assert called == {"role": "assistant", "content": ""}

    def test_may_end_in_a_call(self) -> None:
        assert len(checked_conversation([TOOLS, ASKED, CALLED])) == 3

    @pytest.mark.parametrize(
        ("conversation", "said"),
        [
            ([ASKED, CALLED], "message 1 calls tools, and no message of the role 'tools' is before it"),
            ([ASKED, RESULT, SAID], "message 1 has the role 'tool', and the one before it calls nothing"),
            ([TOOLS, ASKED, CALLED, RESULT], "its last message has the role 'tool', not 'assistant'"),
            ([ASKED, TOOLS, SAID], "message 1 has the role 'tools', which only the first may have"),
            ([{**TOOLS, "content": "[]"}, ASKED, SAID], "message 0, the tools: not a JSON array of at least one"),
            (
                [TOOLS, {**ASKED, "calls": []}, SAID],
                "message 1 has calls, content, role; it must have exactly role and",
            ),
            ([TOOLS, ASKED, {**CALLED, "calls": []}], "message 2: its calls are none: leave them out"),
            ([TOOLS, ASKED, {**CALLED, "thought": "hm"}], "message 2 has other keys than role, content and calls"),
            ([TOOLS, ASKED, {**CALLED, "content": None}], "message 2: gave None, not a str"),
            ([TOOLS, ASKED, {**SAID, "content": " "}], "message 2: gave blank text"),
        ],
    )
    def test_are_refused_where_no_template_could_show_them(self, conversation: list[dict[str, Any]], said: str) -> None:
        with pytest.raises(ValueError, match=said):
            checked_conversation(conversation)
