"""A judge that coroutines can ask: a thread of its own judges, in one batch, whatever has come in the meantime."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

from rrr_core.hookspecs import Row
from rrr_core.tasks import Task, load_task
from rrr_core.verdicts import Verdict
from rrr_core.verification import Judge


class AwaitedJudge:
    """Judges for coroutines of any event loop, so that no loop waits for a verifier.

    It holds no limit on abstentions: the package that asks shows each of them in its own way.
    """

    def __init__(self, task: Task) -> None:
        """Raises RrrError where the verifier needs a process of its own and the system has none to give."""
        self.task = task
        self._judge = Judge(task, max_abstain=1.0)
        # One thread alone, since a Judge serves one caller at a time.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rrr-judge")
        self._lock = threading.Lock()
        self._waiting: list[tuple[Row, str, Future[Verdict]]] = []

    async def judge(self, row: Row, answer: str) -> Verdict:
        """The verdict on one answer. Raises RrrError as `Judge.judge` does."""
        verdict: Future[Verdict] = Future()
        with self._lock:
            self._waiting.append((row, answer, verdict))
        self._thread.submit(self._judge_waiting)
        return await asyncio.wrap_future(verdict)

    def close(self) -> None:
        """End the verifier's processes and the thread. What is still waiting is judged before."""
        self._thread.shutdown()
        self._judge.close()

    def _judge_waiting(self) -> None:
        with self._lock:
            taken, self._waiting = self._waiting, []
        taken = [item for item in taken if item[2].set_running_or_notify_cancel()]
        if not taken:
            return
        try:
            verdicts = self._judge.judge([(row, answer) for row, answer, _ in taken])
        except BaseException as error:  # noqa: BLE001 - it is raised where the verdict is awaited
            for *_, future in taken:
                future.set_exception(error)
        else:
            for (*_, future), verdict in zip(taken, verdicts, strict=True):
                future.set_result(verdict)


@lru_cache
def shared_judge(task: str, overlays: tuple[str, ...] = ()) -> AwaitedJudge:
    """This process's one judge of a task. Its verifier's processes end with this one. Raises RrrError."""
    return AwaitedJudge(load_task(task, overlays))


def explained(verdict: Verdict) -> str:
    """A verdict in one line: `wrong numbers: 3 was used twice`."""
    return ": ".join(filter(None, (verdict.category or verdict.outcome, verdict.detail)))
