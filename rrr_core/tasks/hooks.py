"""A plugin's hooks, checked against the contract before any is called.

pluggy finds some of these mistakes too; here each is reported in one line that names distribution and version.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

import pluggy

from rrr_core import hookspecs
from rrr_core.errors import PluginError, RrrError, nearest
from rrr_core.tasks.blame import describe_exception, fix_or_report, function_location
from rrr_core.tasks.discovery import TaskEntry
from rrr_core.tasks.requests import write_request
from rrr_core.text import one_line

HOOKS: dict[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(value).parameters)
    for name, value in vars(hookspecs).items()
    if hasattr(value, f"{hookspecs.PROJECT}_spec")
}
"""Each hook of the contract → its arguments, in the contract's order."""

CONFIGURE = "rrr_configure"
DECIDE = ("rrr_verify", "rrr_judge", "rrr_combine")
"""The hooks that decide a verdict."""
MAY_BE_TRUSTED = ("rrr_verify", "rrr_reward", "rrr_step")
"""The hooks that see a model's text in the sandbox, unless they are marked."""
REQUIRED = ("rrr_load_dataset", "rrr_prompt", "rrr_verify")
"""The hooks every task plugin must implement; an overlay need not."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """An imported plugin with valid hooks."""

    entry: TaskEntry
    module: ModuleType
    hooks: tuple[str, ...]
    """The hooks it implements, in the contract's order."""

    @property
    def label(self) -> str:
        """Its name in a pluggy manager: two overlays of the same name differ in their options."""
        return f"{self.entry.kind} {self.called}"

    @property
    def called(self) -> str:
        """Its name with its options, as the user requested it."""
        return write_request(self.entry.name, dict(self.entry.options))

    @property
    def root(self) -> str:
        """Its top-level package."""
        return self.module.__name__.partition(".")[0]


def checked_plugin(entry: TaskEntry, module: ModuleType) -> Plugin:
    """The plugin in `module`. Raises PluginError at the first mistake in its hooks."""
    found = list(_implementations(entry, module))
    for hook, function in found:
        _check_arguments(entry, hook, function)
    answering = {hook for hook, function in found if not _is_wrapper(function)}
    missing = [hook for hook in REQUIRED if hook not in answering] if entry.kind == "task" else []
    if missing:
        raise PluginError(
            f"{entry.who}, hook {missing[0]}: {entry.value} does not implement it, and every task must: "
            f"add a function of that name marked @hookimpl."
        )
    implemented = {hook for hook, _ in found}
    if not implemented & set(HOOKS):
        raise PluginError(f"{entry.who}: {entry.value} implements no hook: mark its functions @hookimpl.")
    plugin = Plugin(entry, module, tuple(hook for hook in HOOKS if hook in implemented))
    with warnings.catch_warnings():
        # Deprecations are reported once, by the manager the task is made with.
        warnings.simplefilter("ignore", DeprecationWarning)
        make_manager([plugin])
    return plugin


def configured_plugin(plugin: Plugin) -> Plugin:
    """The plugin with the hooks that its `rrr_configure` gives for the requested options.

    Raises RrrError for options that it refuses, and PluginError if it is at fault.
    """
    entry, options = plugin.entry, dict(plugin.entry.options)
    configure = next((each for name, each in _implementations(entry, plugin.module) if name == CONFIGURE), None)
    if configure is None:
        if options:
            asked = write_request(entry.name, options)
            raise RrrError(f"--with {asked}: the overlay of {entry.who} takes no options: leave them out.")
        return plugin
    try:
        given = list(configure(options) if inspect.signature(configure).parameters else configure())
    except (KeyboardInterrupt, RrrError):
        raise
    except BaseException as error:
        described = describe_exception(error, plugin.root)
        raise PluginError(f"{entry.who}, hook {CONFIGURE}: {described}. {fix_or_report(entry.distribution)}") from error
    return checked_plugin(entry, _joined(plugin, given))


def _joined(plugin: Plugin, given: Sequence[object]) -> ModuleType:
    """A module with the plugin's own hooks and the given ones. Raises PluginError for a hook that is in both."""
    who = f"{plugin.entry.who}, hook {CONFIGURE}"
    joined = ModuleType(plugin.module.__name__)
    for hook, function in _implementations(plugin.entry, plugin.module):
        if hook != CONFIGURE:
            setattr(joined, function.__name__, function)
    for added in given:
        if not isinstance(added, FunctionType) or not hasattr(added, f"{hookspecs.PROJECT}_impl"):
            raise PluginError(f"{who}: gave {type(added).__name__}, not a function marked @hookimpl.")
        if hasattr(joined, added.__name__):
            raise PluginError(f"{who}: gave {added.__name__}, which is there already: remove one.")
        setattr(joined, added.__name__, added)
    return joined


def make_manager(plugins: list[Plugin]) -> pluggy.PluginManager:
    """A manager of these plugins only; the last is asked first. Raises PluginError if pluggy refuses one.

    A deprecated hook or argument is reported as a DeprecationWarning at the plugin's own line.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for plugin in plugins:
        try:
            manager.register(plugin.module, plugin.label)
            manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            raise PluginError(f"{plugin.entry.who}: {one_line(str(error))}: report it to its authors.") from None
    return manager


def rewarding(plugins: Sequence[Plugin]) -> list[Plugin]:
    """The plugins whose `rrr_reward` counts, of a task and the overlays on it.

    A reward from beneath an overlay that judges, and says nothing of rewards, would pay for what its own verifier
    thinks: the overlay's verdicts would not decide. So such an overlay hides those beneath.
    """
    decides = [
        place
        for place, plugin in enumerate(plugins)
        if any(hook in plugin.hooks for hook in DECIDE) and "rrr_reward" not in plugin.hooks
    ]
    return list(plugins[decides[-1] if decides else 0 :])


def _implementations(entry: TaskEntry, module: ModuleType) -> Iterator[tuple[str, FunctionType]]:
    """The hooks' names with the functions that implement them. Raises PluginError for one that is malformed."""
    for name, value in sorted(vars(module).items()):
        who = _hook_of(entry, name, value)
        options = inspect.getattr_static(value, f"{hookspecs.PROJECT}_impl", None)
        # A specification that the module imported, for its type say, implements nothing.
        if options is None and (name not in HOOKS or hasattr(value, f"{hookspecs.PROJECT}_spec")):
            continue
        if not isinstance(value, FunctionType):
            raise PluginError(f"{who}: it is of the type {type(value).__name__}, not a function: use def.")
        if options is None:
            raise PluginError(f"{who}: it is not marked: put @hookimpl above it.")
        if inspect.iscoroutinefunction(value) or inspect.isasyncgenfunction(value):
            raise PluginError(f"{who}: it is async, and hooks are called without an event loop: use a plain def.")
        hook = options.get("specname") or name
        if hook not in HOOKS and not options.get("optionalhook"):
            raise PluginError(f"{who}: there is no such hook.{nearest(hook, HOOKS)} `rrr docs hooks.md` lists them.")
        if options.get("tryfirst") or options.get("trylast"):
            raise PluginError(
                f"{who}: tryfirst and trylast are refused: the order of --with decides who is asked first."
            )
        if hook not in MAY_BE_TRUSTED and hasattr(value, hookspecs.TRUSTED):
            raise PluginError(
                f"{who}: only {_listed(MAY_BE_TRUSTED[:-1])} and {MAY_BE_TRUSTED[-1]} can be @trusted: remove the mark."
            )
        if hook == CONFIGURE and entry.kind == "task":
            raise PluginError(f"{who}: only an overlay can be configured: remove it, or offer it in rrr.overlays.")
        if hook in HOOKS:
            yield hook, value


def _check_arguments(entry: TaskEntry, hook: str, function: FunctionType) -> None:
    """Raise PluginError for an argument the core would never pass: it passes the contract's, by position."""
    who = _hook_of(entry, hook, function)
    known = HOOKS[hook]
    for name, parameter in inspect.signature(function).parameters.items():
        has_default = parameter.default is not parameter.empty
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise PluginError(f"{who}: *{name} is never filled: name the arguments it needs of {_listed(known)}.")
        if name not in known and not has_default:
            raise PluginError(
                f"{who}: there is no argument {name!r}.{nearest(name, known)} It may take any of {_listed(known)}."
            )
        if name in known and has_default:
            raise PluginError(f"{who}: {name!r} has a default, so pluggy would never pass it: remove the default.")
        if name in known and parameter.kind is parameter.KEYWORD_ONLY:
            raise PluginError(f"{who}: {name!r} is keyword-only, and arguments are passed by position: remove the *.")


def _hook_of(entry: TaskEntry, hook: str, value: object) -> str:
    """`rrr-x 1.0, hook rrr_verify at rrr_x/verify.py:12`; without the place if it is not a function of the package."""
    root = entry.value.partition(".")[0]
    place = function_location(value, root) if isinstance(value, FunctionType) else ""
    return f"{entry.who}, hook {hook}" + (f" at {place}" if place else "")


def _is_wrapper(function: Any) -> bool:
    options = getattr(function, f"{hookspecs.PROJECT}_impl")
    return bool(options.get("wrapper") or options.get("hookwrapper"))


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)
