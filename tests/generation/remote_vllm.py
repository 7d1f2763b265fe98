"""A fake `vllm serve` in a process of its own, on another machine where this one may make network namespaces.

`python -m tests.generation.remote_vllm HOST FOLDER CONFIG` serves with two workers, which run the real `WeightFile`.
"""

from __future__ import annotations

import copy
import json
import os
import secrets
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

WITHOUT_OUR_MEMORY = 'mount -t tmpfs tmpfs /dev/shm && exec "$@"'
"""Another machine does not share this one's /dev/shm."""


@dataclass(frozen=True)
class Machine:
    """Where a server runs: how a command is started there, and its address."""

    prefix: tuple[str, ...]
    host: str
    sync_address: str | None
    """What the trainer has to be given; None where its address shows that the server is elsewhere."""


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=60)


@contextmanager
def other_machine() -> Iterator[Machine]:
    """A network namespace with an address of its own; else another loopback address of this machine."""
    name = f"rrr-{uuid.uuid4().hex[:8]}"
    link = f"r{name[4:]}"
    # A network of its own from the range for tests (RFC 2544), since several runs may have one at a time.
    network = f"198.18.{secrets.randbelow(256)}"
    last = 4 * secrets.randbelow(64)
    ours, theirs = f"{network}.{last + 1}", f"{network}.{last + 2}"
    try:
        _ip("netns", "add", name)
    except (OSError, subprocess.SubprocessError):
        yield Machine((), "127.0.0.2", "127.0.0.1")
        return
    try:
        try:
            _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("address", "add", f"{ours}/30", "dev", link)
            _ip("link", "set", link, "up")
            _ip("-n", name, "address", "add", f"{theirs}/30", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
        except (OSError, subprocess.SubprocessError):
            yield Machine((), "127.0.0.2", "127.0.0.1")
        else:
            memory = ("sh", "-c", WITHOUT_OUR_MEMORY, "sh") if shutil.which("mount") else ()
            yield Machine(("ip", "netns", "exec", name, *memory), theirs, None)
    finally:
        _ip("netns", "delete", name)


@contextmanager
def remote(machine: Machine, folder: Path, config: dict[str, Any]) -> Iterator[str]:
    """The address of a server there."""
    command = [sys.executable, "-m", "tests.generation.remote_vllm", machine.host, str(folder), json.dumps(config)]
    root = Path(__file__).parents[2]
    paths = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))
    with subprocess.Popen(
        [*machine.prefix, *command],
        cwd=root,
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            assert port.isdigit(), "the server did not start"
            yield f"http://{machine.host}:{port}/v1"
        finally:
            process.kill()


def main(host: str, folder: str, config: str) -> None:
    """Serve until this process is killed, or its caller is."""
    import pytest

    from rrr_core.generation.vllm_worker import WeightFile
    from tests.generation import fake_vllm, served_vllm

    with pytest.MonkeyPatch.context() as patch:
        fake_vllm.install(patch)
        with served_vllm.serving(Path(folder), json.loads(config), host=host) as stage:
            second = WeightFile()
            second.model_runner = SimpleNamespace(model=copy.deepcopy(stage.llm.model))
            second.parallel_config = SimpleNamespace(world_size=2)
            stage.workers.append(second)
            print(stage.server_address[1], flush=True)
            sys.stdin.read()  # ends with the caller


if __name__ == "__main__":
    main(*sys.argv[1:])
