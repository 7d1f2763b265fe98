"""The package itself: its README is true, and it uses only the parts of the core that overlays may build on."""

from __future__ import annotations

import ast
import dataclasses
import re
from pathlib import Path

import pytest
import rrr_person_judge
from rrr_person_judge.options import PersonOptions

import rrr_core
from rrr_core import errors, overlays

PROMISED = {"rrr_core": rrr_core.__all__, "rrr_core.errors": dir(errors), "rrr_core.overlays": overlays.__all__}
MODULES = sorted(Path(rrr_person_judge.__file__).parent.glob("*.py"))
README = Path(__file__).parents[1] / "README.md"


def default(value: object) -> str:
    return "–" if value is None else "no" if value is False else str(value)


def test_the_readmes_table_lists_the_options_with_default_and_help() -> None:
    fields = dataclasses.fields(PersonOptions)
    rows = [f"| `{each.name}` | {default(each.default)} | {each.metadata['help']} |" for each in fields]
    assert re.findall(r"^\| `.*$", README.read_text(encoding="utf-8"), re.MULTILINE) == rows


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.stem))
def test_a_module_imports_only_what_the_core_promises(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "rrr_core":
            assert {alias.name for alias in node.names} <= set(PROMISED[node.module or ""])
        elif isinstance(node, ast.Import):
            assert not [alias.name for alias in node.names if alias.name.startswith("rrr_core")]
