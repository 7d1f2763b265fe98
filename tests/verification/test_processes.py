"""No process and no folder outlives its judge, however the judge's process ends."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

from rrr_core.errors import RrrError
from rrr_core.verification.workers import scrubbed
from tests.verification.conftest import HOOKS, RIGHT_OR_RUN, children_of, needs_fork, wait_until

pytestmark = [needs_fork, pytest.mark.skipif(sys.platform != "linux", reason="processes are counted in /proc")]


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder that temporary files and folders go to."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def right(count: int) -> list[tuple[dict, str]]:
    return [({}, "right")] * count


def test_nothing_starts_before_the_first_verdict(make_judge, temporary):
    before = children_of(os.getpid())
    make_judge().judge([])
    assert children_of(os.getpid()) == before
    assert not list(temporary.iterdir())


def test_a_closed_judge_leaves_no_process_and_no_folder(make_judge, temporary):
    before = children_of(os.getpid())
    judge = make_judge(workers=2)
    judge.judge(right(600))
    assert len(children_of(os.getpid()) - before) == 3
    judge.judge([({}, "open('left', 'w').write('x')")])
    assert list(temporary.iterdir())
    judge.close()
    assert children_of(os.getpid()) <= before
    assert not list(temporary.iterdir())


def test_a_judge_that_is_never_closed_leaves_none_either(make_task, temporary):
    from rrr_core.verification import Judge

    before = children_of(os.getpid())
    judge = Judge(make_task())
    judge.judge(right(1))
    del judge
    gc.collect()
    assert children_of(os.getpid()) <= before
    assert not list(temporary.iterdir())


def test_a_replaced_worker_leaves_no_process_and_no_folder(make_judge, temporary):
    judge = make_judge()
    judge.judge(right(1))
    before = len(children_of(os.getpid()))
    for _ in range(5):
        judge.judge([({}, "open('left', 'w'); import os; os._exit(1)"), *right(1)])
    assert wait_until(lambda: len(children_of(os.getpid())) <= before)
    assert len(list(temporary.glob("*/worker-*"))) == 1


PROGRAM = """
    import signal, sys
    signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell's background job ignores Ctrl-C.
    sys.path.insert(0, sys.argv[1])
    from rrr_core.tasks import load_task
    from rrr_core.verification import Judge, VerifySettings
    with Judge(load_task("naive"), 1.0, settings=VerifySettings(workers=2, seconds=60)) as judge:
        judge.judge([({}, "right")])
        print("judging", flush=True)
        judge.judge([({}, "import time; time.sleep(60)")] * 64)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_process_that_ends_amid_a_hanging_batch_leaves_none(site, temporary, number):
    site.install_task("naive", HOOKS + RIGHT_OR_RUN)
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(site.folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout.readline() == "judging\n"
        assert wait_until(lambda: len(children_of(process.pid)) == 3)
        descendants = children_of(process.pid)
        process.send_signal(number)
        try:
            process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode != 0
    assert wait_until(lambda: not any(is_alive(each) for each in descendants))
    assert wait_until(lambda: not list(temporary.iterdir()))


def test_workers_end_with_their_nursery(make_judge):
    others = children_of(os.getpid())
    judge = make_judge(workers=2)
    judge.judge(right(600))
    (nursery,) = [each for each in children_of(os.getpid()) - others if children_of(each)]
    workers = children_of(nursery)
    assert len(workers) == 2
    os.kill(nursery, signal.SIGKILL)
    assert wait_until(lambda: not any(is_alive(each) for each in workers))
    with pytest.raises(RrrError, match="ended with status -9"):
        judge.judge(right(1))


def test_workers_that_hang_end_while_others_continue(make_judge):
    began = time.monotonic()
    verdicts = make_judge(workers=2, seconds=2).judge([({}, "import time; time.sleep(60)")] * 2 + right(400))
    assert [verdict.outcome for verdict in verdicts] == ["abstained"] * 2 + ["passed"] * 400
    assert time.monotonic() - began < 50


def test_a_verifier_gets_only_the_named_environment_variables(tmp_path):
    given = {"PATH": "/bin", "LC_ALL": "C", "HF_TOKEN": "x", "LD_PRELOAD": "x", "PYTHONSTARTUP": "x", "HOME": "/root"}
    kept = scrubbed(given, tmp_path)
    assert kept.pop("PYTHONPATH").split(os.pathsep)
    assert kept == {"PATH": "/bin", "LC_ALL": "C", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
