"""A verifier at fault: each kind is an abstention of its own, blamed, and the batch continues."""

from __future__ import annotations

import pytest

from rrr_core.errors import PluginError, RrrError, TooManyAbstentions
from rrr_core.verification import Judge, VerifySettings
from tests.fakes import numbers_task
from tests.verification.conftest import needs_fork

pytestmark = needs_fork

FAULTS = [
    ("raise KeyError('x')", "exception", "KeyError"),
    ("raise KeyboardInterrupt", "exception", "KeyboardInterrupt"),
    ("import sys; sys.exit(3)", "exit", "SystemExit"),
    ("import os; os._exit(0)", "exit", "exited with status 0"),
    ("import os; os._exit(3)", "exit", "exited with status 3"),
    ("import os; os.kill(os.getpid(), 11)", "crash", "SIGSEGV"),
    ("import os; os.abort()", "crash", "SIGABRT"),
    ("import ctypes; ctypes.string_at(0)", "crash", "SIGSEGV"),
    ("bytearray(1 << 40)", "memory", "MemoryError"),
    ("x = [0]\nwhile True: x = x + x", "memory", "MemoryError"),
]


def pairs(*answers: str) -> list[tuple[dict, str]]:
    return [({"number": index}, answer) for index, answer in enumerate(answers)]


@pytest.mark.parametrize(("code", "kind", "detail"), FAULTS, ids=[code for code, *_ in FAULTS])
def test_a_fault_abstains_with_its_kind_and_the_batch_continues(naive, code, kind, detail):
    verdicts = naive.judge(pairs("right", "wrong", code, "right", "wrong"))
    assert [verdict.outcome for verdict in verdicts] == ["passed", "failed", "abstained", "passed", "failed"]
    assert verdicts[2].category == kind
    assert detail in verdicts[2].detail


@pytest.mark.parametrize("code", [code for code, *_ in FAULTS])
def test_every_fault_is_blamed_on_distribution_version_and_hook(naive, code):
    (verdict,) = naive.judge(pairs(code))
    assert verdict.detail.startswith("rrr-naive 1.0, hook rrr_verify: ")


@pytest.mark.parametrize(
    "code",
    [
        "import time; time.sleep(60)",
        "import signal, time\nfor n in {*range(1, 32)} - {9, 19}: signal.signal(n, signal.SIG_IGN)\ntime.sleep(60)",
        "import threading; threading.Event().wait()",
    ],
    ids=["sleeps", "ignores all signals", "waits for a lock"],
)
def test_a_verdict_that_takes_too_long_is_cut_off_by_the_wall_clock(make_judge, code):
    verdicts = make_judge(seconds=2).judge(pairs("right", code, "wrong"))
    assert [verdict.outcome for verdict in verdicts] == ["passed", "abstained", "failed"]
    assert verdicts[1].category == "timeout"
    assert "no verdict within 2 seconds" in verdicts[1].detail


@pytest.mark.parametrize("code", ["9**9**9", "while True: pass"], ids=["in C code", "in Python"])
def test_a_verdict_that_takes_too_much_cpu_time_is_cut_off(make_judge, code):
    verdicts = make_judge(cpu_seconds=0.2, seconds=60).judge(pairs("right", code, "wrong"))
    assert [verdict.outcome for verdict in verdicts] == ["passed", "abstained", "failed"]
    assert (verdicts[1].category, "0.2 CPU seconds" in verdicts[1].detail) == ("timeout", True)


def test_cpu_time_is_counted_separately_for_each_verdict(make_judge):
    burn = "import time\nend = time.process_time() + 0.1\nwhile time.process_time() < end: pass"
    verdicts = make_judge(cpu_seconds=0.4, seconds=60).judge(pairs(*[burn] * 8))
    assert {verdict.outcome for verdict in verdicts} == {"passed"}


def test_memory_that_a_verifier_filled_is_not_held_against_the_answers_after_it(make_judge):
    keep = "import builtins; builtins.kept = []\nwhile True: builtins.kept.append(bytearray(1 << 20))"
    verdicts = make_judge().judge(pairs(keep, *["right"] * 50))
    assert [verdict.outcome for verdict in verdicts] == ["abstained", *["passed"] * 50]
    assert verdicts[0].category == "memory"


@pytest.mark.parametrize(
    "code",
    [
        "import os\nfor fd in range(64):\n    try: os.write(fd, b'garbage\\n')\n    except OSError: pass",
        "import os\nos.write(3, b\"cposix\\nsystem\\n(S'touch pwned'\\ntR.\")",
        "import os\nos.write(3, b'[0,\"passed\"]\\n' * 10)",
        "import os\nos.write(3, b'[' * 100_000)",
        "import os\nos.write(3, b'9' * 10_000 + b'\\n')",
        "import os\nos.write(3, b'null\\n{}\\n[]\\n[true]\\n')",
    ],
    ids=["garbage", "a pickle", "a forged pass", "a line without end", "a huge number", "other JSON"],
)
def test_what_a_worker_says_is_read_as_hostile_and_a_forgery_is_a_bad_verdict(naive, code):
    verdicts = naive.judge(pairs("right", code, "wrong", "right"))
    assert [verdict.outcome for verdict in verdicts] == ["passed", "abstained", "failed", "passed"]
    assert verdicts[1].category == "bad verdict"
    assert "\n" not in verdicts[1].detail


def test_a_worker_that_closes_its_channel_abstains(make_judge):
    verdicts = make_judge(seconds=2).judge(pairs("right", "import os; os.closerange(0, 64)", "wrong"))
    assert [verdict.outcome for verdict in verdicts] == ["passed", "abstained", "failed"]


def test_what_a_verifier_prints_goes_nowhere(naive, capfd):
    code = "import os, sys; print('noise'); print('noise', file=sys.stderr); os.system; os.write(1, b'noise')"
    (verdict,) = naive.judge(pairs(code))
    assert verdict.is_passed
    assert capfd.readouterr() == ("", "")


def test_a_verifier_that_gives_no_verdict_abstains(make_judge):
    (verdict,) = make_judge("\n    return answer\n").judge(pairs("x"))
    assert (verdict.category, "not a Verdict" in verdict.detail) == ("bad verdict", True)


def test_any_text_reaches_the_verifier_unchanged_and_comes_back_safe(make_judge):
    body = "\n    return failed('kept' if answer == row['text'] else 'lost', answer)\n"
    texts = ["", "a\x00b", "\ud800", "é\u2028\n\r", "\U0001f600" * 300, "[" * 100_000, "x" * 5_000_000]
    verdicts = make_judge(body).judge([({"text": text}, text) for text in texts])
    assert [verdict.category for verdict in verdicts] == ["kept"] * len(texts)
    assert all(verdict.detail.isprintable() and len(verdict.detail) <= 500 for verdict in verdicts)


def test_a_row_that_a_verifier_changes_is_whole_again_for_the_next_answer(make_judge):
    body = "\n    return failed(str(row.pop('n', 'gone')))\n"
    row = {"n": 1}
    assert [verdict.category for verdict in make_judge(body).judge([(row, "a"), (row, "b")])] == ["1", "1"]
    assert row == {"n": 1}


def test_verdicts_keep_their_order_over_many_workers_and_faults(make_judge):
    answers = [("right", "wrong", "import os; os._exit(1)")[n * 7 % 3 if n % 50 == 0 else n % 2] for n in range(2000)]
    wanted = [{"right": "passed", "wrong": "failed"}.get(answer, "abstained") for answer in answers]
    judge = make_judge(workers=3)
    assert "abstained" in wanted
    for _ in range(2):
        assert [verdict.outcome for verdict in judge.judge(pairs(*answers))] == wanted


def test_too_many_faults_stop_the_run_at_the_one_that_passes_the_limit(make_judge):
    judge = make_judge(max_abstain=0.01)
    with pytest.raises(TooManyAbstentions, match="exit"):
        judge.judge(pairs(*["right"] * 99, *["import os; os._exit(1)"] * 100))
    assert (judge.judged, judge.abstained) == (101, 2)
    assert [verdict.outcome for verdict in judge.judge([])] == []


def test_after_a_stopped_batch_the_same_judge_continues(make_judge):
    judge = make_judge(max_abstain=0.0, seconds=60)
    judge.minimum = 1
    with pytest.raises(TooManyAbstentions):
        judge.judge(pairs("import os; os._exit(1)", "import time; time.sleep(60)"))
    judge.max_abstain = 1.0
    assert [verdict.outcome for verdict in judge.judge(pairs("right", "wrong"))] == ["passed", "failed"]


def test_a_closed_judge_starts_again(make_judge):
    judge = make_judge()
    judge.judge(pairs("right"))
    judge.close()
    judge.close()
    assert judge.judge(pairs("wrong"))[0].is_failed


def test_a_task_that_no_other_process_can_import_is_one_clear_error():
    refused = pytest.raises(PluginError, match=r"rrr-numbers 1\.0: its module rrr_numbers cannot be imported")
    with Judge(numbers_task(), settings=VerifySettings(isolation="process")) as judge, refused as caught:
        judge.judge(pairs("right"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("isolation", "trusted", "isolated"),
    [
        ("auto", True, False),
        ("auto", False, True),
        ("process", True, True),
        ("none", False, False),
    ],
)
def test_trust_and_isolation_decide_where_a_verifier_runs(make_task, isolation, trusted, isolated):
    task = make_task()
    task.trusted = trusted
    with Judge(task, settings=VerifySettings(isolation=isolation)) as judge:
        assert judge.isolated is isolated


def test_without_fork_an_untrusted_verifier_is_refused_in_one_line(make_task, monkeypatch):
    task = make_task()
    monkeypatch.delattr("os.fork")
    with pytest.raises(RrrError, match=r"rrr-naive 1\.0 is not marked @trusted") as caught:
        Judge(task)
    assert "\n" not in str(caught.value)
    assert Judge(task, settings=VerifySettings(isolation="none")).judge(pairs("right"))[0].is_passed


SLOW_AT_FIRST = """
    import sys, time
    if answer == "right" and "rrr_slow_library" not in sys.modules:
        time.sleep(1.5)
        sys.modules["rrr_slow_library"] = sys
    return passed() if answer == "right" else failed("wrong", "not right")

from rrr_core import Example
@hookimpl
def rrr_examples():
    return [Example({"number": 1}, "hang", "failed", "wrong", hostile=True), Example({"number": 1}, "right", "passed")]
"""
"""A verifier that imports a slow library when an answer looks right."""


def test_what_a_verifier_puts_off_until_its_first_verdict_is_not_paid_by_an_answer(make_judge):
    judge = make_judge(SLOW_AT_FIRST, seconds=1.0)
    assert [verdict.outcome for verdict in judge.judge([({"number": 2}, "right"), ({"number": 2}, "no")])] == [
        "passed",
        "failed",
    ]


def test_broken_examples_do_not_keep_a_verifier_from_judging(make_judge):
    judge = make_judge(SLOW_AT_FIRST.replace('Example({"number": 1}, "right", "passed")', "7"), seconds=60.0)
    assert judge.judge([({"number": 2}, "right")])[0].is_passed
