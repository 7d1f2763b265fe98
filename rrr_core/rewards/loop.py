"""An event loop that runs where no socket may be opened."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

Given = TypeVar("Given")


def run_coroutine(work: Coroutine[Any, Any, Given]) -> Given:
    """What a coroutine gives, from a loop of its own that the sandbox lets run.

    asyncio's own loop is woken through a pair of sockets, which the sandbox refuses; this one is through a pipe.
    """
    # Imported here: a plugin without coroutines need not wait for asyncio.
    import asyncio
    import os
    from contextlib import suppress

    class PipeLoop(asyncio.SelectorEventLoop):
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
            with suppress(BlockingIOError):
                while os.read(self._woken, 4096):
                    pass

        def _write_to_self(self) -> None:
            with suppress(OSError):  # It is full, so the loop wakes anyway, or closed, so it has ended.
                os.write(self._wake, b"\0")

    with asyncio.Runner(loop_factory=PipeLoop) as runner:
        return runner.run(work)
