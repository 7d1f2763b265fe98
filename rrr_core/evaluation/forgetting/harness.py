"""lm-eval, which asks a model the items and says which answers are right: the only module that imports it.

Three behaviours of lm-eval 0.4.13 shape it. Numbers of items must ascend, or the answer to one is recorded under the
number of another. The examples before an item depend on the items asked earlier, so that each measurement seeds them
again. And a task that is named with other fields is a new one that has nothing else. No code of a model's repository is
run, and none that a model wrote.
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata, util
from pathlib import Path
from typing import Any, Protocol

from rrr_core.errors import DataError, ModelError, RrrError
from rrr_core.evaluation.forgetting.benchmarks import BENCHMARKS, Benchmark
from rrr_core.evaluation.forgetting.local_rows import Rows
from rrr_core.evaluation.forgetting.settings import ForgettingSettings
from rrr_core.generation import ModelSettings
from rrr_core.text import one_line

DISTRIBUTION = "lm-eval"


@dataclass(frozen=True, slots=True)
class Item:
    """One item, as a model answered it."""

    number: int
    """Its place in the split, from 0."""
    row: str
    """The SHA-256 of its row."""
    prompt: str
    """The SHA-256 of what the model was asked, with the examples before it."""
    right: bool
    answer: str | None
    """What the model wrote; None where it chose between texts."""


@dataclass(frozen=True, slots=True)
class Subtask:
    """A task of lm-eval, of which a benchmark has one or several."""

    name: str
    size: int
    """How many items its split has."""
    version: str
    """The task's own version, by lm-eval."""


class Harness(Protocol):
    """Asks models the items of benchmarks."""

    def subtasks(self, benchmark: Benchmark) -> Sequence[Subtask]:
        """The parts of a benchmark, of which rows are there. Raises RrrError if they cannot be loaded."""
        ...

    def ask(self, model: ModelSettings, benchmark: Benchmark, subtask: str, numbers: Sequence[int]) -> list[Item]:
        """The items with these ascending numbers. Raises ModelError for a model that cannot be loaded."""
        ...


MakeHarness = Callable[[ForgettingSettings, Mapping[str, Rows]], Harness]
"""Makes one from the settings, and the local rows by benchmark, which are none if they come from the hub."""


def installed_version() -> str:
    """The version of lm-eval. Raises RrrError if it is not installed."""
    try:
        if util.find_spec("lm_eval") is not None:
            return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        pass
    raise RrrError(f"--forgetting needs {DISTRIBUTION}, which is not installed: pip install 'rrr-core[eval]'.")


@dataclass
class LmEval:
    """lm-eval with one model in memory at a time."""

    settings: ForgettingSettings
    rows: Mapping[str, Rows]
    """Benchmark → its local rows; empty for the hub's."""
    _tasks: dict[str, Any] = field(default_factory=dict, init=False)
    """lm-eval's task objects, by name."""
    _loaded: tuple[ModelSettings, Any] | None = field(default=None, init=False)

    def subtasks(self, benchmark: Benchmark) -> list[Subtask]:
        """The parts of a benchmark, each loaded."""
        local = self.rows.get(benchmark.key)
        found = []
        for name in benchmark.subtasks if local is None else local:
            with _quiet():
                self._tasks[name] = task = self._task(benchmark, name, None if local is None else local[name])
                found.append(Subtask(name, len(task.eval_docs), str(task.VERSION)))
        return found

    def ask(self, model: ModelSettings, benchmark: Benchmark, subtask: str, numbers: Sequence[int]) -> list[Item]:
        """The items with these numbers, answered."""
        from lm_eval.evaluator import evaluate

        if list(numbers) != sorted(set(numbers)):
            raise ValueError("numbers of items must ascend")
        task, network = self._tasks[subtask], self._model(model)
        self._check_room(network, task)
        task.set_fewshot_seed(seed=self.settings.seed)
        with _quiet():
            found = evaluate(
                network,
                {"tasks": {subtask: task}},
                samples={subtask: list(numbers)},
                bootstrap_iters=0,
                log_samples=True,
                apply_chat_template=self.settings.chat,
                fewshot_as_multiturn=self.settings.chat,
                confirm_run_unsafe_code=False,
            )
        kept = [each for each in found["samples"][subtask] if each["filter"] == benchmark.filter]
        return [self._item(each, benchmark, task) for each in sorted(kept, key=lambda each: each["doc_id"])]

    def _item(self, sample: Mapping[str, Any], benchmark: Benchmark, task: Any) -> Item:
        wrote = task.OUTPUT_TYPE == "generate_until"
        return Item(
            number=sample["doc_id"],
            row=sample["doc_hash"],
            prompt=sample["prompt_hash"],
            right=float(sample[benchmark.metric]) == 1.0,
            answer=str(sample["resps"][0][0]) if wrote else None,
        )

    @cached_property
    def _manager(self) -> Any:
        import lm_eval.tasks

        # Of its thousands of files these few alone are read, in place of all.
        tasks = Path(lm_eval.tasks.__file__).parent
        homes = [tasks / benchmark.home for benchmark in BENCHMARKS.values()]
        return lm_eval.tasks.TaskManager(include_path=homes, include_defaults=False)

    def _task(self, benchmark: Benchmark, name: str, local: Mapping[str, Any] | None) -> Any:
        given: dict[str, Any] = {"task": name, "num_fewshot": benchmark.shots}
        if local is not None:
            given |= {"custom_dataset": lambda **_: _data_set(local), "dataset_kwargs": None}
            if benchmark.example_split is None:
                given["training_split"] = None  # lm-eval would look for examples there
        # By itself it would be a new task that has these fields alone; within a group they change lm-eval's own.
        group = {"group": "rrr", "task": [given]}
        try:
            (task,) = self._manager.load([group])["tasks"].values()
        except OSError as error:  # those of the hub are among them
            raise DataError(
                f"{benchmark.title} cannot be loaded from the hub ({one_line(error, 200)}): give its rows with"
                " --forgetting-data, or choose others with --forgetting-benchmarks."
            ) from error
        if self.settings.max_tokens is not None and task.OUTPUT_TYPE == "generate_until":
            task.set_config("generation_kwargs", {"max_gen_toks": self.settings.max_tokens}, update=True)
        return task

    def _model(self, settings: ModelSettings) -> Any:
        if self._loaded is not None and self._loaded[0] == settings:
            return self._loaded[1]
        self._loaded = None  # frees the memory of the other model first
        from lm_eval.models.huggingface import HFLM
        from torch import cuda

        from rrr_core.generation.hub import locate
        from rrr_core.generation.transformers_backend import base_of_adapter, is_adapter

        name, adapter = settings.named, settings.adapter
        if adapter is None and is_adapter(name):
            name, adapter = base_of_adapter(locate(name, marker="adapter_config.json")), name
        try:
            with _quiet():
                network = HFLM(
                    name,
                    backend="causal",
                    revision=settings.revision or "main",
                    device=settings.device or ("cuda" if cuda.is_available() else "cpu"),
                    dtype=settings.dtype,
                    batch_size=self.settings.batch_size,
                    peft=adapter,
                    trust_remote_code=False,
                )
        except (OSError, ValueError) as error:
            raise ModelError(f"{settings.named} cannot be loaded for --forgetting: {one_line(error, 300)}") from error
        if self.settings.chat and network.tokenizer.chat_template is None:
            raise ModelError(f"{settings.named} has no chat template: leave out --forgetting-chat.")
        self._loaded = (settings, network)
        return network

    def _check_room(self, network: Any, task: Any) -> None:
        asked = (task.config.generation_kwargs or {}).get("max_gen_toks", network.max_gen_toks)
        if task.OUTPUT_TYPE == "generate_until" and asked >= network.max_length:
            raise RrrError(
                f"{task.config.task} lets the model write {asked} tokens, and its context holds {network.max_length}:"
                " give fewer with --forgetting-max-tokens."
            )


def _data_set(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> Mapping[str, Any]:
    from datasets import Dataset

    # Not `load_dataset("json")`, which makes datetimes of texts that look like dates.
    return {split: Dataset.from_list([dict(row) for row in some]) for split, some in rows.items()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without lm-eval's advice to those who start it by hand, and without its bars where no one watches them."""
    logger = logging.getLogger("lm_eval")
    before = logger.level
    logger.setLevel(logging.ERROR)
    # What tasks of lm-eval print is about their rows: model text, which a terminal must not read.
    shown = nullcontext() if sys.stderr.isatty() else redirect_stderr(io.StringIO())
    try:
        with redirect_stdout(io.StringIO()), shown:
            yield
    finally:
        logger.setLevel(before)
