"""docs/engines.md shows and lists what the code has."""

from __future__ import annotations

import dataclasses
import re
import tomllib

from rrr_core.generation import Engine, EngineSpec, TokenEngine
from rrr_core.generation.engines import CORE_ENGINES
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "engines.md"
PACKAGE = ROOT / "tests" / "packages" / "plugins" / "rrr_echo_engine"
TEXT = PAGE.read_text(encoding="utf-8")


def table_after(heading: str) -> set[str]:
    """The names in the first column of the table that follows `heading`."""
    rows = re.findall(r"^\| (.+?) \|", TEXT.partition(heading)[2].partition("\n\n**")[0], re.MULTILINE)
    return set(re.findall(r"`(\w+)", " ".join(rows)))


def public(kind: type) -> set[str]:
    return {name for name in {*dir(kind), *kind.__annotations__} if not name.startswith("_")}


def test_the_engine_on_the_page_is_the_tested_one() -> None:
    shown = [block.text for block in blocks(PAGE) if block.section == "Bring an engine" and block.language == "python"]
    assert shown == [(PACKAGE / "rrr_echo_engine.py").read_text(encoding="utf-8")]
    (stated,) = (tomllib.loads(block.text) for block in blocks(PAGE) if block.language == "toml")
    real = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))
    for key, value in stated["project"].items():
        assert real["project"][key] == value


def test_the_capabilities_of_an_engine_are_listed_and_no_others() -> None:
    assert table_after("**`Engine`**") == public(Engine)
    assert table_after("**`TokenEngine`**") == public(TokenEngine) - public(Engine)


def test_every_field_of_a_spec_is_listed() -> None:
    assert table_after("**`EngineSpec`**") == {field.name for field in dataclasses.fields(EngineSpec)}


def test_every_engine_of_the_core_is_in_the_first_table() -> None:
    assert set(CORE_ENGINES) <= set(re.findall(r"^\| `(\w+)`", TEXT, re.MULTILINE))
