"""Where a reward function comes from: an installed distribution, which the package depends on, or one file to copy."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

from rrr_core.errors import RrrError, nearest
from rrr_core.rewards import Shape, shape_of
from rrr_core.tasks.blame import describe_exception

SLOW = 0.15
"""Seconds of an import that a task's module leaves to the first verdict: `rrr tasks` has 0.3 for all of them."""
MEASURED_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class RewardSource:
    """A reward function, and what a package needs to have it."""

    target: str
    """As the user named it, `module:function`."""
    function: Callable[..., Any]
    shape: Shape
    copied: Path | None
    """The file to copy into the package; None if the function comes from a distribution."""
    requires: tuple[str, ...]
    """What the package depends on, such as `math-verify>=0.8`."""
    is_slow: bool
    """Whether the module's import is left to the first verdict."""

    @property
    def module(self) -> str:
        return self.target.partition(":")[0]

    @property
    def name(self) -> str:
        return self.target.partition(":")[2]


def read_source(target: str, shape: str = "") -> RewardSource:
    """The function called `module:function`, looked for in the current folder first.

    Raises RrrError for one that is not there, that no verdict can call, or that a package cannot have.
    """
    module_name, _, name = target.partition(":")
    path = Path(module_name)
    if path.suffix == ".py" and path.stem.isidentifier() and name.isidentifier():
        raise RrrError(
            f"--from-reward {target}: write {path.stem}:{name}, the module's name, in the folder of {path.name}."
        )
    if not name.isidentifier() or not all(part.isidentifier() for part in module_name.split(".")):
        raise RrrError(f"--from-reward {target}: write module:function, such as rewards:accuracy.")
    module = _imported(target, module_name)
    function = getattr(module, name, None)
    if not callable(function):
        known = [each for each, value in vars(module).items() if callable(value) and not each.startswith("_")]
        raise RrrError(f"--from-reward {target}: {module_name} has no function {name!r}.{nearest(name, known)}")
    try:
        kind = shape_of(function, shape)
    except ValueError as error:
        raise RrrError(f"--from-reward {target}: {error}{'' if shape else ', with --shape'}.") from None
    file = Path(module.__file__ or "")
    distribution = distribution_of(module_name, file)
    copied = None
    if distribution is None:
        copied = _loose(target, module_name, file)
    requires = (distribution,) if distribution is not None else tuple(_requirements(target, file))
    return RewardSource(target, function, kind, copied, requires, _is_slow(module_name))


def _imported(target: str, name: str) -> ModuleType:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except (KeyboardInterrupt, RrrError):
        raise
    except BaseException as error:
        root = name.partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and error.name == root:
            raise RrrError(
                f"--from-reward {target}: there is no module {root!r}: install it, or run this in the folder of "
                f"{root}.py."
            ) from None
        raise RrrError(
            f"--from-reward {target}: {name} cannot be imported: {describe_exception(error, root)}."
        ) from error


def distribution_of(module: str, file: Path) -> str | None:
    """The distribution that a module's file was installed from, as a requirement; None for a loose file."""
    if any(part in ("site-packages", "dist-packages") for part in file.parts):
        for name in metadata.packages_distributions().get(module.partition(".")[0], []):
            return _at_least(metadata.distribution(name))
    for each in metadata.distributions():
        folder = _editable_folder(each)
        if folder is not None and file.resolve().is_relative_to(folder) and _is_found_elsewhere(module):
            return _at_least(each)
    return None


def _at_least(distribution: metadata.Distribution) -> str:
    return f"{distribution.metadata['Name']}>={distribution.version}"


def _is_found_elsewhere(module: str) -> bool:
    """Whether a module is found from another folder than this one: a script beside a package is no part of it."""
    code = "import sys, importlib.util; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
    top = module.partition(".")[0]
    done = subprocess.run([sys.executable, "-P", "-c", code, top], cwd="/", capture_output=True, check=False)
    return done.returncode == 0


def _editable_folder(distribution: metadata.Distribution) -> Path | None:
    """The folder of a distribution that was installed with `pip install -e`."""
    text = distribution.read_text("direct_url.json")
    origin = json.loads(text) if text else {}
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlsplit(origin["url"]).path)).resolve()


def _loose(target: str, module: str, file: Path) -> Path:
    if "." in module or file.suffix != ".py" or file.name == "__init__.py":
        raise RrrError(
            f"--from-reward {target}: {module} is part of a package that no installed distribution has: install it "
            "(pip install -e), or put the function into one file."
        )
    return file


def _requirements(target: str, file: Path) -> Iterator[str]:
    """The distributions whose modules a loose file imports. Raises RrrError if it imports another loose file."""
    found = set()
    for name in _imports(file):
        spec = find_spec(name) if name not in sys.stdlib_module_names and name != "rrr_core" else None
        if spec is None:  # A part of Python, or one that is imported where it is there.
            continue
        origin = Path(spec.origin or next(iter(spec.submodule_search_locations or ()), ""))
        distribution = distribution_of(name, origin)
        if distribution is None:
            raise RrrError(
                f"--from-reward {target}: {file.name} imports {name}, which no installed distribution has: put both "
                "into one file, or install them (pip install -e)."
            )
        found.add(distribution)
    yield from sorted(found)


def _imports(file: Path) -> list[str]:
    """The top-level modules that a file imports, within functions too."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return sorted(names)


def _is_slow(module: str) -> bool:
    """Whether importing a module takes longer than a task's module may, in a process that has not imported it."""
    code = "import sys, time; began = time.process_time(); __import__(sys.argv[1]); print(time.process_time() - began)"
    done = subprocess.run(
        [sys.executable, "-c", code, module],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=MEASURED_SECONDS,
        check=False,
    )
    # The last line: the module may print, too. One that a new process cannot import is left to the verdict.
    return done.returncode != 0 or float(done.stdout.split()[-1]) > SLOW
