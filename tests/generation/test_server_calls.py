"""Tools given to a server, the calls in its replies, and what it is sent of earlier ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("httpx2")

from rrr_core.conversation import conversation
from rrr_core.episode import Generation, Segment
from rrr_core.errors import ModelError
from rrr_core.generation import ModelSettings, make_engine
from rrr_core.generation.engine import Sampling
from rrr_core.hookspecs import Call
from tests.generation.served import Handler, Play, completion, echo, serving

SAMPLING = Sampling(temperature=0.7, max_tokens=64, seed=5)
SCHEMAS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
TOOLS = {"role": "tools", "content": json.dumps(SCHEMAS)}
ASK = {"role": "user", "content": "Where is it?"}
LOOK = Call("look", {"at": ["“é”", 1, True, None]})


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("rrr_core.generation.connection.FIRST_WAIT", 0.01)


def calling(*arguments: object, content: str | None = None, finish: str = "tool_calls", **fields: Any) -> Play:
    """A reply that calls `look` with each of these arguments."""
    reply = completion(content, finish)
    message = reply["choices"][0]["message"]
    message["tool_calls"] = [
        {"id": f"c{place}", "type": "function", "function": {"name": "look", "arguments": each}}
        for place, each in enumerate(arguments)
    ]
    message.update(fields)
    return lambda handler, body: handler.send(200, reply)


def asked(play: Play, *messages: dict[str, str]) -> tuple[Generation, dict[str, Any]]:
    """What is made of the reply, and the request."""
    with serving(play) as stage:
        engine = make_engine(ModelSettings(model="m", base_url=(stage.base_url,), timeout=20, retries=0))
        assert (engine.model.takes_tools, engine.model.calls) == (False, True)
        (made,) = engine.generate([list(messages or (TOOLS, ASK))], SAMPLING)
        assert engine.read_calls(made, [TOOLS, ASK]) is made
        return made, stage.requests[-1]


def test_tools_are_a_field_of_the_request() -> None:
    _, request = asked(echo)
    assert request["tools"] == SCHEMAS
    assert request["messages"] == [ASK]
    assert "tools" not in asked(echo, ASK)[1]


def test_a_reply_is_text_thought_and_calls_apart() -> None:
    text = json.dumps(LOOK.arguments)
    made, _ = asked(calling(text, "{}", content="I look.", reasoning_content="Where?"))
    assert (made.text, made.thought, made.calls) == ("I look.", "Where?", (LOOK, Call("look", {})))
    assert (made.finish, made.is_thinking, made.missing) == ("stop", False, "")


def test_calls_without_a_text_are_an_answer() -> None:
    made, _ = asked(calling(json.dumps(LOOK.arguments), reasoning_content="Where?"))
    assert (made.text, made.calls, made.is_thinking) == ("", (LOOK,), False)
    made, _ = asked(calling(LOOK.arguments))  # some servers send an object
    assert made.calls == (LOOK,)


@pytest.mark.parametrize(
    "arguments",
    ['{"at": ', "[1]", '{"a": NaN}', '{"a": 1, "a": 2}', '{"a": "\\ud800"}', "{} {}", 3, None, "[" * 100_000],
    ids=lambda each: str(each)[:12],
)
def test_malformed_arguments_stay_text(arguments: object) -> None:
    made, _ = asked(calling("{}", arguments, content="I look."))
    assert made.calls == ()
    text, _, rest = made.text.partition("\n")
    assert text == "I look."
    assert [each["function"]["arguments"] for each in json.loads(rest)] == ["{}", arguments]


@pytest.mark.parametrize("calls", [3, "look", [3], [{}], [{"function": {"arguments": "{}"}}], [{"function": 1}]])
def test_calls_of_another_shape_stay_text(calls: object) -> None:
    made, _ = asked(calling("{}", tool_calls=calls))
    assert (made.calls, json.loads(made.text)) == ((), calls)


def test_a_call_that_the_token_limit_ended_is_cut_off() -> None:
    made, _ = asked(calling('{"at": ', finish="length"))
    assert made.is_cut_off
    assert made.calls == ()


def test_a_request_without_tools_gets_no_calls() -> None:
    made, _ = asked(calling("{}"), ASK)
    assert (made.text, made.calls) == ("", ())


def test_earlier_calls_are_each_answered_and_named() -> None:
    course = [
        Segment("attempt", text="I look.", calls=(LOOK, Call("look", {}))),
        Segment("observation", ({"role": "tool", "content": "Nothing."},)),
        Segment("attempt", calls=(LOOK,)),
        Segment("prompt", (ASK,)),
    ]
    _, request = asked(echo, TOOLS, ASK, *conversation(course))
    _, first, answer, other, second, unanswered, again = request["messages"]
    names = [each["id"] for each in first["tool_calls"]]
    assert len(set(names)) == 2
    assert [json.loads(each["function"]["arguments"]) for each in first["tool_calls"]] == [LOOK.arguments, {}]
    assert first["content"] == "I look."
    assert answer == {"role": "tool", "tool_call_id": names[0], "content": "Nothing."}
    assert other == {"role": "tool", "tool_call_id": names[1], "content": ""}
    assert second["content"] is None
    assert unanswered["tool_call_id"] == second["tool_calls"][0]["id"]
    assert again == ASK
    assert all("calls" not in message for message in request["messages"])


def test_a_server_that_takes_no_tools_is_one_error_in_its_words() -> None:
    def refuse(handler: Handler, body: dict[str, Any]) -> None:
        said = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
        if "tools" in body:
            handler.send(400, {"error": {"message": said, "code": 400}})
        else:
            echo(handler, body)

    with pytest.raises(ModelError, match="requires --enable-auto-tool-choice") as caught:
        asked(refuse)
    assert "\n" not in str(caught.value)
