"""Several servers of one model: the least busy is asked, and one that fails rests."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

pytest.importorskip("httpx2")

from rrr_core.config.settings import settings_of
from rrr_core.errors import ModelError
from rrr_core.generation import Engine, ModelSettings, make_engine
from rrr_core.generation.engine import Sampling
from tests.generation.served import Handler, echo, first, serving

SAMPLING = Sampling(temperature=0.7, max_tokens=33, seed=5)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("rrr_core.generation.connection.FIRST_WAIT", 0.05)


def questions(count: int) -> list[list[dict[str, str]]]:
    return [[{"role": "user", "content": f"question {number}"}] for number in range(count)]


def opened(*addresses: str, **settings: Any) -> Engine:
    return make_engine(ModelSettings(**{"model": "m", "base_url": addresses, "retries": 1, **settings}))


def slowly(seconds: float) -> Any:
    def play(handler: Handler, body: dict[str, Any]) -> None:
        time.sleep(seconds)
        echo(handler, body)

    return play


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


def test_the_faster_server_gets_more_requests() -> None:
    with serving(slowly(0.2)) as slow, serving(slowly(0.02)) as fast:
        made = opened(slow.base_url, fast.base_url, concurrency=4).generate(questions(30), SAMPLING)
    assert [each.text for each in made] == [f"you said question {number}" for number in range(30)]
    assert len(slow.requests) + len(fast.requests) == 30
    assert 0 < len(slow.requests) < len(fast.requests)
    assert slow.most_in_flight + fast.most_in_flight <= 5


def test_seeds_do_not_depend_on_who_answers() -> None:
    def seeds(*stages: Any) -> dict[str, int]:
        requests = [request for stage in stages for request in stage.requests]
        return {request["messages"][0]["content"]: request["seed"] for request in requests}

    with serving(echo) as one, serving(echo) as other, serving(echo) as alone:
        opened(one.base_url, other.base_url).generate(questions(8), SAMPLING)
        opened(alone.base_url).generate(questions(8), SAMPLING)
        assert one.requests
        assert other.requests
        assert seeds(one, other) == seeds(alone)


def test_a_server_that_is_down_rests_while_the_other_answers() -> None:
    with serving(echo) as stage:
        made = opened(closed_port(), stage.base_url).generate(questions(20), SAMPLING)
        assert all(each.text for each in made)
    assert len(stage.requests) == 20


def test_a_server_that_failed_is_asked_again_later() -> None:
    with serving(first(1, lambda handler, body: handler.reset())) as shaky, serving(slowly(0.03)) as sound:
        made = opened(shaky.base_url, sound.base_url, concurrency=2).generate(questions(20), SAMPLING)
    assert all(each.text for each in made)
    assert len(shaky.requests) > 1
    assert len(sound.requests) > 1


def test_where_all_are_down_the_job_ends_in_one_line() -> None:
    with pytest.raises(ModelError, match=r"The server http://127\.0\.0\.1:\d+/v1 cannot be reached, tried 4 times"):
        opened(closed_port(), closed_port()).generate(questions(3), SAMPLING)


def test_the_manifest_has_all_addresses_in_an_order_of_their_own() -> None:
    assert opened("http://b/v1", "http://a/v1").describe()["base_url"] == ["http://a/v1", "http://b/v1"]
    assert opened("http://a/v1").describe()["base_url"] == "http://a/v1"


def test_an_address_given_twice_is_refused() -> None:
    with pytest.raises(ModelError, match="given twice"):
        opened("http://a/v1", "http://a/v1")


def test_a_file_may_give_one_address_or_several() -> None:
    (setting,) = [each for each in settings_of(ModelSettings) if each.field == "base_url"]
    assert setting.from_toml("http://a/v1") == ("http://a/v1",)
    assert setting.from_toml(["http://a/v1", "http://b/v1"]) == ("http://a/v1", "http://b/v1")


def test_python_callers_may_give_one_address() -> None:
    one: Any = "http://a/v1"
    none: Any = None
    assert ModelSettings(base_url=one).base_url == ("http://a/v1",)
    assert ModelSettings(base_url=none).base_url == ()
