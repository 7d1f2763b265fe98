"""What the processes of a launch learn from each other: values of the first, and which of them has failed.

It is kept in torch's store, which the launcher or the first process serves: nothing waits in a collective operation,
so a process that dies leaves nobody hanging. Every process passes the same places in the same order.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from rrr_core.errors import RrrError
from rrr_core.processes.world import World

Value = TypeVar("Value")
TOGETHER_SECONDS = 1800.0
"""How long processes wait for each other before work that needs all at once."""
PATIENCE_SECONDS = 20.0
"""How long the first process waits for the others to start before it says so."""
LEAVING_SECONDS = 60.0
FAILING_SECONDS = 3.0
SLEEPS = 0.01, 0.5
"""The first and the longest pause between two looks at the store, in seconds."""
FAILED, AT, SAID, CAME, LEFT = "failed", "at", "said", "came", "left"


class Store(Protocol):
    """What is used of torch.distributed's stores."""

    def set(self, key: str, value: str) -> None: ...

    def get(self, key: str) -> bytes: ...

    def add(self, key: str, amount: int) -> int: ...

    def check(self, keys: list[str]) -> bool: ...


class OthersFailed(RrrError):
    """Another process of the launch has failed, and has said why."""


class FirstIsGone(RrrError):
    """The first process of the launch can no longer be reached."""


class Meeting:
    """Where the processes of a launch meet."""

    def __init__(
        self,
        world: World,
        store: Store,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.world, self.store, self._clock, self._sleep = world, store, clock, sleep
        self._passed = 0
        """Places passed so far."""

    def agree(self, what: str, value: Value) -> Value:
        """The first process's value, which JSON can hold, in every process.

        The others wait for it as long as the first one works. Raises OthersFailed or FirstIsGone, and RrrError if the
        first process is at another place.
        """
        self._passed += 1
        key = f"{SAID}/{self._passed}"
        if self.world.leads:
            self.check()
            self._ask(lambda: self.store.set(key, json.dumps([what, value])))
            return value
        self._now_at(what)
        self._wait(lambda: self.has(key))
        place, said = json.loads(self._ask(lambda: self.store.get(key)))
        if place != what:
            raise RrrError(
                f"process {self.world.rank} waits at {what!r} and the first process is at {place!r}: start all with the"
                " same command on the same files."
            )
        agreed: Value = said
        return agreed

    def meet(self, what: str, limit: float = TOGETHER_SECONDS) -> None:
        """Wait until all processes are here. Raises RrrError naming those who did not come and where they are."""
        self._passed += 1
        prefix = f"{CAME}/{self._passed}"
        self._now_at(what)
        self._ask(lambda: self.store.set(f"{prefix}/{self.world.rank}", what))
        self._ask(lambda: self.store.add(prefix, 1))
        until = self._clock() + limit

        def all_here() -> bool:
            if self._ask(lambda: self.store.add(prefix, 0)) >= self.world.size:
                return True
            if self._clock() > until:
                late = [rank for rank in range(self.world.size) if not self.has(f"{prefix}/{rank}")]
                raise RrrError(
                    f"process {self.world.rank} has waited {limit:g} s at {what!r} for"
                    f" {', '.join(f'process {rank} (last at {self._place_of(rank)!r})' for rank in late)}: see what"
                    " holds it up, and run the same command again to resume."
                )
            return False

        self._wait(all_here)

    def note(self, key: str, value: str = "") -> None:
        """Leave a note that `has` finds in every process."""
        self._ask(lambda: self.store.set(key, value))

    def has(self, key: str) -> bool:
        """Whether such a note is there."""
        return bool(self._ask(lambda: self.store.check([key])))

    def check(self) -> None:
        """Raise OthersFailed if another process has failed, FirstIsGone if the first cannot be reached."""
        if self.has(FAILED):
            raise OthersFailed("another process of this launch has failed.")

    def fail(self) -> bool:
        """Say that this process fails. Returns whether it is the first to say so, as far as can be known."""
        count = f"{FAILED}/count"
        try:
            is_first = self.store.add(count, 1) == 1
            self.store.set(FAILED, str(self.world.rank))
            if self.world.leads and not self.world.watched:  # the store may end with this process
                until = self._clock() + FAILING_SECONDS
                while self.store.add(count, 0) < self.world.size and self._clock() < until:
                    self._sleep(SLEEPS[0])
        except RuntimeError:
            return self.world.rank <= 1
        return is_first

    def leave(self) -> None:
        """End: the first process waits for the others, since the store may be its own."""
        if not self.world.leads:
            self._ask(lambda: self.store.add(LEFT, 1))
            return
        until = self._clock() + LEAVING_SECONDS
        self._wait(lambda: self._ask(lambda: self.store.add(LEFT, 0)) >= self.world.size - 1 or self._clock() > until)

    def pauses(self) -> Callable[[], None]:
        """A pause, each call's longer than the one before; raises as `check`."""
        length, longest = SLEEPS

        def pause() -> None:
            nonlocal length
            self.check()
            self._sleep(length)
            length = min(2 * length, longest)

        return pause

    def _wait(self, is_over: Callable[[], bool]) -> None:
        pause = self.pauses()
        while not is_over():
            pause()

    def _now_at(self, what: str) -> None:
        self._ask(lambda: self.store.set(f"{AT}/{self.world.rank}", what))

    def _place_of(self, rank: int) -> str:
        key = f"{AT}/{rank}"
        return self._ask(lambda: self.store.get(key)).decode() if self.has(key) else "its start"

    def _ask(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except RuntimeError as error:  # torch's DistError and its kin
            raise FirstIsGone(
                "the first process of this launch is gone: run the same command again to resume."
            ) from error


def torch_store(
    world: World, seconds: float = 300.0, say: Callable[[str], None] | None = None, patience: float = PATIENCE_SECONDS
) -> Store:
    """The launch's store. Raises RrrError if the first process cannot be reached within so many seconds.

    `say` gets a line from the first process after `patience` seconds, since variables of a launch may be left over in a
    shell.
    """
    from datetime import timedelta

    from torch.distributed import PrefixStore, rendezvous

    def late() -> None:
        if say is not None:
            say(f"waits for {world.size - 1} more that {world.launcher} should have started. {_if_left(world)}")

    waiting = threading.Timer(patience, late)
    waiting.daemon = True
    try:
        if world.leads:
            waiting.start()
        # As torch's own groups find it: at the launcher's agent, or else at the first process.
        limit = timedelta(seconds=seconds)
        store, _, _ = _interruptible(lambda: next(iter(rendezvous("env://", world.rank, world.size, timeout=limit))))
    except (RuntimeError, ValueError) as error:
        if world.leads:
            raise RrrError(
                f"process 0 of {world.size} cannot meet the others at {world.address}:{world.port}: see that all were"
                f" started. {_if_left(world)}"
            ) from error
        raise RrrError(
            f"process {world.rank} of {world.size} cannot reach the first one at {world.address}:{world.port}: see that"
            " MASTER_ADDR and MASTER_PORT name it, and that all were started."
        ) from error
    finally:
        waiting.cancel()
    made: Store = PrefixStore("rrr", store)
    return made


def _interruptible(wait: Callable[[], Value]) -> Value:
    """What `wait` gives. Ctrl-C reaches this thread alone, and not while it waits in torch's own code."""
    found: Future[Value] = Future()

    def run() -> None:
        try:
            found.set_result(wait())
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            found.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return found.result()


def _if_left(world: World) -> str:
    names = {"srun": "SLURM_STEP_ID", "mpirun": "the variables that begin with OMPI_ and PMI_"}
    return f"If nothing started any, unset {names.get(world.launcher, 'RANK and WORLD_SIZE')}."
