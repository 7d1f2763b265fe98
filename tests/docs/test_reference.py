"""Commands, options, hooks, overlays and extras are documented, and the index links to every page."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from types import ModuleType

import pytest

from rrr_core.cli import COMMANDS
from tests.docs.pages import DOCS, PAGES, ROOT, blocks, links, name_of, prose

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
INDEX = ROOT / "docs" / "index.md"


def module_of_docs(name: str) -> ModuleType:
    """A Python file of the folder `docs`, imported."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_commands_page_is_up_to_date() -> None:
    written = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert written == module_of_docs("make_commands").page(), "run python docs/make_commands.py"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_section(command: str) -> None:
    assert f"\n## rrr {command}\n" in (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("overlay", PYPROJECT["entry-points"]["rrr.overlays"])
def test_every_overlay_of_the_core_has_a_heading(overlay: str) -> None:
    page = (ROOT / "docs" / "overlays.md").read_text(encoding="utf-8")
    assert re.search(rf"^##+ `?{overlay}\b", page, re.MULTILINE)


def test_the_index_lists_every_extra_and_no_other() -> None:
    section = INDEX.read_text(encoding="utf-8").partition("| extra | for |")[2]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(PYPROJECT["optional-dependencies"])


def test_the_index_links_to_every_page() -> None:
    linked = {(INDEX.parent / target.partition("#")[0]).resolve() for target in links(INDEX)}
    wanted = {
        page for page in PAGES if page.name not in ("README.md", "index.md") or page.parent.name.startswith("rrr_")
    }
    assert {name_of(page) for page in wanted - linked} == set()


def test_the_lists_of_the_index_are_the_navigation() -> None:
    navigation = module_of_docs("conf").navigation(INDEX.read_text(encoding="utf-8"))
    assert navigation.count("```{toctree}") == len(re.findall(r"^## .+\n- ", INDEX.read_text(encoding="utf-8"), re.M))
    assert "\nTutorial <tutorial>\n" in navigation
    assert "\nCountdown <../plugins/rrr_countdown/README>\n" in navigation


def test_the_glossary_is_sorted_and_has_every_word_in_italics_in_the_tutorial() -> None:
    words = re.findall(r"^\*\*([^*]+)\*\*:", (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert words == sorted(words)
    used = re.findall(r"(?<!\*)\*([a-z ]+)\*(?!\*)", prose(ROOT / "docs" / "tutorial.md"))
    assert len(used) > 4
    assert [each for each in used if not any(each.startswith(word.lower()) for word in words)] == []


def test_the_pages_say_that_the_core_is_not_on_the_index_until_the_changelog_has_a_release() -> None:
    released = re.search(
        r"^## \d\S* \((?!unreleased)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    saying = [name_of(page) for page in DOCS if "not on the package index yet" in " ".join(prose(page).split())]
    wanted = ["docs/index.md", "docs/publishing.md", "docs/testing.md", "docs/tutorial.md"]
    assert saying == ([] if released else wanted)


def test_the_tox_ini_on_the_page_is_the_one_that_rrr_new_writes() -> None:
    newest = max((ROOT / "rrr_core" / "template").glob("v*"), key=lambda folder: int(folder.name.removeprefix("v")))
    (shown,) = (block.text for block in blocks(ROOT / "docs" / "testing.md") if block.language == "ini")
    assert shown == (newest / "plugin" / "tox.ini").read_text(encoding="utf-8")


def test_there_are_pages_to_compare_with_the_code() -> None:
    assert {"docs/tutorial.md", "docs/hooks.md", "README.md"} <= {name_of(page) for page in DOCS}
