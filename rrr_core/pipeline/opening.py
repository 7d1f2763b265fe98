"""Opens what a command works with: the task, and the engine for its model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rrr_core.config.limits import STEPS
from rrr_core.errors import ModelError, PluginError, RrrError
from rrr_core.generation import ModelSettings, chosen_backend
from rrr_core.generation.finding import find_engine
from rrr_core.generation.gguf_models import with_gguf_converted
from rrr_core.mining import MineSettings
from rrr_core.progress import Progress
from rrr_core.runs.digests import Digests
from rrr_core.runs.files import read_json
from rrr_core.runs.layout import RunFolder, TrainFolder, converted_models
from rrr_core.tasks import Task, load_task
from rrr_core.tasks.presets import checked_presets
from rrr_core.tasks.settings import TaskSettings
from rrr_core.tasks.task import SPLITS
from rrr_core.text import counted

if TYPE_CHECKING:
    from rrr_core.evaluation import EvalSettings
    from rrr_core.generation.engine import Engine
    from rrr_core.training.settings import TrainSettings


def open_task(settings: TaskSettings) -> Task:
    """The task named in the settings. Raises PluginError, or RrrError if none is named."""
    if not settings.name:
        raise RrrError("no task was named: give its name, or set name in section [task] of the file; see `rrr tasks`.")
    return load_task(settings.name, settings.with_)


Limited = TypeVar("Limited", MineSettings, "EvalSettings", "TrainSettings")
"""Settings with a step limit."""


@dataclass(frozen=True)
class OpenTask:
    """A task, and how its rows are loaded."""

    task: Task
    data: Mapping[str, str]
    is_beside_steps: bool = False
    """Whether it answers at once, and another of the tasks acts in steps."""

    @property
    def name(self) -> str:
        return self.task.name

    def fitting(self, settings: Limited) -> Limited:
        """The settings for this task: a step limit is for those that act."""
        return dataclasses.replace(settings, max_steps=STEPS) if self.is_beside_steps else settings


def open_tasks(settings: TaskSettings, splits: Sequence[str] = SPLITS) -> list[OpenTask]:
    """The tasks named in the settings; with several, each split's first row is loaded to check their data options.

    Raises PluginError, RrrError if none is named or one twice, and DataError for data options that do not fit.
    """
    opened = [OpenTask(open_task(each), each.data) for each in settings.split()]
    if any(each.task.has_steps for each in opened):
        opened = [dataclasses.replace(each, is_beside_steps=not each.task.has_steps) for each in opened]
    if len(opened) > 1:
        for each in opened:
            for split in splits:
                next(iter(each.task.load_dataset(split, each.data)), None)
    return opened


def choose_model(
    settings: ModelSettings, *tasks: Task, run: Path | None = None, progress: Progress | None = None
) -> ModelSettings:
    """The settings, with the tasks' own model if the user named none, and a GGUF model as its converted folder.

    That is beside the folder of the `run`. Raises ModelError if there is no model, if several tasks do not share one,
    or for one that cannot be converted, and DataError for one that training wrote and that was changed since.
    """
    if settings.model:
        for path in filter(None, (settings.model, settings.adapter)):
            check_saved(Path(path))
        return with_gguf_converted(settings, converted_models(run), (progress or Progress()).say)
    models = {task.name: task.default_model() for task in tasks}
    for name, model in models.items():
        if not model:
            raise ModelError(f"task {name!r} has no model of its own: name one with --model.")
    if len(set(models.values())) > 1:
        raise ModelError(
            f"the tasks {', '.join(map(repr, models))} have models of their own, which differ: name one for all with"
            " --model."
        )
    return dataclasses.replace(settings, model=next(iter(models.values())))


def own_model_note(tasks: Sequence[Task], steps: int) -> str:
    """What to say before the tasks' own model, which nobody named, is trained for so many steps; empty for a demo."""
    from rrr_core.training.settings import TrainSettings

    names = " and ".join(repr(task.name) for task in tasks)
    demo: Mapping[str, Mapping[str, Any]] = {}
    if len(tasks) == 1:
        with suppress(PluginError):  # `rrr demo` raises it.
            demo = checked_presets(tasks[0], "demo")
    if not demo:
        return f"No --model was given: the model that comes with {names} is trained; --model names another."
    if steps <= demo.get("train", {}).get("steps", TrainSettings.steps):
        return ""
    return (
        f"No --model was given: the small model that comes with {names} is trained, for {counted(steps, 'step')}."
        f" `rrr demo {tasks[0].name}` is the short run made for it; --model names another."
    )


def with_date(settings: ModelSettings, run: Path) -> ModelSettings:
    """The settings, with the date on which a run folder's first stage began, if their chat template writes one.

    A run that takes more than a day thus keeps its prompts. Raises DataError for an unreadable manifest.
    """
    if settings.template_date is not None:
        return settings
    for manifest in RunFolder(run).manifests().values():
        content = read_json(manifest)
        identity = content.get("identity") if isinstance(content, dict) else None
        model = identity.get("model") if isinstance(identity, dict) else None
        if isinstance(model, dict) and isinstance(day := model.get("template_date"), str):
            return dataclasses.replace(settings, template_date=day)
    return settings


def check_saved(model: Path) -> None:
    """Raise DataError for a model that training wrote and something has changed since; other models are not checked."""
    if model == TrainFolder(model.parent).model and model.is_dir():
        again = "delete the model's folder, and run the command that trained it again: it saves the model again."
        Digests(model.parent).check_inside(model, again)


def check_trainable(settings: ModelSettings, *, adapts: bool = False) -> None:
    """Raise ModelError for an engine that cannot be used in training, or for settings that do not fit it.

    `adapts` says that training produces an adapter, which the engine must be able to evaluate.
    """
    engine = find_engine(chosen_backend(settings))
    engine.check_beside(settings)
    if adapts and "adapter" not in engine.spec.takes:
        raise ModelError(
            f"The {engine.entry.name} backend ({engine.entry.who}) takes no adapter, but LoRA training produces one:"
            " drop --lora-rank."
        )


def refuse_server(settings: ModelSettings) -> None:
    """Raise ModelError for a model behind a server: its weights stay the same, and a run has to change them."""
    if settings.base_url:
        raise ModelError(
            "a model behind a server cannot be trained: name its weights with --model, without --base-url."
        )


def open_engine(settings: ModelSettings, progress: Progress) -> Engine:
    """The engine named in the settings. Announces the load, since torch and a large model take a while."""
    from rrr_core.generation import make_engine

    progress.say(f"Loading {settings.model}")
    engine = make_engine(settings)
    if engine.notice:
        progress.notice(engine.notice)
    return engine


def trained_model(settings: ModelSettings, folder: Path) -> ModelSettings:
    """The model that training saved in `folder`: full weights, or an adapter for the model it started from."""
    model = TrainFolder(folder).model
    check_saved(model)
    if (model / "adapter_config.json").exists():
        return dataclasses.replace(settings, adapter=str(model))
    return dataclasses.replace(settings, model=str(model), revision=None)
