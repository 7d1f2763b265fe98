"""Our plugins live by everyone's rules: only the core's public names, and no import cycles."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.house.test_rooms import circles

ROOT = Path(__file__).parents[2]
PLUGINS = sorted(path.parent for path in (ROOT / "plugins").glob("*/src"))
PUBLIC = set(
    re.findall(r"`(rrr_core(?:\.\w+)*)`", (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8"))
) | {"rrr_core.hookspecs", "rrr_core.verdicts"}
"""Modules that a plugin may import: those of docs/compatibility.md, and the ones that define hooks and verdicts."""


def imported(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_a_plugin_imports_only_public_modules_of_the_core(plugin: Path) -> None:
    internal = [
        f"{path.name}: {name}"
        for path in sorted(plugin.glob("src/**/*.py"))
        for name in imported(path)
        if name.startswith("rrr_core.") and name.rpartition(".")[0] not in PUBLIC and name not in PUBLIC
    ]
    assert internal == []


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_a_plugins_modules_do_not_import_each_other(plugin: Path) -> None:
    source = plugin / "src"
    modules = {
        ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__"): path
        for path in source.glob("**/*.py")
    }
    graph = {
        module: sorted(
            {name if name in modules else name.rpartition(".")[0] for name in imported(path)} & set(modules) - {module}
        )
        for module, path in modules.items()
    }
    # A package is named by imports from its own modules; that does not make it a dependency.
    packages = {module for module, path in modules.items() if path.name == "__init__.py"}
    needed = {module: [other for other in others if other not in packages] for module, others in graph.items()}
    assert circles(needed) == []
