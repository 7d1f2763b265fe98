"""The boundary between the core and plugin code: hooks are called here, what they give is checked, faults are blamed.

A fault in a hook that decides about an answer becomes an abstention, a fault in any other hook a PluginError; each
names the distribution, its version, the hook, and the file and line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NoReturn, TypeVar

from rrr_core.errors import PluginError, RrrError
from rrr_core.tasks import values
from rrr_core.tasks.blame import denied_call, denied_import, describe_exception, fix_or_report, frames
from rrr_core.tasks.hooks import Plugin, make_manager, rewarding
from rrr_core.verdicts import Verdict, abstained

Value = TypeVar("Value")


class Boundary:
    """Plugins that answer for one task: the first of them to return something other than None answers a hook."""

    def __init__(self, plugin: Plugin, overlays: Sequence[Plugin] = ()) -> None:
        """The last overlay is asked first, the plugin last."""
        self.name = plugin.entry.name
        self.distribution = plugin.entry.distribution
        self.version = plugin.entry.version
        self._plugins = {each.label: each for each in (plugin, *overlays)}
        self._manager = make_manager(list(self._plugins.values()))
        counting, every = rewarding([plugin, *overlays]), len(self._plugins)
        self._reward = (self._manager if len(counting) == every else make_manager(counting)).hook.rrr_reward
        self.is_sandboxed = False
        """Whether this process has locked itself in, so that an import may be denied; a worker says so."""

    def who(self, hook: str, guilty: Plugin | None = None) -> str:
        """`rrr-x 1.0, hook rrr_verify`, naming all that implement the hook if the guilty one is unknown."""
        suspects = [guilty] if guilty else [self._plugins[each.plugin_name] for each in self._callers(hook)]
        names = [each.entry.who for each in suspects] or [f"{self.distribution} {self.version}"]
        return f"{' with overlay '.join(names)}, hook {hook}"

    def implements(self, hook: str) -> bool:
        """Whether the plugin or an overlay implements a hook."""
        return any(hook in plugin.hooks for plugin in self._plugins.values())

    def _given(
        self, hook: str, call: Callable[[], object], check: Callable[[object], Value], kind: str
    ) -> Value | Verdict:
        """What a hook that decides about an answer gives, checked; an abstention if it is at fault."""
        try:
            given = call()
        except BaseException as error:  # noqa: BLE001 - `_withheld` decides
            return self._withheld(hook, error)
        try:
            return check(given)
        except ValueError as error:
            return abstained(kind, f"{self.who(hook)}: {error}")

    def _withheld(self, hook: str, error: BaseException) -> Verdict:
        """The abstention for a verifier's fault: no verifier may end or sway a run. The user's Ctrl-C may."""
        if isinstance(error, KeyboardInterrupt):
            raise error
        kinds = {MemoryError: "memory", TimeoutError: "timeout", SystemExit: "exit"}
        kind = next((kind for sort, kind in kinds.items() if isinstance(error, sort)), "exception")
        denied = (denied_import(error) or denied_call(error)) if self.is_sandboxed else ""
        return abstained(kind, self._fault(hook, error) + (f" ({denied})" if denied else ""))

    def _call(self, hook: str, **arguments: Any) -> Any:
        """What a hook returns, unchecked; None if nobody implements it or all leave it to the core."""
        if "row" in arguments:
            arguments["row"] = values.private_row(arguments["row"])
        try:
            return getattr(self._manager.hook, hook)(task=self.name, **arguments)
        except BaseException as error:  # noqa: BLE001 - `_reraise` decides
            self._reraise(hook, error)

    def _directly(self, hook: str, names: Sequence[str]) -> Callable[..., object]:
        """A hook as a function of the named arguments, in their order; `task` is given, too.

        Where one plugin implements it, that is called without pluggy, whose detour takes as long as a quick verdict.
        """
        callers = self._callers(hook)
        if len(callers) != 1 or callers[0].wrapper or callers[0].hookwrapper:
            through: Callable[..., object] = getattr(self._manager.hook, hook)
            return lambda *values: through(task=self.name, **dict(zip(names, values, strict=True)))
        function: Callable[..., object] = callers[0].function
        wanted = tuple(callers[0].argnames)
        if wanted == tuple(names):
            return function

        def chosen(*values: object) -> object:
            given = {"task": self.name, **dict(zip(names, values, strict=True))}
            return function(*[given[name] for name in wanted])

        return chosen

    def _checked(self, hook: str, check: Callable[[object], Value], given: object, item: str = "") -> Value:
        """A hook's value, checked; `item` says which of many it is."""
        try:
            return check(given)
        except ValueError as error:
            raise PluginError(f"{self.who(hook)}: {item}{error}.") from None
        except BaseException as error:  # noqa: BLE001 - `_reraise` decides
            self._reraise(hook, error)

    def _items(self, hook: str, check: Callable[[object], Value], noun: str, **arguments: Any) -> Iterator[Value]:
        """The checked items of a hook that gives many. The hook is called at once; its items are consumed lazily."""
        asked = f"for the split {arguments['split']!r} " if "split" in arguments else ""
        given = self._checked(hook, partial(values.checked_series, noun=noun), self._call(hook, **arguments), asked)

        def checked() -> Iterator[Value]:
            index = 0
            try:
                for index, item in enumerate(given):
                    yield self._checked(hook, check, item, f"{noun} {index} ")
                    index += 1
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001 - `_reraise` decides
                self._reraise(hook, error, f"{noun} {index}: ")

        return checked()

    def _reraise(self, hook: str, error: BaseException, item: str = "") -> NoReturn:
        """Raise the core's error for a plugin's error."""
        if isinstance(error, (KeyboardInterrupt, RrrError)):
            raise error
        raise PluginError(f"{self._fault(hook, error, item)}. {fix_or_report('the plugin')}") from error

    def _fault(self, hook: str, error: BaseException, item: str = "") -> str:
        """`rrr-x 1.0, hook rrr_verify: KeyError at rrr_x/verify.py:12: 'target'`."""
        guilty = self._guilty(hook, error)
        # If several may be at fault, a reader looks in the task's own package first.
        root = (guilty or next(iter(self._plugins.values()))).root
        return f"{self.who(hook, guilty)}: {item}{describe_exception(error, root)}"

    def _guilty(self, hook: str, error: BaseException) -> Plugin | None:
        """The plugin whose implementation is innermost in the traceback, or the only implementation."""
        callers = self._callers(hook)
        owners = {getattr(each.function, "__code__", None): self._plugins[each.plugin_name] for each in callers}
        inside = [owners[frame.f_code] for frame, _ in frames(error) if frame.f_code in owners]
        if inside:
            return inside[-1]
        return self._plugins[callers[0].plugin_name] if len(callers) == 1 else None

    def _callers(self, hook: str) -> list[Any]:
        """pluggy's records of a hook's implementations that count, in order of registration."""
        caller = self._reward if hook == "rrr_reward" else getattr(self._manager.hook, hook)
        return list(caller.get_hookimpls())
