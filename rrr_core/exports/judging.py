"""A judge for coroutines: a thread of its own judges everything that has arrived as one batch."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

from rrr_core.chat.marks import THINK, generation_of
from rrr_core.hookspecs import Row
from rrr_core.tasks import Task, load_task
from rrr_core.verdicts import Verdict
from rrr_core.verification import Judge


class AwaitedJudge:
    """Judges for coroutines of any event loop, so no loop blocks on a verifier.

    There is no limit on abstentions: each package reports them in its own way.
    """

    def __init__(self, task: Task) -> None:
        """Raises RrrError if the verifier needs a process of its own and the system cannot provide one."""
        self.task = task
        self._judge = Judge(task, max_abstain=1.0)
        # Only one thread, since a Judge serves one caller at a time.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rrr-judge")
        self._lock = threading.Lock()
        self._waiting: list[tuple[Row, str, Future[Verdict]]] = []

    async def judge(self, row: Row, answer: str) -> Verdict:
        """The verdict on one text; the verifier sees no thought in `<think>` marks.

        Raises RrrError like `Judge.judge`.
        """
        verdict: Future[Verdict] = Future()
        with self._lock:
            self._waiting.append((row, answer, verdict))
        self._thread.submit(self._judge_waiting)
        return await asyncio.wrap_future(verdict)

    def close(self) -> None:
        """Stop the verifier's processes and the thread, after judging what is still waiting."""
        self._thread.shutdown()
        self._judge.close()

    def _judge_waiting(self) -> None:
        with self._lock:
            taken, self._waiting = self._waiting, []
        taken = [item for item in taken if item[2].set_running_or_notify_cancel()]
        if not taken:
            return
        try:
            verdicts = self._judge.judge_written([(row, generation_of(text, THINK)) for row, text, _ in taken])
        except BaseException as error:  # noqa: BLE001 - raised where the verdict is awaited
            for *_, future in taken:
                future.set_exception(error)
        else:
            for (*_, future), verdict in zip(taken, verdicts, strict=True):
                future.set_result(verdict)


@lru_cache
def shared_judge(task: str, overlays: tuple[str, ...] = ()) -> AwaitedJudge:
    """This process's only judge of a task. The verifier's processes end with this process. Raises RrrError."""
    return AwaitedJudge(load_task(task, overlays))


def explained(verdict: Verdict) -> str:
    """A verdict in one line: `wrong numbers: 3 was used twice`."""
    return ": ".join(filter(None, (verdict.category or verdict.outcome, verdict.detail)))
