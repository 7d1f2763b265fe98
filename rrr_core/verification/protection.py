"""What protects this machine from a verifier, measured in a throw-away worker and never assumed."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rrr_core.errors import RrrError
from rrr_core.text import one_line
from rrr_core.verification import seccomp
from rrr_core.verification.cleaning import remove
from rrr_core.verification.messages import ALLOWED
from rrr_core.verification.settings import VerifySettings
from rrr_core.verification.workers import NurseryProcess, scrubbed

PROBE_SECONDS = 30.0
WHAT = {
    "network": "connecting to a listening port",
    "programs": "starting a program",
    "processes": "starting a process",
    "files": "writing outside the scratch folder",
    "private files": "reading a private file of the user",
    "secrets": "reading the core's environment",
    "signals": "sending a signal to the core",
    "memory": "taking more memory than allowed",
    "time": "running forever",
}
"""Protection → what it keeps a verifier from."""


@dataclass(frozen=True, slots=True)
class Protection:
    """One thing that an untrusted verifier can or cannot do on this machine."""

    name: str
    in_force: bool
    detail: str
    """What was tried and the outcome, in one line."""


def protections() -> tuple[Protection, ...]:
    """What a sandboxed worker is kept from on this machine, each tried once, in the order of `WHAT`.

    Starts and stops processes of its own; takes a fraction of a second. If no worker can be started, nothing is in
    force and the detail says why: only trusted verifiers run there.
    """
    if not hasattr(os, "fork"):
        why = "this system cannot fork, so only trusted verifiers run"
        return tuple(Protection(name, False, why) for name in WHAT)
    try:
        outcomes = _measured()
    except RrrError as error:
        return tuple(Protection(name, False, one_line(str(error))) for name in WHAT)
    hint = _hint()
    return tuple(
        Protection(
            name,
            outcomes[name] != ALLOWED,
            f"{what}: {outcomes[name] if outcomes[name] != ALLOWED else ALLOWED + hint}",
        )
        for name, what in WHAT.items()
    )


def _measured() -> dict[str, str]:
    """Attempt → `allowed`, or what stopped it. Raises RrrError if no worker can be started."""
    settings = VerifySettings(memory_mb=64, cpu_seconds=0.05)
    folder = Path(tempfile.mkdtemp(prefix="rrr-probe-"))
    try:
        private, canary = folder / "private", folder / "canary"
        private.write_text("of the user", encoding="ascii")
        with socket.create_server(("127.0.0.1", 0)) as server:
            probe = {
                "port": server.getsockname()[1],
                "program": sys.executable,
                "canary": str(canary),
                "private": str(private),
                "core": os.getpid(),
                "variables": sorted(scrubbed(os.environ, folder)),
            }
            nursery = NurseryProcess((), settings)
            try:
                outcomes = _outcomes(nursery, probe)
            finally:
                nursery.close()
        if canary.exists():  # Whatever the worker reports.
            outcomes["files"] = ALLOWED
    finally:
        remove(folder)
    return outcomes


def _outcomes(nursery: NurseryProcess, probe: Mapping[str, Any]) -> dict[str, str]:
    worker = nursery.fork(probe)
    worker.channel.setblocking(True)
    worker.channel.settimeout(PROBE_SECONDS)
    try:
        while worker.received.count(b"\n") < 1 and worker.receive():
            pass
    except TimeoutError:
        raise RrrError(f"The sandbox's probe did not respond for {PROBE_SECONDS:g} seconds.") from None
    reported = bytes(worker.received).partition(b"\n")[0]
    found = json.loads(reported) if reported else None
    if not isinstance(found, dict):
        raise RrrError(f"The sandbox's probe could not be locked in: {found or 'it ended'}.")
    # It then uses CPU time forever; the limit ends it, or this process does.
    began = time.monotonic()
    try:
        ended = not worker.receive()
    except TimeoutError:
        ended = False
    took = time.monotonic() - began
    return {**found, "time": f"ended after {took:.1f} seconds" if ended else ALLOWED}


def _hint() -> str:
    """What would help if something is allowed."""
    if sys.platform != "linux":
        return " (sandboxes need Linux; here verifiers only have limits)"
    missing = seccomp.missing()
    return f" ({missing})" if missing else ""
