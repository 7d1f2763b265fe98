"""The profile of a stage: the seconds and tokens of each kind of work, kept in the stage's folder.

Each moment belongs to one kind: a nested measurement counts for the inner kind alone. Unmeasured time is `other`, so
the kinds and `other` add up to the wall time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rrr_core.errors import DataError, RrrError
from rrr_core.profiling.spent import KINDS, OTHER, Machine, Spent, summed
from rrr_core.text import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from rrr_core.progress import Progress


class Profile:
    """Measures one call of a stage, from its creation on. Not thread-safe.

    On a GPU, work is counted where it is waited for: generation ends with ids on the CPU, and training waits at the
    end of each kind of work (`rrr_core.training.profiling`).
    """

    def __init__(self, earlier: Spent | None = None, clock: Callable[[], float] = time.perf_counter) -> None:
        self._earlier, self._clock = earlier or Spent(), clock
        self._seconds: dict[str, float] = {}
        self._tokens: dict[str, int] = {}
        self._open: list[str] = []
        self._began = self._since = clock()
        self._elsewhere = Spent()
        self.verdicts = 0
        self.machine: Machine | None = None

    @property
    def kind(self) -> str:
        """The kind of work being measured now."""
        return self._open[-1] if self._open else OTHER

    @contextmanager
    def during(self, kind: str) -> Iterator[None]:
        """Count the seconds until the end as `kind`; nested in another kind, they are taken from that one."""
        self.enter(kind)
        try:
            yield
        finally:
            self.leave(kind)

    def enter(self, kind: str) -> None:
        """Begin `kind`, for a beginning and an end in two functions. Raises KeyError for an unknown kind."""
        if kind not in KINDS:
            raise KeyError(kind)
        self._settle()
        self._open.append(kind)

    def leave(self, kind: str) -> None:
        """End `kind`, and any kind inside it left open, as by an exception between the two functions."""
        self._settle()
        while kind in self._open and self._open.pop() != kind:
            pass

    def count(self, **tokens: int | None) -> None:
        """Add tokens by kind; None means the engine does not report them."""
        self._tokens = summed(self._tokens, {kind: value for kind, value in tokens.items() if value is not None})

    def add(self, elsewhere: Spent) -> None:
        """Count what another process did for this call meanwhile."""
        self._elsewhere = self._elsewhere.plus(elsewhere)

    def spent(self) -> Spent:
        """What this process has spent so far in this call."""
        self._settle()
        worked = bool(self._seconds)
        wall = self._clock() - self._began
        return Spent(int(worked), wall, dict(self._seconds), dict(self._tokens), self.verdicts, self.machine)

    def spent_by_all(self) -> Spent:
        """What all processes have spent so far in this call, as far as it was added."""
        own, others = self.spent(), self._elsewhere
        return replace(
            own,
            calls=int(bool(own.calls or others.seconds)),
            seconds=summed(own.seconds, others.seconds),
            tokens=summed(own.tokens, others.tokens),
            verdicts=own.verdicts + others.verdicts,
            elsewhere_seconds=others.wall_seconds,
        )

    def write(self, folder: Path) -> None:
        """Write `profile.json`: earlier calls and this one. Nothing is written before this call has done any work."""
        from rrr_core.runs.files import write_json  # imported here: a judge measures, and has no folder
        from rrr_core.runs.layout import StageFolder

        now = self.spent_by_all()
        if now.calls:
            write_json(StageFolder(folder).profile, self._earlier.plus(now).to_json())

    def _settle(self) -> None:
        now = self._clock()
        if self.kind != OTHER:
            self._seconds[self.kind] = self._seconds.get(self.kind, 0.0) + now - self._since
        self._since = now


@contextmanager
def profiled(folder: Path, progress: Progress | None = None) -> Iterator[Profile]:
    """The profile of this call on a stage's folder, added to what earlier calls spent; written however the call ends.

    An empty folder gets none, as if there had been no call. No result depends on a profile, so one that cannot be read
    is moved aside, and `progress` says so.
    """
    from rrr_core.progress import Progress

    profile = Profile(_earlier(folder, progress or Progress()))
    try:
        yield profile
    except BaseException:
        # A disk that refuses the profile has already refused the stage's own file: that is the error to raise.
        with suppress(RrrError):
            _keep(profile, folder)
        raise
    _keep(profile, folder)


def _earlier(folder: Path, progress: Progress) -> Spent | None:
    from rrr_core.runs.files import explained
    from rrr_core.runs.layout import StageFolder

    try:
        return read_profile(folder)
    except DataError as error:
        files = StageFolder(folder)
        with explained(files.profile):
            if files.profile_aside.is_dir():
                raise RrrError(f"{error} {files.profile_aside} is in the way: move it.") from None
            files.profile.replace(files.profile_aside)
        progress.say(f"{error} It was moved to {files.profile_aside.name}: earlier calls are missing from the profile.")
        return None


def _keep(profile: Profile, folder: Path) -> None:
    from rrr_core.runs.stage import holds_nothing

    if not holds_nothing(folder):
        profile.write(folder)


def read_profile(folder: Path) -> Spent | None:
    """What `profile.json` in a stage's folder holds; None if there is none. Raises DataError for a broken one."""
    from rrr_core.runs.files import read_json
    from rrr_core.runs.layout import StageFolder

    path = StageFolder(folder).profile
    if not path.exists():
        return None
    try:
        return Spent.from_json(read_json(path))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DataError(f"{path}:1: not a profile ({one_line(repr(error), 100)}).") from None


def machine_of(network: Any) -> Machine | None:
    """The size of a torch network and the name of its device; None for no network."""
    if network is None:
        return None
    device = network.device
    if device.type == "cuda":
        import torch

        name = torch.cuda.get_device_name(device)
    else:
        name = device.type
    parameters = list(network.parameters())
    trainable = sum(each.numel() for each in parameters if each.requires_grad)
    return Machine(sum(each.numel() for each in parameters), trainable, name)
