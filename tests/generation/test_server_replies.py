"""What servers send in place of a plain text, and what becomes of it: an answer, a thought, or no answer."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("httpx2")

from rrr_core.episode import Generation
from rrr_core.errors import ModelError
from rrr_core.generation import ModelSettings, make_engine
from rrr_core.generation.engine import Sampling
from tests.generation.served import Handler, Play, Stage, completion, echo, first, serving

SAMPLING = Sampling(temperature=0.7, max_tokens=512, seed=5)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("rrr_core.generation.connection.FIRST_WAIT", 0.01)


def questions(count: int) -> list[list[dict[str, str]]]:
    return [[{"role": "user", "content": f"question {number}"}] for number in range(count)]


def written(stage: Stage, count: int = 3, **settings: Any) -> list[Generation]:
    given = {"model": "m", "base_url": (stage.base_url,), "timeout": 20, "retries": 1, **settings}
    return make_engine(ModelSettings(**given)).generate(questions(count), SAMPLING)


def at_question(number: int, odd: Play) -> Play:
    """`odd` for one question, an echo for the others."""

    def play(handler: Handler, body: dict[str, Any]) -> None:
        (odd if body["messages"][-1]["content"] == f"question {number}" else echo)(handler, body)

    return play


def replying(content: object) -> Play:
    return lambda handler, body: handler.send(200, content)


def sending(content: bytes, headers: dict[str, str] | None = None) -> Play:
    return lambda handler, body: handler.send_bytes(content, headers)


def second_of(play: Play, **settings: Any) -> Generation:
    """What is made of the reply to the second of three questions; the others are answered."""
    with serving(at_question(1, play)) as stage:
        made = written(stage, **settings)
    assert [made[0], made[2]] == [Generation("you said question 0"), Generation("you said question 2")]
    return made[1]


def message(finish: str = "stop", **fields: Any) -> dict[str, Any]:
    reply = completion(None, finish)
    reply["choices"][0]["message"].update(fields)
    return reply


CALLS = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]


@pytest.mark.parametrize("reply", [message(), message("tool_calls", tool_calls=CALLS)], ids=["stop", "tool calls"])
def test_no_content_with_a_normal_end_is_an_empty_text(reply: dict[str, Any]) -> None:
    assert second_of(replying(reply)) == Generation("")


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_a_thought_is_kept_apart_from_the_answer(field: str) -> None:
    assert second_of(replying(message(content="3 + 4", **{field: "I add."}))) == Generation("3 + 4", thought="I add.")
    assert second_of(replying(message(**{field: "I add."}))) == Generation("", thought="I add.")
    spaced = second_of(replying(message(content="\n\n3 + 4", **{field: "\nI add.\n"})))
    assert spaced == Generation("3 + 4", thought="I add.")


def test_a_text_cut_off_in_its_thought_has_no_answer_yet() -> None:
    cut = second_of(replying(message("length", reasoning_content="I would")))
    assert cut == Generation("", finish="length", thought="I would", is_thinking=True)


def test_thought_marks_part_a_text_that_the_server_did_not_part() -> None:
    play = replying(message(content="<think>I add.</think>3 + 4"))
    assert second_of(play, thought_marks="<think> </think>") == Generation("3 + 4", thought="I add.")
    assert second_of(play) == Generation("<think>I add.</think>3 + 4")


def test_a_text_without_marks_is_a_thought_where_the_prompt_is_said_to_open_it() -> None:
    cut = replying(message("length", content="Is it <answer>3 + 4</answer>?"))
    thinking = Generation("", finish="length", thought="Is it <answer>3 + 4</answer>?", is_thinking=True)
    for play, made in ((cut, thinking), (replying(message(content="So.</think>7")), Generation("7", thought="So."))):
        with serving(play) as stage:
            assert written(stage, count=1, thought_marks="<think> </think> opened") == [made]


def test_of_a_list_of_parts_the_text_parts_are_the_text() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "I add."}]},
        {"type": "text", "text": "3 "},
        {"type": "image_url", "image_url": {"url": "http://x"}},
        {"type": "text", "text": "+ 4"},
    ]
    assert second_of(replying(message(content=parts))) == Generation("3 + 4", thought="I add.")


@pytest.mark.parametrize(("usage", "count"), [({"completion_tokens": 7}, 7), ({}, None), (None, None), ("?", None)])
def test_the_servers_count_of_tokens_is_kept(usage: object, count: int | None) -> None:
    reply = {**message(content="3 + 4"), "usage": usage}
    assert second_of(replying(reply)).length == count


REFUSED = {"error": {"message": "This model's maximum context length is 4096 tokens.", "code": "context"}}
FILTERED = {"error": {"message": "Your prompt was blocked by our content filter.", "code": "content_filter"}}


@pytest.mark.parametrize(
    ("play", "kind"),
    [
        (replying(message("content_filter", refusal="no")), "content filter"),
        (replying(message("content_filter", content="Half a")), "content filter"),
        (replying(message(refusal="I will not.")), "refusal"),
        (replying({"error": {"message": "overloaded"}}), "error in the reply"),
        (replying({"error": FILTERED["error"], "choices": []}), "content filter"),
        (replying(message("error")), "error in the reply"),
        (lambda handler, body: handler.send(400, REFUSED), "request refused"),
        (lambda handler, body: handler.send(413, "too large"), "request refused"),
        (lambda handler, body: handler.send(400, FILTERED), "content filter"),
        (replying("<html>busy</html>"), "unreadable reply"),
        (replying('{"choices": [{"mess'), "unreadable reply"),
        (replying("[" * 200_000), "unreadable reply"),
        (replying('{"choices":' + "[" * 200_000), "unreadable reply"),
        (replying('{"choices": [{"message": {"content": "\\ud83d"}}]}'), "unreadable reply"),
        (sending(b'{"choices": [{"message": {"content": "\xff\xfe"}}]}'), "unreadable reply"),
        (sending(b'{"n": ' + b"9" * 9999 + b"}"), "unreadable reply"),
        (sending(b"no gzip", {"Content-Encoding": "gzip"}), "unreadable reply"),
        (sending(b"?", {"Content-Encoding": "br"}), "unreadable reply"),
        (replying({"choices": []}), "unreadable reply"),
        (replying({"choices": [{"message": {}}]}), "unreadable reply"),
        (replying(message(content=7)), "unreadable reply"),
        (replying(message(content=["a"])), "unreadable reply"),
    ],
)
def test_a_fault_of_one_request_leaves_it_without_an_answer(play: Play, kind: str) -> None:
    assert second_of(play) == Generation("", missing=kind)


def test_a_reply_that_cannot_be_read_is_asked_for_again() -> None:
    with serving(first(1, replying("<html>busy</html>"))) as stage:
        assert written(stage, count=1) == [Generation("you said question 0")]
    assert len(stage.requests) == 2


def test_a_filtered_request_is_not_asked_again() -> None:
    with serving(replying(message("content_filter"))) as stage:
        written(stage, count=1)
    assert len(stage.requests) == 1


def test_where_every_request_is_refused_the_job_ends_in_one_line() -> None:
    def play(handler: Handler, body: dict[str, Any]) -> None:
        handler.send(400, {"error": {"message": "the model is being moved"}})

    with serving(play) as stage, pytest.raises(ModelError, match="refused the request .HTTP 400: .*being moved"):
        written(stage)


def test_the_first_request_of_a_job_may_be_the_refused_one() -> None:
    """A plain question shows that the refusal is about that request alone."""
    with serving(at_question(0, lambda handler, body: handler.send(400, REFUSED))) as stage:
        assert written(stage, count=1) == [Generation("", missing="request refused")]
    assert [request["messages"][0]["content"] for request in stage.requests] == ["question 0", "Hi"]


def test_the_time_limit_is_for_the_whole_answer() -> None:
    def drip(handler: Handler, body: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)

    began = time.monotonic()
    with serving(drip) as stage, pytest.raises(ModelError, match="no answer within 0.3 s, tried once: raise --timeout"):
        written(stage, count=1, timeout=0.3, retries=0)
    assert time.monotonic() - began < 3


class Counted:
    """Sends a long body until the client hangs up, and counts what went out."""

    def __init__(self, chunk: bytes, chunks: int, headers: dict[str, str] | None = None) -> None:
        self.chunk, self.chunks, self.headers, self.sent = chunk, chunks, headers or {}, 0

    def __call__(self, handler: Handler, body: dict[str, Any]) -> None:
        handler.send_response(200)
        for name, value in {"Content-Length": str(len(self.chunk) * self.chunks), **self.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        for _ in range(self.chunks):
            handler.wfile.write(self.chunk)
            self.sent += len(self.chunk)


def test_a_reply_of_more_bytes_than_its_tokens_can_be_is_not_read_on() -> None:
    play = Counted(b" " * (1 << 16), 1600)
    assert second_of(play) == Generation("", missing="reply too long")
    assert play.sent < 20 << 20


@pytest.mark.parametrize(("pack", "coding"), [(gzip.compress, "gzip"), (zlib.compress, "deflate")])
def test_a_packed_reply_is_bounded_as_it_is_unpacked(pack: Callable[[bytes], bytes], coding: str) -> None:
    bomb = pack(b" " * (300 << 20))
    assert len(bomb) < 1 << 20
    play = Counted(bomb, 1, {"Content-Encoding": coding})
    assert second_of(play) == Generation("", missing="reply too long")


def test_a_packed_reply_of_usual_length_is_read() -> None:
    packed = gzip.compress(json.dumps(completion("3 + 4")).encode())
    assert second_of(sending(packed, {"Content-Encoding": "gzip"})) == Generation("3 + 4")


def test_half_a_character_in_a_question_is_sent() -> None:
    with serving(echo) as stage:
        make_engine(ModelSettings(model="m", base_url=(stage.base_url,))).generate(
            [[{"role": "user", "content": "\ud83d"}]], SAMPLING
        )
    assert stage.requests[0]["messages"][0]["content"] == "\ud83d"


def test_earlier_thoughts_go_in_a_field_of_their_own() -> None:
    talk = [
        {"role": "user", "content": "3 + 4?"},
        {"role": "assistant", "content": "8", "thought": "I add."},
        {"role": "user", "content": "Again?"},
    ]

    def strict(handler: Handler, body: dict[str, Any]) -> None:
        if any("reasoning_content" in each for each in body["messages"]):
            handler.send(400, {"error": {"message": "messages.1.reasoning_content: Extra inputs are not permitted"}})
        else:
            echo(handler, body)

    for play, seen in ((echo, {"role": "assistant", "content": "8", "reasoning_content": "I add."}), (strict, talk[1])):
        with serving(play) as stage:
            engine = make_engine(ModelSettings(model="m", base_url=(stage.base_url,)))
            engine.generate([talk], SAMPLING)
        assert stage.requests[-1]["messages"][1] == {key: value for key, value in seen.items() if key != "thought"}
    assert "takes no earlier thoughts" in str(engine.notice)
