"""The record of a run: its settings and the state of each stage."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import Any

from rrr_core.errors import DataError
from rrr_core.processes.shards import Executor, ThisProcess
from rrr_core.profiling.profile import read_profile
from rrr_core.profiling.spent import Spent
from rrr_core.progress import Progress
from rrr_core.records import NUMBER, OBJECT, TEXT, Record
from rrr_core.runs.about import about_this_run
from rrr_core.runs.digests import Digests
from rrr_core.runs.files import read_json, write_json
from rrr_core.runs.layout import STAGES, RunFolder, StageFolder
from rrr_core.runs.stage import check_identity, holds_nothing


class RunRecord:
    """`run.json`: the run's identity, and each stage's state: `running`, `finished`, `interrupted` or `failed`."""

    def __init__(self, path: Path, content: dict[str, Any], progress: Progress, executor: Executor) -> None:
        self.path = path
        self.content = content
        self.progress = progress
        self.executor = executor

    @classmethod
    def open(
        cls, folder: Path, identity: Mapping[str, Any], progress: Progress, executor: Executor | None = None
    ) -> RunRecord:
        """Start or resume the run in `folder`; of several processes, the leading one does.

        A stage's settings bind from its first result on: until then they may change, as may all others of a run that
        has produced nothing yet. Raises RrrError if the run was started with another identity.
        """
        files = RunFolder(folder)
        path = files.record
        content: Any = None
        if path.exists():
            content = read_json(path)
            _check_record(content, path)
        if content is None or (content["identity"] != identity and holds_nothing(folder)):
            content = {"kind": "run", "identity": identity, "about": about_this_run(), "created": _now(), "stages": {}}
        finished = {name.partition(" ")[0] for name, stage in content["stages"].items() if stage["state"] == "finished"}
        unbound = [
            stage for stage in STAGES if stage not in finished and all(map(holds_nothing, files.stage_folders(stage)))
        ]
        content["identity"] = {**content["identity"], **{stage: identity[stage] for stage in unbound}}
        check_identity(folder, "run", content["identity"], identity)
        record = cls(path, content, progress, executor or ThisProcess())
        record._write()
        return record

    def is_finished(self, name: str, *products: Path) -> bool:
        """Whether a stage is finished and its products exist."""
        finished = self.content["stages"].get(name, {}).get("state") == "finished"
        return finished and all(product.exists() for product in products)

    def stage(self, name: str, product: Path, work: Callable[[], None], *others: Path, again: bool = False) -> None:
        """Run a stage, unless it is finished and its product, with any others, exists.

        Raises DataError if a file of a finished stage is lost or was changed since.
        """
        stages = self.content["stages"]
        if not self.executor.agree(f"the stage {name}", again or not self.is_finished(name, product, *others)):
            Digests(product.parent).check_all(
                f"delete it and {product}, and run the same command again: {name} makes them again."
            )
            self.progress.say(f"{name}: finished earlier")
            return
        started = time.monotonic()
        before = stages.get(name, {}).get("seconds", 0.0)
        entry = stages[name] = {"state": "running", "began": _now()}
        self._write()
        try:
            work()
            entry["state"] = "finished"
        except BaseException as error:
            entry["state"] = "failed" if isinstance(error, Exception) else "interrupted"
            entry["why"] = f"{type(error).__name__}: {error}"
            raise
        finally:
            entry["ended"] = _now()
            entry["seconds"] = round(before + time.monotonic() - started, 1)
            self._write()

    def spent(self, stages: Iterable[StageFolder]) -> Spent:
        """The sum of the stages' profiles with the wall time of all; the latter alone if one cannot be read.

        Loading a model to mine or evaluate counts in the wall time but in no profile.
        """
        profiles = [self._profile(stage.path) for stage in stages]
        known = [profile for profile in profiles if profile is not None]
        together = reduce(Spent.plus, known if len(known) == len(profiles) else [], Spent())
        recorded = sum(entry.get("seconds", 0.0) for entry in self.content["stages"].values())
        # A killed call may have written its profiles but not this record.
        return dataclasses.replace(together, wall_seconds=max(recorded, together.wall_seconds))

    def _profile(self, stage: Path) -> Spent | None:
        try:
            return read_profile(stage)
        except DataError as error:
            self.progress.say(f"{error} The time spent is not summed up: no result depends on it.")
            return None

    def _write(self) -> None:
        write_json(self.path, self.content)


class AssistedRun:
    """What a process other than the leading one does of a run's stages: the work that is shared."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor

    def stage(self, name: str, product: Path, work: Callable[[], None], *others: Path, again: bool = False) -> None:
        """Do a stage's work if the leading process does; what is always made again, that one makes alone."""
        if self.executor.agree(f"the stage {name}", False) and not again:
            work()


def open_record(
    folder: Path, identity: Mapping[str, Any], progress: Progress, executor: Executor
) -> RunRecord | AssistedRun:
    """The record of the run in a folder, or what stands for it in a process that does not lead."""
    return RunRecord.open(folder, identity, progress, executor) if executor.leads else AssistedRun(executor)


def _check_record(content: Any, path: Path) -> None:
    """Raise DataError for anything but what `_write` wrote."""
    fields = Record(content, f"{path}:1", "the record of a run")
    if fields.get("kind", TEXT) != "run":
        fields.refuse("kind", "'run'")
    fields.get("identity", OBJECT)
    for name, stage in fields.get("stages", OBJECT).items():
        entry = Record(stage, f"{path}:1", f"the stage {name!r}")
        entry.get("state", TEXT)
        entry.get("seconds", NUMBER, 0.0)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
