"""The server engine against a real HTTP server that answers well, late, brokenly or not at all."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from typing import Any

import pytest

pytest.importorskip("httpx2")

from rrr_core.episode import Generation
from rrr_core.errors import ModelError
from rrr_core.generation import ModelSettings, make_engine
from rrr_core.generation.addresses import shown
from rrr_core.generation.engine import Sampling
from rrr_core.generation.server import ServerEngine
from tests.generation.served import Handler, Stage, completion, echo, first, serving

SECRET = "sk-very-secret-4711"
SAMPLING = Sampling(temperature=0.7, max_tokens=33, top_p=0.9, seed=5)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr("rrr_core.generation.connection.FIRST_WAIT", 0.02)


def questions(count: int) -> list[list[dict[str, str]]]:
    return [[{"role": "user", "content": f"question {number}"}] for number in range(count)]


def engine(stage: Stage, **changes: Any) -> ServerEngine:
    return engine_at(stage.base_url, **changes)


def engine_at(*addresses: str, **changes: Any) -> ServerEngine:
    given = {"model": "m", "base_url": addresses, "timeout": 20, "retries": 2, **changes}
    made = make_engine(ModelSettings(**given))
    assert isinstance(made, ServerEngine)
    return made


def fault_of(client: ServerEngine, count: int = 1) -> str:
    with pytest.raises(ModelError) as caught:
        client.generate(questions(count), SAMPLING)
    (line,) = str(caught.value).splitlines()
    return line


def test_answers_come_in_order_although_they_finish_in_another() -> None:
    def late_first(handler: Handler, body: dict[str, Any]) -> None:
        time.sleep(0.2 if body["messages"][0]["content"].endswith(("0", "3")) else 0)
        echo(handler, body)

    finished: list[int] = []
    with serving(late_first) as stage:
        generations = engine(stage, concurrency=4).generate(questions(12), SAMPLING, finished.append)
    assert generations == [Generation(f"you said question {number}") for number in range(12)]
    assert finished == [1] * 12


def test_a_request_carries_every_sampling_setting() -> None:
    with serving(echo) as stage:
        sampling = Sampling(
            temperature=0.7, max_tokens=33, top_p=0.9, top_k=7, min_p=0.1, repetition_penalty=1.2, seed=5
        )
        engine(stage).generate(questions(1), sampling)
    (request,) = stage.requests
    assert stage.paths[0] == "/v1/chat/completions"
    assert isinstance(request.pop("seed"), int)
    assert request == {
        "model": "m",
        "messages": [{"role": "user", "content": "question 0"}],
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 7,
        "min_p": 0.1,
        "repetition_penalty": 1.2,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "max_tokens": 33,
    }


def test_what_is_not_set_is_sent_as_the_value_that_changes_nothing() -> None:
    with serving(echo) as stage:
        engine(stage).generate(questions(1), SAMPLING)
    (request,) = stage.requests
    assert (request["top_k"], request["min_p"], request["repetition_penalty"]) == (-1, 0, 1)


def test_each_request_has_its_own_seed_and_the_same_again() -> None:
    def seeds(seed: int) -> dict[str, int]:
        with serving(echo) as stage:
            engine(stage).generate(questions(8), Sampling(seed=seed))
        return {request["messages"][0]["content"]: request["seed"] for request in stage.requests}

    first_time = seeds(5)
    assert len(set(first_time.values())) == 8
    assert seeds(5) == first_time
    assert not set(seeds(6).values()) & set(first_time.values())
    assert all(0 <= seed < 2**31 for seed in first_time.values())


@pytest.mark.parametrize("concurrency", [1, 5])
def test_as_many_requests_as_allowed_are_in_flight_and_no_more(concurrency: int) -> None:
    together = threading.Barrier(concurrency)

    def meet(handler: Handler, body: dict[str, Any]) -> None:
        together.wait(timeout=10)
        time.sleep(0.02)
        # Counted out before the answer, since the client's next request may come before this thread continues.
        with handler.server.lock:
            handler.server.in_flight -= 1
        echo(handler, body)
        with handler.server.lock:
            handler.server.in_flight += 1

    with serving(meet) as stage:
        engine(stage, concurrency=concurrency).generate(questions(concurrency * 4), SAMPLING)
    assert stage.most_in_flight == concurrency


def test_no_more_connections_than_requests_are_opened() -> None:
    with serving(echo) as stage:
        engine(stage, concurrency=16).generate(questions(2), SAMPLING)
    assert stage.most_in_flight <= 2


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_passing_fault_is_retried(status: int) -> None:
    with serving(first(2, lambda handler, body: handler.send(status, {"error": {"message": "busy"}}))) as stage:
        assert engine(stage).generate(questions(1), SAMPLING) == [Generation("you said question 0")]
    assert len(stage.requests) == 3
    assert stage.requests[0]["seed"] == stage.requests[2]["seed"]


def test_a_broken_connection_is_retried() -> None:
    with serving(first(2, lambda handler, body: handler.reset())) as stage:
        assert engine(stage).generate(questions(1), SAMPLING) == [Generation("you said question 0")]
    assert len(stage.requests) == 3


def test_retry_after_is_honoured() -> None:
    limited = {"Retry-After": "1"}
    with serving(first(1, lambda handler, body: handler.send(429, {"error": {}}, limited))) as stage:
        engine(stage).generate(questions(1), SAMPLING)
    assert 1 <= stage.times[1] - stage.times[0] < 5


def test_waits_between_tries_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rrr_core.generation.connection.FIRST_WAIT", 0.1)
    with serving(first(3, lambda handler, body: handler.send(500, {"error": {}}))) as stage:
        engine(stage, retries=3).generate(questions(1), SAMPLING)
    waits = [after - before for before, after in zip(stage.times, stage.times[1:], strict=False)]
    for number, wait in enumerate(waits):
        assert 0.1 * 2**number * 0.75 <= wait < 0.1 * 2**number + 1


def test_a_lasting_fault_is_one_line_with_the_servers_words() -> None:
    said = {"error": {"message": "out\nof \x1b[31mmemory " + "x" * 999}}
    with serving(lambda handler, body: handler.send(500, said)) as stage:
        line = fault_of(engine(stage))
    assert f"The server {stage.base_url} failed 3 times (HTTP 500:" in line
    assert "\x1b" not in line
    assert len(line) < 450
    assert len(stage.requests) == 3


def test_a_server_that_is_too_slow_is_reported_with_the_option() -> None:
    with serving(lambda handler, body: time.sleep(0.6)) as stage:
        line = fault_of(engine(stage, timeout=0.1, retries=1))
    assert "no answer within 0.1 s, tried 2 times: raise --timeout" in line


def test_a_missing_server_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    line = fault_of(engine_at(f"http://127.0.0.1:{port}/v1", retries=1))
    assert "cannot be reached, tried 2 times" in line
    assert "is it running?" in line


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "environment variable OPENAI_API_KEY is not set"),
        (403, "environment variable OPENAI_API_KEY is not set"),
        (404, "knows no model 'm', or the address lacks its /v1"),
        (308, "points to another address"),
    ],
)
def test_a_refusal_is_not_retried(status: int, message: str) -> None:
    with serving(lambda handler, body: handler.send(status, {"error": {"message": "no"}})) as stage:
        assert message in fault_of(engine(stage))
    assert len(stage.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        "<html>busy</html>",
        '{"choices": [{"mess',
        "",
        "null",
        "[]",
        '"text"',
        {},
        {"choices": []},
        {"choices": None},
        {"choices": {"0": 1}},
        {"choices": [{"message": None}]},
        {"choices": [{"message": {}}]},
        {"error": {"message": "in the body"}},
    ],
    ids=str,
)
def test_a_server_that_answers_with_no_completions_at_all_is_an_error(body: object) -> None:
    with serving(lambda handler, request: handler.send(200, body)) as stage:
        assert "answered with no chat completion" in fault_of(engine(stage))


def test_the_finish_reason_of_a_text_is_kept() -> None:
    def play(handler: Handler, body: dict[str, Any]) -> None:
        number = int(body["messages"][0]["content"].split()[1])
        handler.send(200, [completion("a"), completion("b", "length"), completion(None, "length")][number])

    with serving(play) as stage:
        generations = engine(stage).generate(questions(3), SAMPLING)
    assert generations == [Generation("a"), Generation("b", finish="length"), Generation("", finish="length")]


def test_a_fault_of_all_requests_ends_them_at_the_first() -> None:
    def play(handler: Handler, body: dict[str, Any]) -> None:
        if body["messages"][0]["content"] == "question 3":
            handler.send(401, {"error": {"message": "no"}})
        else:
            time.sleep(0.05)
            echo(handler, body)

    with serving(play) as stage:
        assert "HTTP 401" in fault_of(engine(stage, concurrency=4), count=200)
    assert len(stage.requests) < 50


def test_the_key_is_sent_from_its_variable_and_shown_nowhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MY_KEY", SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin")
    refusal = {"error": {"message": f"Incorrect API key provided: {SECRET}"}}
    with serving(first(1, lambda handler, body: handler.send(401, refusal))) as stage:
        client = engine(stage, api_key_env="MY_KEY")
        line = fault_of(client)
        client.generate(questions(1), SAMPLING)
    assert "environment variable MY_KEY is set, but refused" in line
    assert [headers["authorization"] for headers in stage.headers] == [f"Bearer {SECRET}"] * 2
    everything = line + json.dumps(client.describe()) + caplog.text + repr(vars(client))
    for secret in (SECRET, "sk-another", "sk-admin"):
        assert secret not in everything
        assert secret == SECRET or secret not in str(stage.headers)


def test_a_server_without_keys_needs_none() -> None:
    with serving(echo) as stage:
        assert len(engine(stage).generate(questions(1), SAMPLING)) == 1


def test_without_requests_nothing_is_sent() -> None:
    assert engine_at("http://127.0.0.1:9/v1").generate([], SAMPLING) == []


def test_the_settings_lead_to_the_server() -> None:
    with serving(echo) as stage:
        client = make_engine(ModelSettings(model="Qwen2-72B-Instruct", base_url=stage.base_url))
        assert client.generate(questions(1), SAMPLING)[0].text == "you said question 0"
    assert client.model.family == "qwen"
    assert client.describe()["base_url"] == stage.base_url


def test_an_address_is_shown_without_its_credentials() -> None:
    address = "https://me:secret@host:8000/v1?token=x"
    assert engine_at(address).describe()["base_url"] == shown(address) == "https://host:8000/v1"


@pytest.mark.parametrize("address", ["", "host:8000", "ftp://host/v1", "http://", "http://[::1/v1", "http://h:nine/v1"])
def test_an_invalid_address_is_refused(address: str) -> None:
    with pytest.raises(ModelError, match="is not a server's address"):
        make_engine(ModelSettings(model="m", backend="server", base_url=(address,)))
