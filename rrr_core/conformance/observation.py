"""What a probe reported: the core's side of the process that calls a plugin's hooks."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import IO, Any

from rrr_core.conformance.probe import NEEDS, Request
from rrr_core.conformance.results import Faulty
from rrr_core.conformance.waiting import Waited
from rrr_core.text import one_line
from rrr_core.verification.workers import module_path

HOOK_OF = {
    "load": "",
    "manifest": ", hook rrr_manifest",
    "rows train": ", hook rrr_load_dataset",
    "rows test": ", hook rrr_load_dataset",
    "again": ", hook rrr_load_dataset",
    "options": ", hook rrr_load_dataset with --data",
    "own rows": ", hook rrr_row",
    "prompts": ", the hooks of prompts",
    "gold": ", hook rrr_gold_answer",
    "examples": ", hook rrr_examples",
    "pickle": "",
    "unchanged": ", hook rrr_verify",
    "unchanged by steps": ", hook rrr_step",
}
OWNERS = {
    "load": "check_task_loads",
    "manifest": "check_manifest_is_complete",
    "rows train": "check_splits_load",
    "rows test": "check_splits_load",
    "again": "check_rows_are_deterministic",
    "options": "check_data_options_are_known",
    "own rows": "check_own_rows_are_kept",
    "prompts": "check_prompts_are_sound",
    "gold": "check_gold_answers_pass",
    "examples": "check_examples_get_their_verdicts",
    "pickle": "check_plugin_is_picklable",
    "unchanged": "check_verdicts_are_pure",
    "unchanged by steps": "check_steps_are_pure",
}
"""Stage → the check that reports a fault in it."""
MISFIT_ROWS = "check_rows_are_json"
"""The check that reports values that are not rows."""
STATUS_SECONDS = 10.0
LOOK_SECONDS = 1.0
"""Between two looks at how long a silent probe has waited for a processor."""


@dataclass(frozen=True)
class Observation:
    """What each stage gave, and the faults of those that gave nothing."""

    values: dict[str, Any]
    faults: dict[str, Faulty]

    def value(self, stage: str) -> Any:
        """What a stage gave. Raises Faulty."""
        if stage in self.values:
            return self.values[stage]
        # A stage that did not run needs one that failed, or comes after the process ended.
        causes = [self.faults[each] for each in (stage, *NEEDS.get(stage, ())) if each in self.faults]
        raise next(iter(causes or self.faults.values()))


def observe(request: Request, who: str, silence_seconds: float, hash_seed: int) -> Observation:
    """Run a probe. `hash_seed` orders sets and the like: two probes with two seeds show which hooks depend on it.

    Raises RuntimeError if the probe itself fails.
    """
    values: dict[str, Any] = {}
    faults: dict[str, Faulty] = {}
    stage, done = "load", False
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(module_path()), "PYTHONHASHSEED": str(hash_seed)}
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            [sys.executable, "-P", "-m", "rrr_core.conformance.probe"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            start_new_session=True,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({**asdict(request), "path": module_path()}).encode())
            process.stdin.close()
            for line in lines(process.stdout, silence_seconds, Waited(process.pid).seconds):
                match line:
                    case {"begin": started}:
                        stage = started
                    case {"stage": ended, "value": value}:
                        values[ended] = value
                    case {"stage": ended, "error": kind, "text": text}:
                        faults[ended] = _fault(ended, kind, text)
                    case {"done": True}:
                        done = True
            # On a busy machine its end may take long; what it has said is all there is, and it is ended below.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STATUS_SECONDS)
        except TimeoutError:
            text = f"{who}{HOOK_OF[stage]}: no output for {silence_seconds:g} seconds. Find what hangs."
            faults[stage] = Faulty(OWNERS[stage], text)
            done = True
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        if not done:
            errors.seek(0)
            faults[stage] = _ended(stage, who, process.wait(), errors)
    return Observation(values, faults)


def lines(
    source: IO[bytes], silence_seconds: float, waited: Callable[[], float] = lambda: 0.0
) -> Iterator[dict[str, Any]]:
    """The probe's lines. Raises TimeoutError if none comes for too long.

    `waited` gives the seconds that the probe has waited for a processor so far, which do not count.
    """
    data = bytearray()

    def clock() -> float:
        return time.monotonic() - waited()

    deadline = clock() + silence_seconds
    with selectors.DefaultSelector() as selector:
        selector.register(source, selectors.EVENT_READ)
        while True:
            while not selector.select(max(0.0, min(LOOK_SECONDS, deadline - clock()))):
                if clock() >= deadline:
                    raise TimeoutError
            part = os.read(source.fileno(), 1 << 20)
            if not part:
                return
            data += part
            if b"\n" in part:
                *whole, data[:] = data.split(b"\n")
                yield from map(json.loads, whole)
                deadline = clock() + silence_seconds


def _fault(stage: str, kind: str, text: str) -> Faulty:
    if kind == "user":
        return Faulty(OWNERS[stage], text, "cannot be judged")
    return Faulty(MISFIT_ROWS if kind == "value" and stage.startswith("rows ") else OWNERS[stage], text)


def _ended(stage: str, who: str, status: int, errors: IO[bytes]) -> Faulty:
    """The fault of a plugin that ended its process. Raises RuntimeError if an exception in rrr ended it."""
    said = errors.read().decode(errors="replace").strip()
    if status == 1 and "Traceback" in said:
        raise RuntimeError(f"the probe failed at {stage!r}: {one_line(said.rpartition(chr(10))[2])}\n{said[-2000:]}")
    how = f"signal {-status}" if status < 0 else f"status {status}"
    return Faulty(
        OWNERS[stage], f"{who}{HOOK_OF[stage]}: it ended its process with {how}. A hook must return or raise."
    )
