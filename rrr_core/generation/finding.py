"""Finding an engine by name, among the core's and those of other distributions.

Only the requested one is imported, and a broken one does not affect the others.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, fields
from typing import Any

from rrr_core.errors import ModelError, PluginError, RrrError, nearest
from rrr_core.generation.engine import Engine, TokenEngine
from rrr_core.generation.engine_spec import POLICY, EngineSpec
from rrr_core.generation.engines import AUTO, CORE_ENGINES, CoreEngine
from rrr_core.generation.entries import CORE, find_engines
from rrr_core.generation.settings import ModelSettings
from rrr_core.tasks.blame import describe_exception, fix_or_report
from rrr_core.tasks.discovery import TaskEntry
from rrr_core.tasks.loading import import_module


@dataclass(frozen=True, slots=True)
class FoundEngine:
    """An engine that can be opened."""

    entry: TaskEntry
    spec: EngineSpec

    @property
    def is_policy(self) -> bool:
        """Whether the engine is the policy itself."""
        return self.spec.beside == POLICY

    def check(self, settings: ModelSettings) -> None:
        """Raise ModelError for a setting that the engine does not take, or a missing one that it needs."""
        name = self.entry.name
        ignored = self.spec.ignores if isinstance(self.spec, CoreEngine) else ()
        for field in fields(settings):
            if field.name in ("model", "backend", *self.spec.takes, *ignored):
                continue
            if (value := getattr(settings, field.name)) and value != field.default:
                others = [f"--backend {other}" for other, spec in CORE_ENGINES.items() if field.name in spec.takes]
                instead = f", or use {' or '.join(others)}" if others else ""
                raise ModelError(
                    f"{field.name} cannot be set for the {name} backend ({self.entry.who}): leave it out{instead}."
                )
        for needed in ("model", *self.spec.needs):
            if not getattr(settings, needed):
                raise ModelError(f"The {name} backend needs {needed}: give --{needed.replace('_', '-')}.")

    def check_beside(self, settings: ModelSettings) -> None:
        """Raise ModelError for an engine that cannot be trained with, or settings as in `check`."""
        if self.spec.beside is None:
            able = " or ".join(name for name, spec in CORE_ENGINES.items() if spec.beside is not None)
            raise ModelError(
                f"A model of the {self.entry.name} backend cannot be trained, since training needs its weights: name"
                f" them with --model, and use --backend {able}."
            )
        self.check(settings)

    def open(self, settings: ModelSettings) -> Engine:
        """The engine, its model loaded. Raises ModelError, or PluginError for a broken engine."""
        self.check(settings)
        return self._opened(self.spec.open, settings)

    def open_beside(self, policy: TokenEngine, settings: ModelSettings) -> TokenEngine:
        """The engine that writes the policy's rollouts, which may be the policy. Raises as `open`."""
        self.check_beside(settings)
        if self.spec.beside is None or self.is_policy:
            return policy
        engine = self._opened(self.spec.beside, policy, settings)
        if not isinstance(engine, TokenEngine):
            raise self._wrong(self.spec.beside, engine, TokenEngine)
        return engine

    def _opened(self, opener: str, *arguments: Any) -> Engine:
        module, _, name = opener.partition(":")
        if isinstance(self.spec, CoreEngine):
            function = getattr(_import_ours(self.entry.name, module, self.spec.extra), name)
            ours: Engine = function(*arguments)
            return ours
        function = getattr(import_module(self.entry, module), name, None)
        if not callable(function):
            raise PluginError(
                f"{self.entry.who}: there is no function {opener}. {fix_or_report(self.entry.distribution)}"
            )
        try:
            made = function(*arguments)
        except RrrError:
            raise
        except Exception as error:
            described = describe_exception(error, module.partition(".")[0])
            raise PluginError(
                f"{self.entry.who}: {opener} failed: {described}. {fix_or_report(self.entry.distribution)}"
            ) from error
        if not isinstance(made, Engine):
            raise self._wrong(opener, made, Engine)
        return made

    def _wrong(self, opener: str, made: object, wanted: type[object]) -> PluginError:
        return PluginError(
            f"{self.entry.who}: {opener} gave {type(made).__name__}, which is no {wanted.__name__}."
            f" {fix_or_report(self.entry.distribution)}"
        )


def find_engine(name: str) -> FoundEngine:
    """The engine of that name.

    Raises ModelError for an unknown name, and PluginError for one claimed twice, made for another core, or broken.
    """
    entries = find_engines()
    for entry in entries:
        if entry.name == name:
            return load_engine(entry)
    known = [entry.name for entry in entries if entry.value]
    unreadable = "".join(f" {entry.error}" for entry in entries if not entry.value)
    raise ModelError(
        f"No engine {name!r} is installed.{nearest(name, [AUTO, *known])} Installed: {', '.join(known)}.{unreadable}"
    )


def load_engine(entry: TaskEntry) -> FoundEngine:
    """Import what an entry points to, and check it. Raises PluginError naming distribution, version and reason."""
    if entry.error:
        raise PluginError(entry.error)
    if entry.distribution == CORE and entry.name in CORE_ENGINES:
        return FoundEngine(entry, CORE_ENGINES[entry.name])
    module, _, name = entry.value.partition(":")
    spec = getattr(import_module(entry, module), name, None) if name.isidentifier() else None
    if not isinstance(spec, EngineSpec):
        what = "is none" if spec is None else f"is {type(spec).__name__}"
        raise PluginError(
            f"{entry.who}: the value of its entry point, {entry.value!r}, {what}: it has to be `module:NAME` of an"
            f" EngineSpec (`rrr docs engines.md#bring-an-engine`)."
        )
    _check_spec(entry, spec)
    return FoundEngine(entry, spec)


def _check_spec(entry: TaskEntry, spec: EngineSpec) -> None:
    known = [field.name for field in fields(ModelSettings) if field.name not in ("model", "backend")]
    for name in (*spec.takes, *spec.needs):
        if name not in known:
            raise PluginError(
                f"{entry.who}: its engine {entry.name!r} takes {name!r}, which is no field of ModelSettings."
                f"{nearest(name, known)} {fix_or_report(entry.distribution)}"
            )
    if missing := [name for name in spec.needs if name not in spec.takes]:
        raise PluginError(
            f"{entry.who}: its engine {entry.name!r} needs {missing[0]!r}, and does not take it."
            f" {fix_or_report(entry.distribution)}"
        )


def _import_ours(name: str, module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModelError(
            f"The {name} backend needs the package {error.name!r}: pip install 'rrr-core[{extra}]'."
        ) from error
