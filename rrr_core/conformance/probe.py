"""The probe: a separate process that calls every hook of a plugin except the verifier, and reports what each gave.

`python -P -m rrr_core.conformance.probe`: a JSON object comes in on standard input (`Request`), lines of JSON go out:
`{"begin": STAGE}`, then `{"stage": STAGE, "value": …}` or `{"stage": STAGE, "error": KIND, "text": …}`, and at the end
`{"done": true}`. A hook that hangs or exits takes only this process down. What a plugin prints is discarded. The
verifier is called only if it is `@trusted`, to see whether it changes its row.
"""

from __future__ import annotations

import hashlib
import importlib
import itertools
import json
import os
import pickle
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from rrr_core.conformance.courses import changed_by_steps
from rrr_core.conformance.option_trials import misspelt, spelt_out
from rrr_core.conformance.waiting import Waited
from rrr_core.errors import PluginError, RrrError
from rrr_core.hookspecs import Model
from rrr_core.row_files.processes import end_with_parent
from rrr_core.tasks import Task, find_tasks, load_task
from rrr_core.tasks.loading import load_plugin
from rrr_core.tasks.task import SPLITS
from rrr_core.verification import Judge, VerifySettings

HEAVY = ("torch", "transformers", "trl", "vllm", "datasets", "peft", "accelerate", "tensorflow", "jax")
"""What a plugin's module must not import, because `rrr tasks` imports every plugin."""
FAMILIES = ("generic", "qwen", "llama", "phi", "palmyra", "gemma", "mistral", "granite", "smollm")
ATTEMPT = "My answer is not right."
"""The failed attempt that `rrr_reflection_prompt` is given."""
FAMILY_ROWS = 5
"""Rows that every model family is prompted with; the others are for a generic model alone."""
UNCHANGED_ROWS = 20
ROWS = tuple(f"rows {split}" for split in SPLITS)
NEEDS = {
    "manifest": ("load",),
    **dict.fromkeys(ROWS, ("load",)),
    "options": ("load", "rows train"),
    **dict.fromkeys(("again", "own rows", "prompts", "gold", "unchanged"), ("load", *ROWS)),
    "examples": ("load",),
    "pickle": ("load", "examples"),
    "unchanged by steps": ("load", "examples", *ROWS),
}
"""Stage → the stages that it needs; it does not run if one of them failed."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to probe, and how much of it."""

    task: str
    overlays: Sequence[str]
    data: Mapping[str, str]
    rows: int
    compared: int
    compare_seconds: float


class Probe:
    """One task's hooks, called in the order of the stages; a stage uses what earlier ones gave."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.task: Task
        self.taken: dict[str, list[dict[str, Any]]] = {}
        """Split → the rows taken from it."""

    def stages(self) -> Iterator[tuple[str, Callable[[], object]]]:
        yield "load", self.load
        yield "manifest", self.manifest
        for split in SPLITS:
            yield f"rows {split}", lambda split=split: self.rows(split)  # type: ignore[misc]
        yield "again", self.again
        yield "options", self.options
        yield "own rows", self.own_rows
        yield "prompts", self.prompts
        yield "gold", self.gold
        yield "examples", self.examples
        yield "pickle", self.pickle
        yield "unchanged", self.unchanged
        yield "unchanged by steps", lambda: changed_by_steps(self.task, self.taken["train"][:UNCHANGED_ROWS])

    def load(self) -> dict[str, Any]:
        """Seconds that the import took, and the heavy packages that it imported."""
        before = set(sys.modules)
        started = time.perf_counter()
        self.task = load_task(self.request.task, self.request.overlays)
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "heavy": [name for name in HEAVY if name in sys.modules and name not in before]}

    def manifest(self) -> dict[str, Any] | None:
        found = self.task.manifest()
        return None if found is None else asdict(found)

    def rows(self, split: str) -> dict[str, Any]:
        """The first rows of a split, and the memory and time (without waits for a processor) that the first took."""
        waited = Waited(os.getsid(0))
        started, memory = time.perf_counter() - waited.seconds(), most_memory()
        try:
            rows = self.task.load_dataset(split, self.request.data)
        except PluginError as error:  # A split that gives no iterable does not load; its rows are not to blame.
            raise PluginError(str(error)) from error
        first = list(itertools.islice(rows, 1))
        seconds, megabytes = time.perf_counter() - waited.seconds() - started, most_memory() - memory
        taken = self.taken[split] = first + list(
            self.until(itertools.islice(rows, self.request.compared - 1), self.request.rows)
        )
        return {
            "rows": taken[: self.request.rows],
            "digests": [digest(row) for row in taken],
            "seconds": seconds,
            "megabytes": megabytes,
        }

    def again(self) -> dict[str, list[str]]:
        """The digests of each split's first rows, loaded a second time."""
        again = {}
        for split in SPLITS:
            rows = self.task.load_dataset(split, self.request.data)
            again[split] = [digest(row) for row in itertools.islice(rows, self.request.rows)]
        return again

    def options(self) -> dict[str, Any]:
        """The declared options, what becomes of a misspelt one, and whether the defaults are what they say."""
        declared = self.task.data_options()
        wrong = misspelt(declared, self.request.data)
        try:
            next(iter(self.task.load_dataset("train", {**self.request.data, wrong: "1"})), None)
            refused, text = "", ""
        except PluginError as error:
            refused, text = "fault", str(error)
        except RrrError:
            refused, text = "one line", ""
        defaults = spelt_out(declared or (), self.request.data)
        rows = self.task.load_dataset("train", {**defaults, **self.request.data}) if defaults else iter(())
        taken = [digest(row) for row in itertools.islice(rows, FAMILY_ROWS)]
        same = not defaults or taken == [digest(row) for row in self.taken["train"][:FAMILY_ROWS]]
        return {
            "declared": None if declared is None else [option.name for option in declared],
            "wrong": wrong,
            "refused": refused,
            "text": text,
            "defaults": defaults,
            "same": same,
        }

    def own_rows(self) -> dict[str, Any] | None:
        """The first row that `rrr_row` changes, and whether it refuses what is no row; None without the hook."""
        if not self.task.implements("rrr_row"):
            return None
        changed = ""
        for split, rows in self.taken.items():
            for place, row in enumerate(rows[: self.request.rows]):
                own = self.task.row(json.loads(json.dumps(row)), f"row {place} of {split}")
                if not changed and digest(own) != digest(row):
                    changed = f"row {place} of {split}"
        refused, text = False, ""
        try:
            self.task.row({}, "no row")
        except PluginError as error:
            text = str(error)
        except RrrError:
            refused = True
        return {"changed": changed, "refused": refused, "text": text}

    def prompts(self) -> dict[str, Any]:
        """What a generic model reads for each sampled row, and digests of what all models read."""
        generic = Model("check")
        unstable, digests = "", {}
        said: dict[str, list[dict[str, list[str]]]] = {}
        for split, rows in self.taken.items():
            said[split] = []
            for place, row in enumerate(rows[: self.request.rows]):
                for model in self.models() if place < FAMILY_ROWS else [generic]:
                    once, twice = self.texts(row, model), self.texts(row, model)
                    if once != twice and not unstable:
                        hook = next(hook for hook in once if once[hook] != twice[hook])
                        unstable = f"{hook} gave two texts for row {place} of {split} ({model.family})"
                    digests[f"row {place} of {split} ({model.family}, tools: {model.takes_tools})"] = digest(once)
                    if model == generic:
                        said[split].append(once)
        prompts = {
            split: [digest([dict(message) for message in self.task.prompt(row, generic)]) for row in self.until(rows)]
            for split, rows in self.taken.items()
        }
        return {"said": said, "unstable": unstable, "digests": digests, "prompts": prompts}

    def texts(self, row: dict[str, Any], model: Model) -> dict[str, list[str]]:
        """Hook → the texts of its messages, without tools."""
        prompt = self.task.prompt(row, model)
        return {
            "rrr_prompt": [message["content"] for message in prompt if message["role"] != "tools"],
            "rrr_reflection_prompt": [self.task.reflection_prompt(row, ATTEMPT, model)],
            "rrr_retry_prompt": [self.task.retry_prompt(row, model)],
        }

    def models(self) -> list[Model]:
        families = [*FAMILIES, *own_family(self.task.default_model())]
        return [Model("check", family, tools) for family in families for tools in (False, True)]

    def gold(self) -> dict[str, Any] | None:
        """Each sampled row's gold answer and the part of it that is judged; None without the hook."""
        if not self.task.implements("rrr_gold_answer"):
            return None
        gold: dict[str, list[tuple[str | None, str | None]]] = {}
        for split, rows in self.taken.items():
            gold[split] = []
            for row in rows[: self.request.rows]:
                answer = self.task.gold_answer(row)
                gold[split].append((answer, None if answer is None else self.task.final_answer(row, answer)))
        return gold

    def examples(self) -> list[dict[str, Any]]:
        return [asdict(example) for example in self.task.examples()]

    def pickle(self) -> list[str]:
        """The parts of the plugin that cannot be sent to another process, each in a few words."""
        (entry,) = (entry for entry in find_tasks() if entry.name == self.request.task)
        plugin = load_plugin(entry)
        problems = []
        for name, value in vars(plugin.module).items():
            if hasattr(value, "rrr_impl") and (problem := importable(name, value)):
                problems.append(problem)
        try:
            pickle.dumps(self.task.examples())
        except Exception as error:  # noqa: BLE001 - whatever a plugin's objects raise
            problems.append(f"an example: {type(error).__name__}")
        return problems

    def unchanged(self) -> str:
        """The first row that a trusted verifier changed, or nothing."""
        if not self.task.trusted or self.task.judges or self.task.combines:
            return ""
        with Judge(self.task, max_abstain=1, settings=VerifySettings(isolation="none")) as judge:
            for split, rows in self.taken.items():
                for place, row in enumerate(rows[:UNCHANGED_ROWS]):
                    before = digest(row)
                    judge.judge([(row, "no answer")])
                    if digest(row) != before:
                        return f"row {place} of {split}"
        return ""

    def until(self, items: Any, least: int = 0) -> Iterator[Any]:
        """The items that come within the time for comparison, and at least `least` of them."""
        deadline = time.perf_counter() + self.request.compare_seconds
        for place, item in enumerate(items, start=1):
            yield item
            if place >= least and time.perf_counter() > deadline:
                return


def importable(name: str, function: Any) -> str:
    """Why a hook's function cannot be found again by its module and name, or nothing."""
    module, path = function.__module__, function.__qualname__
    try:
        found = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return f"{name} cannot be imported as {module}.{path}"
    return "" if found is function else f"{module}.{path} is another function than {name}"


def own_family(model: str | None) -> list[str]:
    """The family that the plugin's own model declares, if it is in a folder."""
    try:
        declared = json.loads((Path(model or "") / "config.json").read_text(encoding="utf-8")).get("rrr_family")
    except (OSError, ValueError, AttributeError):
        return []
    return [declared] if isinstance(declared, str) else []


def digest(value: object) -> str:
    """A hash of a JSON value that does not depend on the order of its keys."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def most_memory() -> float:
    """Peak memory of this process in megabytes; 0 if the system does not report it."""
    try:
        # Linux's ru_maxrss starts at the size of the parent process.
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        if peak := re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE):
            return int(peak[1]) / (1 << 10)
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return 0.0
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def kind_of(error: RrrError) -> str:
    """`user` for what the user has to fix; for a plugin's fault `exception`, or `value` if a hook's value is wrong."""
    if isinstance(error, PluginError):
        return "exception" if error.__cause__ is not None else "value"
    return "user"


def run(request: Request, output: TextIO) -> None:
    """Run the stages in order, without those that need one that failed."""

    def say(**line: Any) -> None:
        print(json.dumps(line), file=output, flush=True)

    probe = Probe(request)
    failed: set[str] = set()
    for stage, work in probe.stages():
        if failed.intersection(NEEDS.get(stage, ())):
            continue
        say(begin=stage)
        try:
            say(stage=stage, value=work())
        except RrrError as error:
            failed.add(stage)
            say(stage=stage, error=kind_of(error), text=str(error))
    say(done=True)


def main() -> None:
    """Answer the one request on standard input."""
    end_with_parent()
    output = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    given = json.load(sys.stdin)
    sys.path[:] = given.pop("path")
    run(Request(**given), output)


if __name__ == "__main__":
    main()
