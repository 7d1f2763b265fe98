"""The judge for coroutines."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from rrr_core.errors import DataError
from rrr_core.exports.judging import AwaitedJudge, explained
from rrr_core.tasks import load_task
from rrr_core.verdicts import failed, passed
from tests.conftest import FakeSite
from tests.exports.plugins import SHAKY


@pytest.fixture
def judge(site: FakeSite) -> Iterator[AwaitedJudge]:
    site.install_task("shaky", SHAKY)
    judge = AwaitedJudge(load_task("shaky"))
    yield judge
    judge.close()


def test_each_coroutine_gets_the_verdict_on_its_own_answer(judge: AwaitedJudge) -> None:
    async def ask() -> list[str]:
        asked = (judge.judge({"number": number}, str(number % 7)) for number in range(40))
        return [verdict.outcome for verdict in await asyncio.gather(*asked)]

    assert asyncio.run(ask()) == ["passed" if number < 7 else "failed" for number in range(40)]


def test_it_serves_one_event_loop_after_another(judge: AwaitedJudge) -> None:
    for number in range(2):
        assert asyncio.run(judge.judge({"number": number}, str(number))).is_passed


def test_a_fault_of_the_verifier_is_an_abstention_however_many_there_are(judge: AwaitedJudge) -> None:
    async def ask() -> list[str]:
        verdicts = await asyncio.gather(*(judge.judge({"number": 1}, "crash") for _ in range(150)))
        return [verdict.outcome for verdict in verdicts]

    assert asyncio.run(ask()) == ["abstained"] * 150


def test_what_the_judge_raises_is_raised_where_the_verdict_is_awaited(judge: AwaitedJudge) -> None:
    with pytest.raises(DataError):
        asyncio.run(judge.judge({"number": {1}}, "1"))
    assert asyncio.run(judge.judge({"number": 1}, "1")).is_passed


def test_a_caller_that_stops_waiting_takes_nobody_elses_verdict(judge: AwaitedJudge) -> None:
    async def ask() -> bool:
        given_up = asyncio.create_task(judge.judge({"number": 1}, "1"))
        await asyncio.sleep(0)
        given_up.cancel()
        verdict = await judge.judge({"number": 2}, "2")
        return verdict.is_passed

    assert asyncio.run(ask())


def test_closing_it_ends_its_thread(site: FakeSite) -> None:
    site.install_task("shaky", SHAKY)
    judge = AwaitedJudge(load_task("shaky"))
    asyncio.run(judge.judge({"number": 1}, "1"))
    judge.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("rrr-judge")]


def test_a_verdict_is_explained_in_one_line() -> None:
    assert explained(passed()) == "passed"
    assert explained(failed("wrong numbers", "3 was used twice")) == "wrong numbers: 3 was used twice"
