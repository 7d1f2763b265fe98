"""A verifier that runs model text as code cannot harm its user. Each text tries something, and nothing happens.

What is checked is the world outside: a file, a port, a process. Where the kernel or a library lacks a protection the
test is skipped, and says so; `rrr doctor` reports the same.
"""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from rrr_core.verification.protection import protections
from tests.verification.conftest import children_of, needs_fork

pytestmark = needs_fork


@functools.cache
def in_force() -> dict[str, bool]:
    return {protection.name: protection.in_force for protection in protections()}


def needs(*names: str) -> None:
    for name in names:
        if not in_force()[name]:
            pytest.skip(f"this machine lacks the protection {name!r}")


@pytest.fixture
def run(naive):
    """Let the verifier run code and return its verdict's outcome. The verifier must still work afterwards."""

    def run_code(code: str) -> str:
        caught, after = naive.judge([({}, code), ({}, "right")])
        assert after.is_passed
        return f"{caught.outcome} {caught.category} {caught.detail}"

    return run_code


@pytest.fixture
def canary(tmp_path):
    path = tmp_path / "canary"
    path.write_text("alive")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.remove({path!r})",
        "import os; os.rename({path!r}, 'mine')",
        "import os; os.replace('other', {path!r})",
        "import os; os.truncate({path!r}, 0)",
        "import os; os.link({path!r}, 'mine'); open('mine', 'w').write('dead')",
        "import os; os.symlink({path!r}, 'way'); open('way', 'w').write('dead')",
        "open({path!r}, 'w')",
        "open({path!r}, 'a').write('dead')",
        "import os; os.close(os.open({path!r}, os.O_RDONLY | os.O_TRUNC))",
        "import os; os.chmod({path!r}, 0o777)",
        "import os; os.chown({path!r}, 12345, 12345)",
        "import os; os.utime({path!r}, (0, 0))",
        "import os; os.setxattr({path!r}, 'user.x', b'dead')",
        "import shutil; shutil.rmtree({folder!r})",
        "import os; os.mkdir({folder!r} + '/new')",
        "import os; os.mknod({folder!r} + '/new')",
        "import os; os.chroot({folder!r})",
    ],
)
def test_no_file_is_touched(run, canary, code):
    needs("files")
    before = (canary.stat(), sorted(canary.parent.parent.rglob("canary*")))
    outcome = run(code.format(path=str(canary), folder=str(canary.parent)))
    assert outcome.startswith("abstained exception")
    after = canary.stat()
    assert canary.read_text() == "alive"
    assert (after.st_mode, after.st_uid, after.st_mtime) == (before[0].st_mode, before[0].st_uid, before[0].st_mtime)
    assert sorted(path.name for path in canary.parent.iterdir()) == ["canary"]


def test_nothing_is_written_to_the_users_home(run):
    needs("files")
    path = Path.home() / "rrr-was-here"
    assert run(f"open({str(path)!r}, 'w')").startswith("abstained exception")
    assert not path.exists()


def test_its_own_scratch_folder_it_may_write_and_it_is_empty_for_the_next_worker(run):
    write = "import os, tempfile; assert os.listdir('.') == []; tempfile.mkdtemp(); open('x', 'w').write('y')"
    leave = "import os; os._exit(0)"
    assert [run(code).split()[0] for code in (leave, write, leave, write)] == ["abstained", "passed"] * 2


def test_no_private_file_is_read(run, canary):
    needs("private files")
    assert "PermissionError" in run(f"raise ValueError(open({str(canary)!r}).read())")


@pytest.mark.parametrize("path", ["/etc/shadow", "/etc/passwd", "/proc/self/maps", "/proc/1/environ", "/root/.bashrc"])
def test_no_file_of_the_system_is_read_but_its_libraries(run, path):
    needs("private files")
    if not Path(path).exists():
        pytest.skip(f"there is no {path}")
    assert "PermissionError" in run(f"raise ValueError(open({path!r}, 'rb').read())")


def test_no_secret_is_in_the_environment(make_judge, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy")
    (verdict,) = make_judge().judge([({}, "import os; raise ValueError(sorted(os.environ))")])
    assert "ValueError" in verdict.detail
    assert "HF_TOKEN" not in verdict.detail
    assert "PROXY" not in verdict.detail


def test_no_secret_is_read_from_the_processes_above(run):
    needs("secrets")
    code = (
        "import os\nfound = []\nfor process in ('self', os.getppid(), {core}, 1):\n"
        "    for name in ('environ', 'mem', 'maps', 'fd'):\n"
        "        try: found.append(open(f'/proc/{{process}}/{{name}}', 'rb').read(10))\n"
        "        except PermissionError: pass\n"
        "assert not found, found"
    )
    assert run(code.format(core=os.getpid())).startswith("passed")


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('127.0.0.1', {port}))",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:{port}/')",
        "import socket; socket.socketpair()",
        "import socket; socket.socket(socket.AF_UNIX).connect('/run/systemd/journal/stdout')",
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
        "import socket; socket.socket(16, socket.SOCK_RAW, 0)",
    ],
)
def test_no_socket_is_opened(run, code):
    needs("network")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        assert "abstained exception" in run(code.format(port=server.getsockname()[1]))
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.system('touch {path}')\nassert not os.path.exists('{path}')\nraise OSError",
        "import subprocess; subprocess.run(['touch', '{path}'])",
        "import os; os.execv('/usr/bin/touch', ['touch', '{path}'])",
        "import os; os.posix_spawn('/usr/bin/touch', ['touch', '{path}'], {{}})",
        "import os; os.fork()",
        "import os; os.forkpty()",
        "import multiprocessing; multiprocessing.Process(target=print).start()",
        "import os\nwhile True: os.fork()",
        "import ctypes, os\nif ctypes.CDLL(None).syscall(57) < 0: raise OSError",
        "import ctypes, os\nif ctypes.CDLL(None, use_errno=True).syscall(435, 0, 0) < 0: raise OSError",
    ],
    ids=["system", "subprocess", "execv", "posix_spawn", "fork", "forkpty", "multiprocessing", "bomb", "raw", "clone3"],
)
def test_no_program_and_no_process_is_started(run, tmp_path, code):
    needs("programs", "processes")
    path = tmp_path / "started"
    before = len(children_of(os.getpid()))
    assert "abstained exception" in run(code.format(path=path))
    assert not path.exists()
    # The nursery, and one worker more or less.
    assert len(children_of(os.getpid())) <= before + 2


def test_the_processes_above_it_are_not_killed(run):
    needs("signals")
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        code = (
            "import os\nfor process in (os.getppid(), {core}, {bystander}, 0, -1, -{core}):\n"
            "    for kill in (os.kill, os.killpg):\n"
            "        try: kill(abs(process) if kill is os.killpg else process, 9)\n"
            "        except (PermissionError, ProcessLookupError): pass\n"
            "        else: raise RuntimeError(f'{{kill.__name__}} {{process}}')"
        )
        assert run(code.format(core=os.getpid(), bystander=bystander.pid)).startswith("passed")
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_no_other_process_is_signalled_by_way_of_a_file(run):
    """F_SETOWN and F_SETSIG would have the kernel send any signal to any process of the user."""
    needs("signals")
    code = "import fcntl, os\nread, write = os.pipe()\nfcntl.fcntl(read, fcntl.F_SETOWN, os.getppid())"
    assert "PermissionError" in run(code)


@pytest.mark.parametrize(
    "code",
    [
        "import ctypes\nif ctypes.CDLL(None).ptrace(16, {core}, 0, 0) < 0: raise OSError",
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
        "import resource; resource.prlimit({core}, resource.RLIMIT_AS, (1, 1))",
        "import os; os.setpriority(os.PRIO_PROCESS, {core}, 19)",
        "import os; os.setsid()",
        "import os; os.setuid(12345)",
        "import os; os.nice(5)",
        "import os; os.sched_setaffinity({core}, {{0}})",
        "import os; os.pidfd_open({core})",
        "import ctypes\nif ctypes.CDLL(None).mount(b'x', b'/', b'tmpfs', 0, 0) < 0: raise OSError",
        "import ctypes\nif ctypes.CDLL(None).unshare(0x10000000) < 0: raise OSError",
        "import ctypes\nif ctypes.CDLL(None).prctl(1, 0, 0, 0, 0) < 0: raise OSError",
        "import ctypes\nif ctypes.CDLL(None).syscall(425, 8, 0) < 0: raise OSError",
        "import ctypes\nif ctypes.CDLL(None).syscall(321, 0, 0, 0) < 0: raise OSError",
    ],
)
def test_what_would_undo_the_sandbox_is_refused(run, code):
    needs("signals", "processes")
    assert "abstained exception" in run(code.format(core=os.getpid()))


@pytest.mark.skipif(sys.platform != "linux", reason="there is /proc on Linux only")
def test_a_root_worker_has_no_root_powers(make_judge):
    body = """
    import ctypes
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None).capget(header, data) == 0
    return failed(str(sum(data)))
"""
    assert make_judge(body).judge([({}, "x")])[0].category == "0"


def test_threads_are_allowed_since_libraries_have_them(run):
    code = "from concurrent.futures import ThreadPoolExecutor\nassert list(ThreadPoolExecutor(2).map(abs, [1])) == [1]"
    assert run(code).startswith("passed")


@pytest.mark.parametrize("file", ["late_rules.py", "late_rules/__init__.py"])
def test_an_import_that_the_sandbox_denies_is_said_to_be_that(make_judge, tmp_path, monkeypatch, file):
    needs("files")
    module = tmp_path / "elsewhere" / file
    module.parent.mkdir(parents=True)
    module.write_text("x = 1")
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    (verdict,) = make_judge("    import late_rules\n    return passed()\n").judge([({}, "")])
    assert (verdict.outcome, verdict.category) == ("abstained", "exception")
    said = "(the sandbox denied the import of late_rules: import it at the top of the module)"
    assert verdict.detail.endswith(said)


def test_a_module_that_is_not_found_may_have_been_denied(run):
    said = (
        "(no_such_module is not installed, or the sandbox denied the import of it: import it at the top of the module)"
    )
    assert run("import no_such_module").endswith(said)


def test_a_file_that_the_sandbox_denies_is_no_import(run, canary):
    needs("files")
    assert "import" not in run(f"open({str(canary)!r})")


def test_a_module_that_was_not_imported_before_still_can_be(run):
    assert run("import decimal, sqlite3, json.tool, unittest.mock").startswith("passed")


def test_two_verifiers_in_one_batch_do_not_see_each_other(make_judge):
    needs("private files")
    judge = make_judge(workers=2)
    code = "import os; found = [name for name in os.listdir('..')]; raise ValueError(found)"
    assert "PermissionError" in judge.judge([({}, code)] * 40)[0].detail


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become another user")
def test_all_of_it_holds_for_an_unprivileged_user_too():
    code = (
        "from rrr_core.verification.protection import protections\n"
        "print([protection.name for protection in protections() if not protection.in_force])"
    )
    here = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    try:
        subprocess.run([sys.executable, "-c", "import rrr_core.verification"], check=True, env=here, cwd="/", **nobody)
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip("only root can use this Python")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=here, cwd="/", **nobody)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str([name for name, held in in_force().items() if not held])


DENIED = {
    "a file": ("open('/etc/passwd')", "the sandbox denied the file /etc/passwd: read it at the top of the module"),
    "a socket": ("import socket; socket.socket()", "the sandbox denied a socket: only rrr_judge, in an overlay, has"),
    "an event loop": ("import asyncio; asyncio.run(asyncio.sleep(0))", "the sandbox denied a socket"),
    "a program": (
        "import subprocess; subprocess.run(['true'])",
        "the sandbox denied a program: start it in rrr_judge, with rrr_core.limits.run_confined",
    ),
    "a process": ("import os; os.fork()", "the sandbox denied it: `rrr docs verification.md#what-a-worker-cannot-do`"),
    "what a library makes of it": (
        "try:\n    open('/etc/passwd')\nexcept OSError as error:\n    raise RuntimeError('no table') from error",
        ": no table (the sandbox denied the file /etc/passwd",
    ),
}


@pytest.mark.parametrize(("code", "said"), DENIED.values(), ids=DENIED)
def test_what_the_sandbox_denies_is_said_to_be_its_doing_and_what_to_do(naive, code, said):
    needs("files", "network", "programs", "processes")
    (verdict,) = naive.judge([({"number": 1}, code)])
    assert verdict.category == "exception"
    assert said in verdict.detail


def test_outside_of_the_sandbox_nothing_is_laid_to_it(make_judge):
    (verdict,) = make_judge(isolation="none").judge([({"number": 1}, "raise PermissionError(13, 'denied', 'x')")])
    assert "sandbox" not in verdict.detail
