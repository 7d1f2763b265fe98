"""Rows made in a process of their own: for libraries that print, download, or draw from global randomness."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rrr_core.errors import DataError


def rows_of_process(module: str, request: Mapping[str, Any], environment: Mapping[str, str] = {}) -> Iterator[Any]:
    """The rows that `python -m module` writes for a request in JSON, read lazily; see `write_rows`.

    It runs with a fixed hash seed, since generators that follow the order of a set differ from process to process.
    Raises DataError for what it refuses, and RuntimeError if it fails.
    """
    import subprocess  # imported here: whoever loads a task imports this module, and few tasks make rows so
    import tempfile

    own = {"PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            [sys.executable, "-P", "-m", module, json.dumps(dict(request))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **own, **environment},
        ) as maker,
    ):
        assert maker.stdout is not None
        try:
            for line in maker.stdout:
                message = json.loads(line)
                if "refused" in message:
                    raise DataError(message["refused"])
                yield message["row"]
            if maker.wait():
                errors.seek(0)
                last = errors.read().decode(errors="replace").strip().rpartition("\n")[2]
                raise RuntimeError(f"the rows could not be made by {module}: {last}")
        finally:
            maker.kill()


def end_with_parent(seconds: float = 1.0) -> None:
    """From now on, end this process soon after the one that started it, which may be killed without a word."""
    import threading

    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(seconds)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def write_rows(make: Callable[[Any], Iterable[Any]]) -> None:
    """Be that process: write the rows made for the request, one line of JSON each, until nobody reads them any more.

    A line is `{"row": …}`, or `{"refused": TEXT}` for a DataError. What else is printed goes to standard error.
    """
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The reader handles Ctrl-C and ends this process.
    request = json.loads(sys.argv[1])
    output = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr  # A buffer of its own would be written after a fault, whose last line is what is shown.
    try:
        for row in make(request):
            output.write(json.dumps({"row": row}) + "\n")
    except DataError as error:
        output.write(json.dumps({"refused": str(error)}) + "\n")
    except BrokenPipeError:
        os._exit(0)
