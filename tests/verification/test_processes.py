"""No process and no folder outlives its judge, however the judge's process ends."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import pytest

from rrr_core.errors import PluginError, RrrError
from rrr_core.verification.cleaning import remove
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
    assert judge.judge(right(1))[0].is_passed


def nurseries() -> list[int]:
    return [each for each in children_of(os.getpid()) if b"verification.nursery" in command_of(each)]


def command_of(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


@pytest.mark.parametrize("isolation", ["process", "fresh"])
def test_a_killed_nursery_is_replaced_amid_a_batch_and_no_verdict_is_lost(make_judge, isolation):
    judge = make_judge(workers=2, isolation=isolation)
    judge.judge(right(1))
    first = min(nurseries())
    answers = ["right", "wrong", "import time; time.sleep(0.05)"] * 20
    killer = threading.Timer(0.3, kill, [first])
    killer.start()
    verdicts = judge.judge([({}, answer) for answer in answers])
    killer.join()
    assert [verdict.outcome for verdict in verdicts] == ["passed", "failed", "passed"] * 20
    assert not is_alive(first)


def test_a_nursery_that_is_killed_again_and_again_is_the_systems_fault_not_the_plugins(make_judge):
    judge = make_judge()
    stop = threading.Event()

    def kill_all() -> None:
        while not stop.is_set():
            for each in nurseries():
                kill(each)
            time.sleep(0.005)

    killer = threading.Thread(target=kill_all)
    killer.start()
    try:
        with pytest.raises(RrrError, match="ended with status -9.*the system's doing, not the plugin's") as raised:
            judge.judge(right(1))
    finally:
        stop.set()
        killer.join()
    assert not isinstance(raised.value, PluginError)


SLOW_EXAMPLES = """
    return passed()
@hookimpl
def rrr_examples():
    from rrr_core import Example
    return [Example({}, "slow", "passed"), Example({}, "wrong", "failed")]
"""


def test_a_worker_killed_while_it_starts_is_replaced(make_judge):
    judge = make_judge("    import time; time.sleep(0.5 if answer == 'slow' else 0)" + SLOW_EXAMPLES)
    killed: list[int] = []

    def kill_the_first() -> None:
        while not killed:
            for nursery in nurseries():
                for worker in children_of(nursery):
                    killed.append(worker)
                    kill(worker)
                    return
            time.sleep(0.005)

    killer = threading.Thread(target=kill_the_first)
    killer.start()
    verdicts = judge.judge(right(3))
    killer.join()
    assert [verdict.outcome for verdict in verdicts] == ["passed"] * 3
    assert killed


def test_a_plugin_that_ends_its_worker_on_its_own_examples_is_still_blamed(make_judge):
    judge = make_judge("    import os; os._exit(3)" + SLOW_EXAMPLES)
    with pytest.raises(PluginError, match=r"exited with status 3, on an answer of its own rrr_examples"):
        judge.judge(right(1))


NESTED = """
    if answer == "nest":
        import os
        for _ in range(3000):
            os.mkdir("d" * 100)
            os.chdir("d" * 100)
        os._exit(1)
    if answer == "many":
        import os
        for n in range(300):
            os.mkdir(b"\\xff\\n" + bytes(str(n), "ascii") + b"n" * 200, mode=0)
            os.symlink("/", f"link{n}")
        os._exit(1)
    return passed()
"""


@pytest.mark.parametrize("isolation", ["process", "fresh"])
@pytest.mark.parametrize("answer", ["nest", "many"])
def test_whatever_a_verifier_leaves_in_its_scratch_folder_is_one_abstention(make_judge, temporary, answer, isolation):
    judge = make_judge(NESTED, isolation=isolation)
    verdicts = judge.judge([({}, answer), *right(20)])
    assert [verdict.outcome for verdict in verdicts] == ["abstained"] + ["passed"] * 20
    assert wait_until(lambda: len(list(temporary.glob("*/worker-*"))) <= 1)
    judge.close()
    assert not list(temporary.iterdir())


def test_a_hostile_folder_is_removed_without_recursion_and_without_following_links(tmp_path):
    folder, outside = tmp_path / "hostile", tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    folder.mkdir()
    here = os.open(folder, os.O_RDONLY)
    for depth in range(5000):
        os.mkdir(f"deep{depth % 7}", 0o500 if depth == 40 and os.getuid() == 0 else 0o700, dir_fd=here)
        os.symlink(outside, "link", dir_fd=here)
        os.mkdir("moved-1", dir_fd=here)
        inner = os.open(f"deep{depth % 7}", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    (folder / "locked").mkdir()
    (folder / "locked" / "file").touch()
    (folder / "locked").chmod(0)
    remove(folder)
    assert not folder.exists()
    assert (outside / "kept").exists()
    remove(folder)


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
