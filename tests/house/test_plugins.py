"""Our plugins are built as anybody's are: on the core's public names, and without circular imports."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.house.test_rooms import circles

ROOT = Path(__file__).parents[2]
PLUGINS = sorted(path.parent for path in (ROOT / "plugins").glob("*/src"))
PUBLIC = {
    *re.findall(r"`(rrr_core(?:\.[a-z]\w*)*)", (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")),
    "rrr_core.hookspecs",
}
"""Modules that a plugin may import: those of docs/compatibility.md, and the one that defines the hooks."""

Import = tuple[str, str]
"""A module, and the name imported from it, or no name for the module itself."""


def imports_in(source: str, module: str = "", *, is_package: bool = False) -> Iterator[Import]:
    """What a module imports, also inside functions, with relative imports made absolute."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level + is_package or None] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((origin, alias.name) for alias in node.names)


def is_public(module: str, name: str) -> bool:
    """Whether a plugin may import this. Everything outside the core is allowed."""
    if module.partition(".")[0] != "rrr_core" or f"{module}.{name}" in PUBLIC:
        return True
    return module in PUBLIC and (not name or name in public_names(module))


def public_names(module: str) -> set[str]:
    """What a public module offers: its `__all__`, or without one its names without underscore, except modules."""
    loaded = importlib.import_module(module)
    if hasattr(loaded, "__all__"):
        return set(loaded.__all__)
    modules = {name for name, value in vars(loaded).items() if isinstance(value, ModuleType)}
    return {name for name in vars(loaded) if not name.startswith("_")} - modules


def modules_of(plugin: Path) -> dict[str, Path]:
    """The modules in a plugin's sources."""
    source = plugin / "src"
    paths = sorted(source.rglob("*.py"))
    return {".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def graph_of(sources: dict[str, str], packages: set[str]) -> dict[str, list[str]]:
    """Which of the modules each one imports, from their sources."""
    graph = {}
    for module, source in sources.items():
        found = imports_in(source, module, is_package=module in packages)
        inner = (f"{origin}.{name}" if f"{origin}.{name}" in sources else origin for origin, name in found)
        graph[module] = sorted({name for name in inner if name in sources} - {module})
    return graph


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_a_plugin_imports_only_public_names_of_the_core(plugin: Path) -> None:
    internal = [
        f"{module} imports {name} of {origin}"
        for module, path in modules_of(plugin).items()
        for origin, name in imports_in(path.read_text(encoding="utf-8"))
        if not is_public(origin, name)
    ]
    assert internal == []


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_a_plugins_modules_do_not_import_each_other(plugin: Path) -> None:
    modules = modules_of(plugin)
    sources = {module: path.read_text(encoding="utf-8") for module, path in modules.items()}
    packages = {module for module, path in modules.items() if path.name == "__init__.py"}
    assert circles(graph_of(sources, packages)) == []


@pytest.mark.parametrize(
    "line",
    [
        "import rrr_core.row_files.reading",
        "from rrr_core import tasks",
        "from rrr_core.row_files import row_json",
        "from rrr_core.row_files.row_json import decode",
        "from rrr_core.verdicts import Verdict",
        "from rrr_core.errors import difflib",
        "def hook():\n    from rrr_core.training.trainer import ReflectionTrainer",
    ],
)
def test_an_internal_import_is_found(line: str) -> None:
    assert [each for each in imports_in(line) if not is_public(*each)]


@pytest.mark.parametrize(
    "line",
    [
        "import rrr_core",
        "from rrr_core import Verdict, errors, failed, row_files",
        "from rrr_core.errors import DataError, nearest",
        "from rrr_core.hookspecs import hookimpl",
        "from rrr_core.row_files import DataOptions, decode_json",
        "from rrr_core.testing import parametrize_checks",
        "import rrr_core_of_another_name.tasks",
    ],
)
def test_a_public_import_is_allowed(line: str) -> None:
    assert [each for each in imports_in(line) if not is_public(*each)] == []


def test_circles_through_functions_and_relative_imports_are_found() -> None:
    sources = {
        "task": "from task import rows",
        "task.rows": "from . import options",
        "task.options": "def known():\n    from task.made import shapes",
        "task.made": "from ..made.shapes import SHAPES",
        "task.made.shapes": "from ..rows import load",
    }
    graph = graph_of(sources, {"task", "task.made"})
    assert graph["task.made"] == ["task.made.shapes"]
    assert circles(graph) == [["task.made.shapes", "task.options", "task.rows"]]
