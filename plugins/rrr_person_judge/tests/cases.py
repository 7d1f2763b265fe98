"""Shared by several tests: answers to the task `sums`, `rrr verify` in a process, a terminal, and a job on a page."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from rrr_person_judge.desk import Desk
from rrr_person_judge.options import PersonOptions
from rrr_person_judge.page import PageFace

from rrr_core import Verdict
from rrr_core.errors import RrrError

# A shell's background job ignores Ctrl-C.
HEARING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
MAIN = f"{HEARING}; import sys; sys.path.insert(0, sys.argv.pop(1)); from rrr_core.cli import main; main()"
# The first terminal that a leader of a session opens becomes its controlling terminal.
IN_TERMINAL = "import os, sys; os.open(sys.argv[1], os.O_RDWR); os.execv(sys.argv[2], sys.argv[2:])"
HOSTILE = "<script>window.hacked = 1</script> \x1b[31mred\x1b[2J \u202etxet\u202c \u05e9\u05dc\u05d5\u05dd \ud800 \x00"


def pairs_of(answers: Sequence[str]) -> list[tuple[dict[str, Any], str]]:
    """Each answer with its own row."""
    return [({"a": number, "b": 1}, answer) for number, answer in enumerate(answers)]


def write_answers(path: Path, answers: Sequence[str]) -> Path:
    lines = [json.dumps({"row": row, "answer": answer}) for row, answer in pairs_of(answers)]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def verify_command(site: Path, answers: str, options: str = "", *more: str) -> list[str]:
    """The command line of `rrr verify sums ANSWERS --with person-judge…`."""
    overlay = f"person-judge:{options}" if options else "person-judge"
    return [sys.executable, "-c", MAIN, str(site), "verify", "sums", answers, "--with", overlay, *more]


def outcomes(output: str | bytes) -> list[str]:
    return [json.loads(line)["verdict"] for line in output.splitlines()]


class Terminal:
    """A command in its own terminal, 80 columns by 24 lines; its standard streams are pipes."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process, self._descriptor = process, descriptor
        self.shown = b""
        """Everything sent to the terminal."""
        self._read = 0

    def wait_for(self, text: str, seconds: float = 30) -> str:
        """What was shown since the last call, up to and including `text`."""
        end = time.monotonic() + seconds
        while (found := self.shown.find(text.encode(), self._read)) < 0:
            assert time.monotonic() < end, f"{text!r} was never shown after {self.shown[self._read :]!r}"
            if select.select([self._descriptor], [], [], 0.05)[0]:
                self.shown += os.read(self._descriptor, 1 << 16)
        until = found + len(text.encode())
        part, self._read = self.shown[self._read : until], until
        return part.decode()

    def press(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())

    def end(self) -> tuple[bytes, str, int]:
        """Standard output, standard error and exit code."""
        output, errors = self.process.communicate(timeout=30)
        return output, errors.decode(), self.process.returncode


@contextmanager
def terminal(command: Sequence[str], folder: Path, stdin: bytes | None = None) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", IN_TERMINAL, os.ttyname(slave), *command],
        cwd=folder,
        start_new_session=True,
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    if stdin is not None:
        assert process.stdin is not None
        process.stdin.write(stdin)
        process.stdin.close()
        process.stdin = None
    try:
        yield Terminal(process, master)
    finally:
        process.kill()
        process.communicate()
        os.close(slave)
        os.close(master)


class Client:
    """What the page does, without a browser: it asks for the state and items, and posts what a person decides."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.host = address.split("/")[2]

    def send(
        self, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Message, bytes]:
        """Status, headers and content of an answer. `path` is put after the address, or from its root where it begins
        with `/`; a request with a body is a POST of JSON unless `headers` say otherwise.
        """
        connection = HTTPConnection(self.host, timeout=10)
        try:
            place = path if path.startswith("/") else f"/{self.address.split('/', 3)[3]}{path}"
            sent = {"Content-Type": "application/json"} if body is not None else {}
            connection.request("GET" if body is None else "POST", place, body, {**sent, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def ask(self, path: str) -> Any:
        status, _, content = self.send(path)
        assert status == 200, content
        return json.loads(content)

    def post(self, path: str, **body: Any) -> Any:
        status, _, content = self.send(path, json.dumps(body).encode())
        assert status == 200, content
        return json.loads(content)

    def waited_for(self) -> Any:
        """The state, as soon as there is something to judge."""
        end = time.monotonic() + 30
        while (state := self.ask("state"))["sitting"] is None:
            assert time.monotonic() < end, "nothing was ever asked for"
            time.sleep(0.02)
        return state


@contextmanager
def paged(command: Sequence[str], folder: Path) -> Iterator[tuple[subprocess.Popen[str], Client]]:
    """A command that judges on a page, and a client of the page whose address it has printed."""
    process = subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said.startswith("person-judge: judge at http://127.0.0.1:"), said
        yield process, Client(said.split()[-1])
    finally:
        process.kill()
        process.communicate()


class Job:
    """A desk that judges in a thread, as a job would in the process's own, and a client of its page."""

    def __init__(self, folder: Path) -> None:
        self.desk = Desk(PersonOptions(file=str(folder / "verdicts.jsonl"), page="auto"), "sums")
        self.face = PageFace("sums")
        self.desk._face = self.face
        self.client = Client(self.face.address)
        self._thread: threading.Thread | None = None
        self._has_ended = False

    def judge(self, *answers: str) -> Future[list[Verdict]]:
        """The future verdicts of a batch, once it is before the person."""
        future: Future[list[Verdict]] = Future()

        def work() -> None:
            try:
                future.set_result(self.desk.judge(pairs_of(answers)))
            except RrrError as error:
                future.set_exception(error)

        self._thread = threading.Thread(target=work)
        self._thread.start()
        self.client.waited_for()
        return future

    def close(self) -> None:
        """Stop the current sitting, and end as a process does."""
        if self._has_ended:
            return
        self._has_ended = True
        state = self.client.ask("state")
        if state["sitting"] is not None:
            self.client.post("stop", sitting=state["sitting"])
        if self._thread is not None:
            self._thread.join()
        self.desk.close()


def give(client: Client, index: int, outcome: str, category: str = "") -> Any:
    sitting = client.ask("state")["sitting"]
    return client.post("verdict", sitting=sitting, index=index, outcome=outcome, category=category)
