"""What a server refuses by name is left out or renamed, or ends the job where the texts would be others."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("httpx2")

from rrr_core.errors import ModelError
from rrr_core.generation import Engine, ModelSettings, make_engine
from rrr_core.generation.engine import Sampling
from tests.generation.served import Handler, Play, Stage, echo, serving

GREEDY, SAMPLED = Sampling(temperature=0, max_tokens=9), Sampling(temperature=1.0, max_tokens=9)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("rrr_core.generation.connection.FIRST_WAIT", 0.01)


def questions(count: int) -> list[list[dict[str, str]]]:
    return [[{"role": "user", "content": f"question {number}"}] for number in range(count)]


def opened(stage: Stage, **settings: Any) -> Engine:
    return make_engine(ModelSettings(**{"model": "m", "base_url": (stage.base_url,), "retries": 0, **settings}))


def refusing(name: str, refusal: object, status: int = 400) -> Play:
    """A server that answers only without that field."""

    def play(handler: Handler, body: dict[str, Any]) -> None:
        if name in body:
            handler.send(status, refusal)
        else:
            echo(handler, body)

    return play


def openai(message: str, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": "unsupported"}}


INSTEAD = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."


@pytest.mark.parametrize("param", ["max_tokens", None])
def test_the_newer_name_of_the_token_limit_is_used_where_the_older_is_refused(param: str | None) -> None:
    with serving(refusing("max_tokens", openai(INSTEAD, param))) as stage:
        engine = opened(stage, concurrency=1)
        engine.generate(questions(3), GREEDY)
    assert [("max_tokens" in each, each.get("max_completion_tokens")) for each in stage.requests] == [
        (True, None),
        *[(False, 9)] * 3,
    ]
    assert engine.findings == {"renamed": {"max_tokens": "max_completion_tokens"}}
    assert engine.notice == f"The server {stage.base_url} takes max_completion_tokens in place of max_tokens."


def test_a_limit_that_is_too_large_is_no_refusal_of_its_name() -> None:
    said = "'max_tokens' or 'max_completion_tokens' is too large: 9. This model's maximum context length is 5 tokens."

    def play(handler: Handler, body: dict[str, Any]) -> None:
        handler.send(400, openai(said, "max_tokens")) if "max_tokens" in body else echo(handler, body)

    with serving(play) as stage, pytest.raises(ModelError, match="refused the request .*too large"):
        opened(stage).generate(questions(1), GREEDY)


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (openai("Unrecognized request argument supplied: top_k"), 400),
        (openai("property 'top_k' is unsupported", "top_k"), 400),
        (openai("Extra inputs are not permitted", "body.top_k"), 422),
        (
            {
                "detail": [
                    {"type": "extra_forbidden", "loc": ["body", "top_k"], "msg": "Extra inputs are not permitted"}
                ]
            },
            422,
        ),
        ({"error": 'Invalid JSON payload received. Unknown name "top_k": Cannot find field.'}, 400),
        ({"message": "top_k must be at least 0", "object": "error"}, 400),
        ("no such field: top_k", 400),
    ],
)
def test_a_field_that_changes_nothing_is_left_out_where_it_is_refused(refusal: object, status: int) -> None:
    with serving(refusing("top_k", refusal, status)) as stage:
        engine = opened(stage, concurrency=1)
        engine.generate(questions(2), SAMPLED)
        engine.generate(questions(2), SAMPLED)
    assert ["top_k" in each for each in stage.requests] == [True, False, False, False, False]
    assert engine.findings == {"left_out": ["top_k"]}
    assert engine.notice == f"The server {stage.base_url} refuses top_k: left out, so the server decides."


def test_several_fields_are_left_out_one_after_the_other() -> None:
    def play(handler: Handler, body: dict[str, Any]) -> None:
        for name in ("seed", "min_p", "repetition_penalty"):
            if name in body:
                handler.send(400, openai(f"Unsupported parameter: '{name}'", name))
                return
        echo(handler, body)

    with serving(play) as stage:
        engine = opened(stage)
        made = engine.generate(questions(8), SAMPLED)
    assert all(each.text for each in made)
    assert engine.findings == {"left_out": ["min_p", "repetition_penalty", "seed"]}
    assert "may give other texts when it is asked again" in str(engine.notice)


def test_of_two_fields_that_do_not_go_together_the_one_that_changes_nothing_is_left_out() -> None:
    said = openai("`temperature` and `top_p` cannot both be specified for this model.")
    with serving(refusing("top_p", said)) as stage:
        engine = opened(stage)
        engine.generate(questions(1), Sampling(temperature=0.5))
    assert engine.findings == {"left_out": ["top_p"]}


TEMPERATURE = openai(
    "Unsupported value: 'temperature' does not support 0.0 with this model. Only the default (1) value is supported.",
    "temperature",
)


def only_one(handler: Handler, body: dict[str, Any]) -> None:
    if body.get("temperature") not in (None, 1, 1.0):
        handler.send(400, TEMPERATURE)
    else:
        echo(handler, body)


def test_greedy_decoding_where_it_is_refused_ends_in_one_line_that_says_what_to_do() -> None:
    with serving(only_one) as stage, pytest.raises(ModelError) as caught:
        opened(stage).generate(questions(3), GREEDY)
    assert "refuses temperature = 0" in str(caught.value)
    assert "--modes sampled --temperature 1" in str(caught.value)
    with serving(only_one) as stage:
        assert opened(stage).generate(questions(1), SAMPLED)[0].text == "you said question 0"


def test_a_cut_that_was_asked_for_is_not_dropped() -> None:
    said = openai("Unsupported parameter: 'top_k'", "top_k")
    with serving(refusing("top_k", said)) as stage:
        engine = opened(stage)
        engine.generate(questions(1), SAMPLED)
        with pytest.raises(ModelError, match="top_k, and without it the texts would be others: leave out --top-k"):
            engine.generate(questions(1), Sampling(temperature=1, top_k=5))
        engine.generate(questions(1), Sampling(temperature=0, top_k=5))  # which cuts nothing from a greedy text


def test_words_of_a_later_refusal_change_no_field_that_was_taken_before() -> None:
    def play(handler: Handler, body: dict[str, Any]) -> None:
        if body["messages"][0]["content"] == "question 1":
            handler.send(400, openai("Your seed text on temperature and top_p breaks our rules."))
        else:
            echo(handler, body)

    with serving(play) as stage:
        engine = opened(stage, concurrency=1)
        made = engine.generate(questions(3), GREEDY)
    assert [each.missing for each in made] == ["", "request refused", ""]
    assert engine.findings == {}


def test_further_fields_are_sent_and_are_part_of_what_the_model_is() -> None:
    fields = {"reasoning_effort": "low", "user": '"7"', "presence_penalty": "0.5", "extra": '{"a": [1]}'}
    with serving(echo) as stage:
        engine = opened(stage, server_body=fields, template={"enable_thinking": "false"})
        engine.generate(questions(1), SAMPLED)
    sent = {"reasoning_effort": "low", "user": "7", "presence_penalty": 0.5, "extra": {"a": [1]}}
    sent["chat_template_kwargs"] = {"enable_thinking": False}
    assert {name: stage.requests[0][name] for name in sent} == sent
    assert engine.describe()["body"] == sent
    assert "body" not in opened(stage).describe()


def test_a_further_field_that_is_refused_is_named() -> None:
    play = refusing("speed", openai("Unknown parameter: 'speed'.", "speed"))
    with serving(play) as stage, pytest.raises(ModelError, match="refuses --server-body speed .*leave it out"):
        opened(stage, server_body={"speed": "9"}).generate(questions(1), SAMPLED)


@pytest.mark.parametrize("name", ["model", "messages", "temperature", "max_tokens", "n", "stream", "tools", "seed"])
def test_a_field_that_rrr_sets_itself_is_refused(name: str) -> None:
    settings = ModelSettings(model="m", base_url=("http://127.0.0.1:9/v1",), server_body={name: "1"})
    with pytest.raises(ModelError, match=f"--server-body {name} cannot be set"):
        make_engine(settings)


@pytest.mark.parametrize("text", ['{"X-Team": "se cret", "X-Two": "2"}', "X-Team: se cret\nX-Two: 2\n"])
def test_headers_come_from_an_environment_variable_and_are_shown_nowhere(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_HEADERS", text)

    def play(handler: Handler, body: dict[str, Any]) -> None:
        handler.send(401, {"error": {"message": "who is se cret?"}})

    with serving(play) as stage:
        engine = opened(stage, server_headers_env="MY_HEADERS")
        with pytest.raises(ModelError) as caught:
            engine.generate(questions(1), SAMPLED)
    assert stage.headers[0]["x-team"] == "se cret"
    assert stage.headers[0]["x-two"] == "2"
    assert "se cret" not in str(caught.value) + json.dumps(engine.describe())


@pytest.mark.parametrize("text", ['{"X": 1}', "no colon here", "X y: 1", '{"X": "a\\nb"}', '{"X', '{"X": ' * 9999])
def test_headers_that_are_none_are_refused_without_showing_them(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_HEADERS", text)
    settings = ModelSettings(model="m", base_url=("http://127.0.0.1:9/v1",), server_headers_env="MY_HEADERS")
    with pytest.raises(ModelError, match="MY_HEADERS .*holds no headers") as caught:
        make_engine(settings)
    assert text not in str(caught.value)


def test_a_missing_variable_of_headers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_HEADERS", raising=False)
    settings = ModelSettings(model="m", base_url=("http://127.0.0.1:9/v1",), server_headers_env="MY_HEADERS")
    with pytest.raises(ModelError, match="MY_HEADERS .*is not set"):
        make_engine(settings)
