"""Limits within a verdict: a slow answer has failed, and what runs without rights can do no harm."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import sys
import threading
import time

import pytest

from rrr_core.limits import LimitReached, Steps, query_limit, run_confined, time_limit
from rrr_core.verification.confined import missing

BOMBS = {
    "a nested repetition": lambda: re.fullmatch(r"(a+)+", "a" * 60 + "!"),
    "a search that starts again at each place": lambda: re.search(r"[ab]*c", "a" * 200_000),
    "a substitution": lambda: re.sub(r"\s+$", "", " " * 400_000 + "!"),
    "a loop": lambda: [0 for _ in iter(int, 1)],
    "a power": lambda: 9**9**9,
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_slow_answer_is_interrupted_and_has_failed(bomb) -> None:
    with pytest.raises(LimitReached) as caught, time_limit(0.1):
        bomb()
    verdict = caught.value.verdict
    assert (verdict.outcome, verdict.category, verdict.detail) == ("failed", "time limit", "more than 0.1 CPU seconds")


def test_a_quick_answer_is_left_alone_and_so_is_the_time_after_it() -> None:
    with time_limit(0.2):
        assert re.fullmatch("a+", "aaa")
    burn(0.4)


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_what_swallows_every_exception_does_not_swallow_the_limit() -> None:
    def stubborn() -> None:
        for _ in range(3):
            with contextlib.suppress(BaseException):
                burn(0.5)

    with pytest.raises(LimitReached), time_limit(0.1):
        stubborn()


def test_an_inner_limit_leaves_the_outer_one_in_force() -> None:
    def work() -> None:
        with pytest.raises(LimitReached, match=r"0\.1 CPU"), time_limit(0.1):
            burn(1)
        burn(1)

    with pytest.raises(LimitReached, match=r"0\.3 CPU"), time_limit(0.3):
        work()


def test_off_the_main_thread_it_says_what_to_do() -> None:
    said: list[str] = []

    def work() -> None:
        try:
            with time_limit(1):
                pass
        except RuntimeError as error:
            said.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(said) == 1
    assert said[0].endswith("leave the verifier untrusted, so that it runs in a worker, or count its steps with Steps")


def test_steps_are_counted_the_same_on_every_machine() -> None:
    steps = Steps(100)
    for _ in range(100):
        steps.take()
    with pytest.raises(LimitReached) as caught:
        steps.take()
    assert caught.value.verdict.detail == "more than 100 steps"


def test_slow_steps_are_bounded_by_time() -> None:
    steps = Steps(10**9, seconds=0.05)
    burn(0.1)
    with pytest.raises(LimitReached, match=r"more than 0.05 CPU seconds"):
        steps.take()


FOREVER = "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) SELECT count(*) FROM t"


def test_a_query_without_an_end_has_failed_and_another_one_runs() -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        with pytest.raises(LimitReached, match="more than 10,000 steps"), query_limit(connection, 10_000):
            connection.execute(FOREVER).fetchall()
        with query_limit(connection, 10_000):
            assert connection.execute("SELECT 1").fetchall() == [(1,)]


def test_an_error_of_the_query_stays_one() -> None:
    with (
        contextlib.closing(sqlite3.connect(":memory:")) as connection,
        pytest.raises(sqlite3.OperationalError, match="no such table"),
        query_limit(connection, 10_000),
    ):
        connection.execute("SELECT * FROM missing")


BODY = """
    import re
    from rrr_core.limits import LimitReached, time_limit
    try:
        with time_limit(0.2):
            return passed() if re.fullmatch(answer, "a" * 50 + "!") else failed("no match")
    except LimitReached as reached:
        return reached.verdict
"""


def test_in_a_worker_a_slow_answer_has_failed_and_a_slow_verifier_is_at_fault(make_judge) -> None:
    body = BODY.replace("import re\n", "import re\n    if answer == 'hang': re.fullmatch('(a+)+', 'a' * 99 + '!')\n", 1)
    judge = make_judge(body, cpu_seconds=1.0)
    verdicts = judge.judge([({}, "a+!"), ({}, "(a+)+"), ({}, "hang"), ({}, "b")])
    assert [(each.outcome, each.category) for each in verdicts] == [
        ("passed", ""),
        ("failed", "time limit"),
        ("abstained", "timeout"),
        ("failed", "no match"),
    ]


confined = pytest.mark.skipif(bool(missing()), reason=missing() or "it can be confined")


def python(code: str, text: str = "", **limits):
    return run_confined([sys.executable, "-I", "-c", code], text, **limits)


@confined
def test_a_confined_program_reads_its_text_and_writes_its_output_and_a_folder_of_its_own() -> None:
    code = "import sys, os; open('x', 'w').write(sys.stdin.read()); print(os.listdir(), open('x').read())"
    done = python(code, "text")
    assert (done.status, done.output) == (0, b"['x'] text\n")


HARM = {
    "a socket": "import socket; socket.socket()",
    "a file of the system": "open('/etc/passwd')",
    "a file elsewhere": "open('/tmp/rrr-written', 'w')",
    "a signal": "import os; os.kill(os.getppid(), 0)",
    "modes": "import os; os.chmod('/tmp', 0o777)",
    "leaving its group": "import os; os.fork() or os.setsid(); os.setsid()",
    "the environment": "import os; os.environ['RRR_TEST_SECRET']",
    "much memory": "bytearray(1 << 30)",
    "what its children do": "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import socket; "
    "socket.socket()'], check=True)",
}


@confined
@pytest.mark.parametrize("code", HARM.values(), ids=HARM)
def test_a_confined_program_can_do_no_harm(code, monkeypatch) -> None:
    monkeypatch.setenv("RRR_TEST_SECRET", "hidden")
    done = python(code)
    assert done.status == 1
    assert re.search(rb"PermissionError|KeyError: 'RRR_TEST_SECRET'|MemoryError", done.output), done.output


@confined
@pytest.mark.parametrize(
    ("code", "limits", "said"),
    [
        ("while True: pass", {"seconds": 0.3}, "more than 0.3 CPU seconds"),
        ("while True: print('x' * 1000)", {"longest": 5000}, "more than 5,000 bytes of output"),
    ],
    ids=["time", "output"],
)
def test_a_confined_program_that_takes_too_much_has_failed(code, limits, said) -> None:
    with pytest.raises(LimitReached) as caught:
        python(code, **limits)
    assert (caught.value.verdict.outcome, caught.value.verdict.detail) == ("failed", said)


@confined
def test_what_a_confined_program_leaves_running_ends_with_it(monkeypatch) -> None:
    monkeypatch.setattr("rrr_core.verification.confined.START", 2.0)
    code = "import os, time\nif os.fork() == 0: time.sleep(600)\nprint('done')"
    with pytest.raises(LimitReached, match="no end within"):
        python(code, seconds=0.5)


@confined
def test_a_program_that_is_not_there_is_a_fault() -> None:
    with pytest.raises(RuntimeError, match="no-such-program cannot be started: FileNotFoundError"):
        run_confined(["no-such-program"])


def test_where_nothing_can_confine_it_no_program_is_started(monkeypatch) -> None:
    monkeypatch.setattr("rrr_core.verification.sandbox.landlock_version", lambda: 0)
    with pytest.raises(RuntimeError, match="cannot be confined: that needs L"):
        python("pass")
