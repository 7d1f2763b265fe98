"""sympy's rational numbers without the rest of sympy, whose import takes a third of a second.

`sympy.external.pythonmpq` is sympy's own arithmetic of rationals. The file imports nothing of sympy, so it is executed
alone, from where sympy is installed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any

MODULE = "sympy.external.pythonmpq"
MOST_KEPT = 1024


@functools.cache
def rational() -> Callable[[int], Any]:
    """What makes an integer one of sympy's rational numbers; the same object for the same integer, as they are many."""
    return functools.lru_cache(MOST_KEPT)(_alone() or _whole())


def _alone() -> Callable[[int], Any] | None:
    """The class of the module alone, or None for a sympy that has it elsewhere."""
    package = find_spec("sympy")
    folders = package.submodule_search_locations if package is not None else None
    spec = PathFinder.find_spec(MODULE, [str(Path(folder, "external")) for folder in folders or ()])
    if spec is None or spec.loader is None:
        return None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, "PythonMPQ", None)


def _whole() -> Callable[[int], Any]:
    """Raises ModuleNotFoundError without sympy."""
    import sympy

    made: Callable[[int], Any] = sympy.Integer
    return made
