"""Opens what a command works with: the task, and the engine for its model."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from rrr_core.errors import ModelError, RrrError
from rrr_core.generation import ModelSettings, chosen_backend
from rrr_core.generation.finding import find_engine
from rrr_core.progress import Progress
from rrr_core.runs.digests import Digests
from rrr_core.runs.files import read_json
from rrr_core.runs.layout import RunFolder, TrainFolder
from rrr_core.tasks import Task, load_task
from rrr_core.tasks.settings import TaskSettings

if TYPE_CHECKING:
    from rrr_core.generation.engine import Engine


def open_task(settings: TaskSettings) -> Task:
    """The task named in the settings. Raises PluginError, or RrrError if none is named."""
    if not settings.name:
        raise RrrError("no task was named: give its name, or set name in section [task] of the file; see `rrr tasks`.")
    return load_task(settings.name, settings.with_)


def choose_model(settings: ModelSettings, task: Task) -> ModelSettings:
    """The settings, with the task's own model if the user named none.

    Raises ModelError if there is neither, and DataError for one that training wrote and that was changed since.
    """
    if settings.model:
        for path in filter(None, (settings.model, settings.adapter)):
            check_saved(Path(path))
        return settings
    model = task.default_model()
    if not model:
        raise ModelError(f"task {task.name!r} has no model of its own: name one with --model.")
    return dataclasses.replace(settings, model=model)


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
        progress.say(engine.notice)
    return engine


def trained_model(settings: ModelSettings, folder: Path) -> ModelSettings:
    """The model that training saved in `folder`: full weights, or an adapter for the model it started from."""
    model = TrainFolder(folder).model
    check_saved(model)
    if (model / "adapter_config.json").exists():
        return dataclasses.replace(settings, adapter=str(model))
    return dataclasses.replace(settings, model=str(model), revision=None)
