"""An event loop that runs where no socket may be opened."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

Given = TypeVar("Given")


class PipeLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop, woken through a pipe: asyncio takes a pair of sockets, which the sandbox refuses."""

    def _make_self_pipe(self) -> None:
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)
        self._add_reader(self._woken, self._read_from_self)  # type: ignore[attr-defined]

    def _close_self_pipe(self) -> None:
        self._remove_reader(self._woken)  # type: ignore[attr-defined]
        os.close(self._woken)
        os.close(self._wake)

    def _read_from_self(self) -> None:
        try:
            while os.read(self._woken, 4096):
                pass
        except BlockingIOError:
            pass

    def _write_to_self(self) -> None:
        with suppress(OSError):  # It is full, so the loop wakes anyway, or closed, so it has ended.
            os.write(self._wake, b"\0")


def run(work: Coroutine[Any, Any, Given]) -> Given:
    """What a coroutine gives, from a loop of its own."""
    with asyncio.Runner(loop_factory=PipeLoop) as runner:
        return runner.run(work)
