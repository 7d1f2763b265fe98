"""The core's side of the workers: start a nursery, request workers, talk to them, and notice when they end."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from rrr_core.errors import PluginError, RrrError
from rrr_core.tasks import TaskEntry
from rrr_core.text import one_line
from rrr_core.verification.cleaning import remove
from rrr_core.verification.settings import FRESH, VerifySettings

KEPT_VARIABLES = ("PATH", "LANG", "LANGUAGE", "TZ", "PYTHONHASHSEED", "PYTHONUTF8", "PYTHONDONTWRITEBYTECODE")
"""Together with LC_*, all the environment variables that the nursery and its workers get: no tokens or proxies."""
LOAD_SECONDS = 120.0
"""A plugin may import a lot, but a nursery that is silent for this long hangs."""
CLOSE_SECONDS = 5.0
OUTSIDE = tuple(getattr(signal, name) for name in ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT") if hasattr(signal, name))
"""Signals that end a process from outside."""


def scrubbed(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """A nursery's environment, with its home and temporary files in `folder`."""
    kept = {name: value for name, value in environment.items() if name in KEPT_VARIABLES or name.startswith("LC_")}
    return {**kept, "HOME": str(folder), "TMPDIR": str(folder), "PYTHONPATH": os.pathsep.join(module_path())}


def module_path() -> list[str]:
    """This process's module path, made absolute: a nursery has another current folder."""
    return [str(Path(entry).absolute()) for entry in sys.path]


class NurseryLost(RrrError):
    """The nursery has ended unasked, which is no verifier's fault: it runs none on a model's text."""


class Worker:
    """One worker as the core sees it: a channel, with the data received and the data still to send."""

    def __init__(self, number: int, channel: socket.socket) -> None:
        self.number = number
        self.channel = channel
        channel.setblocking(False)
        self.unsent = memoryview(b"")
        self.received = bytearray()
        self.status: int | None = None
        """Its exit status once it has ended; negative for a signal."""

    def send(self) -> bool:
        """Send as much as the channel accepts. False if it is closed."""
        if not self.unsent:
            return True
        try:
            self.unsent = self.unsent[self.channel.send(self.unsent) :]
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            self.unsent = memoryview(b"")
            return False
        return True

    def receive(self) -> bool:
        """Receive what has arrived. False at the channel's end."""
        try:
            data = self.channel.recv(1 << 16)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        self.received += data
        return bool(data)


class NurseryProcess:
    """A running nursery. It closes when garbage-collected, if not before, and ends when this process does."""

    def __init__(self, entries: Sequence[TaskEntry], settings: VerifySettings, rewards: bool = False) -> None:
        """Start a nursery and load a task in it. Raises PluginError if loading fails, RrrError if it cannot start.

        `rewards` says that its workers will be asked for rewards, too. Without entries it loads nothing and only serves
        probes.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="rrr-verify-"))
        self.workers: dict[int, Worker] = {}
        """All workers that have not ended."""
        self._lines = b""
        self._count = 0
        self.socket, theirs = socket.socketpair()
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the nursery
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "rrr_core.verification.nursery"],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=self._errors,
                    cwd=self.folder,
                    env=scrubbed(os.environ, self.folder),
                    start_new_session=True,
                )
        except OSError as error:
            self.socket.close()
            self._errors.close()
            remove(self.folder)
            raise RrrError(f"{sys.executable} cannot be started to run verifiers: {error.strerror}.") from error
        self.close = weakref.finalize(
            self, _close, os.getpid(), self.socket, self._process, self._errors, self.folder, self.workers
        )
        try:
            self._load(entries, settings, rewards)
        except BaseException:
            self.close()
            raise

    def fork(self, probe: Mapping[str, Any] | None = None) -> Worker:
        """A new worker, which reports as soon as it is ready."""
        ours, theirs = socket.socketpair()
        self._count += 1
        self.workers[self._count] = made = Worker(self._count, ours)
        with theirs:
            asked = {"fork": self._count} | ({} if probe is None else {"probe": probe})
            self._send(asked, theirs.fileno())
        return made

    def kill(self, worker: Worker) -> None:
        """Kill a worker for good. Its end is reported like any other."""
        self._send({"kill": worker.number})

    def ended(self) -> list[Worker]:
        """The workers that the nursery has reported as ended. Blocks until it reports something."""
        gone = []
        for message in self._messages():
            worker = self.workers.pop(message["exited"])
            worker.status = message["status"]
            gone.append(worker)
        return gone

    def _load(self, entries: Sequence[TaskEntry], settings: VerifySettings, rewards: bool) -> None:
        limits = {"memory_mb": settings.memory_mb, "cpu_seconds": settings.cpu_seconds}
        loaded = [dataclasses.asdict(entry) for entry in entries]
        rehearse = settings.isolation == FRESH
        asked = {"path": module_path(), "limits": limits, "rehearse": rehearse, "rewards": rewards}
        self._send({"load": loaded, **asked})
        self.socket.settimeout(LOAD_SECONDS)
        who = " with overlay ".join(entry.who for entry in entries) or "rrr-core"
        try:
            (message,) = self._messages()
        except TimeoutError:
            raise PluginError(f"{who}: it was not loaded for its verifier within {LOAD_SECONDS:g} seconds.") from None
        except NurseryLost as lost:
            if -(self._process.returncode or 0) in OUTSIDE:
                raise
            raise PluginError(f"{who}: {lost} It was loading the plugin.") from None
        self.socket.settimeout(None)
        if error := message.get("error"):
            raise PluginError(
                f"{error} Its verifier is not trusted, so its module is imported in a process of its own."
            )

    def _send(self, message: Mapping[str, Any], *descriptors: int) -> None:
        data = (json.dumps(message) + "\n").encode()
        try:
            if descriptors:
                sent = socket.send_fds(self.socket, [data], descriptors)
                data = data[sent:]
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            raise self._lost() from None

    def _messages(self) -> list[dict[str, Any]]:
        """The nursery's next messages, at least one. The nursery runs no verifier, so they are trusted."""
        while b"\n" not in self._lines:
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                raise self._lost()
            self._lines += data
        *whole, self._lines = self._lines.split(b"\n")
        return [json.loads(line) for line in whole]

    def _lost(self) -> NurseryLost:
        """The error for a nursery that ended unasked."""
        deadline = time.monotonic() + CLOSE_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        self._errors.seek(0)
        said = self._errors.read()[-2000:].decode(errors="replace").strip().rpartition("\n")[2]
        why = f": {one_line(said)}" if said else "."
        return NurseryLost(f"The process that runs verifiers ended with status {self._process.returncode}{why}")


def _close(
    owner: int,
    channel: socket.socket,
    process: subprocess.Popen[bytes],
    errors: IO[bytes],
    folder: Path,
    workers: Mapping[int, Worker],
) -> None:
    """Stop a nursery and leave nothing behind."""
    for worker in workers.values():
        worker.channel.close()
    channel.close()
    errors.close()
    if os.getpid() != owner:  # A fork of the core: the nursery is its parent's.
        return
    try:
        process.wait(CLOSE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    remove(folder)
