"""`--processes`: the processes that rrr starts, and what it does when one is killed."""

from __future__ import annotations

import signal
from collections.abc import Sequence

import pytest

from rrr_core.errors import RrrError
from rrr_core.processes.launch import RESTARTS, SOON_SECONDS, Ended, count_of, first_to_end, launch, variables
from rrr_core.processes.world import OURS


class Launches:
    """Launches that end as planned."""

    def __init__(self, *ends: Ended, seconds: float = 1.0) -> None:
        self.ends, self.seconds, self.now, self.calls = list(ends), seconds, 0.0, 0

    def __call__(self, count: int, arguments: Sequence[str]) -> Ended:
        assert (count, arguments) == (2, ["mine"])
        self.calls += 1
        self.now += self.seconds
        return self.ends.pop(0)


def outcome(launches: Launches) -> tuple[int, list[str]]:
    said: list[str] = []
    return launch(2, ["mine"], said.append, run=launches, clock=lambda: launches.now), said


def test_an_exit_code_is_passed_on_and_nothing_is_started_again() -> None:
    assert outcome(Launches(Ended(0))) == (0, [])
    assert outcome(Launches(Ended(2, 1))) == (2, [])


def test_killed_processes_are_started_again_with_a_line_that_names_the_first() -> None:
    launches = Launches(Ended(-signal.SIGKILL, 1), Ended(0))
    assert outcome(launches) == (0, ["process 1 of 2 was killed (SIGKILL): all are started again, and resume."])


def test_processes_that_are_killed_again_and_again_end_the_launch() -> None:
    launches = Launches(*[Ended(-signal.SIGKILL)] * 9)
    code, said = outcome(launches)
    assert (code, launches.calls) == (2, 1 + RESTARTS)
    assert "too little memory is a common cause" in said[-1]
    assert "run the same command again to resume" in said[-1]


def test_a_launch_that_worked_for_a_while_may_be_started_as_often_again() -> None:
    launches = Launches(*[Ended(-signal.SIGKILL)] * 9, Ended(0), seconds=SOON_SECONDS + 1)
    assert outcome(launches)[0] == 0


def test_who_said_why_comes_before_who_was_killed_and_before_what_its_death_caused() -> None:
    killed, ended, crashed, said = -signal.SIGKILL, -signal.SIGTERM, 1, 2
    assert first_to_end({0: (1, killed), 1: (2, said)}) == Ended(said, 1)
    assert first_to_end({0: (1, crashed), 1: (2, killed)}) == Ended(killed, 1)
    assert first_to_end({0: (1, ended), 1: (2, crashed)}) == Ended(crashed, 1)


def test_cores_are_divided_unless_the_user_has_said_how_many_threads() -> None:
    assert int(variables(10_000, {})["OMP_NUM_THREADS"]) == 1
    assert variables(2, {"OMP_NUM_THREADS": "7"})["OMP_NUM_THREADS"] == "7"
    assert OURS in variables(2, {})


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", ""])
def test_anything_but_a_number_or_auto_is_refused(text: str) -> None:
    with pytest.raises(RrrError, match="give a number from 1, or auto"):
        count_of(text)
