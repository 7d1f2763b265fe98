"""Links and options in the documentation exist."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from rrr_core.cli import COMMANDS, app
from tests.docs.pages import DOCS, PAGES, ROOT, anchors, links, name_of


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_points_to_a_file_and_its_anchor_to_a_heading(page: Path) -> None:
    for target in links(page):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        goal = page.parent / path if path else page
        assert goal.exists(), f"{name_of(page)} links to {target}"
        if anchor:
            assert anchor in anchors(goal), f"{name_of(page)} links to {target}; there are {sorted(anchors(goal))}"


@pytest.mark.parametrize("page", DOCS, ids=name_of)
def test_a_page_of_the_site_links_to_files_and_not_to_folders(page: Path) -> None:
    if page.parent == ROOT / "docs":
        relative = [target.partition("#")[0] for target in links(page) if not re.match(r"[a-z]+:", target)]
        assert [target for target in relative if (page.parent / target).is_dir() and target] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_option_in_an_rrr_command_line_exists(page: Path) -> None:
    lines = re.findall(r"^(?:    |)\$? ?(rrr [a-z]+ [^\n#`]*--[^\n#`]*)", page.read_text(encoding="utf-8"), re.M)
    for line in (part for each in lines for part in re.split(r" -- (?=rrr [a-z])", each)):
        name = line.split()[1]
        assert name in COMMANDS, line
        command = app.get_command(click.Context(app), name)
        assert command is not None
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for option in re.findall(r"(?<=\s)--[a-z-]+", line):
            assert option in known, f"{page.name}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_section_in_an_rrr_docs_command_exists(page: Path) -> None:
    for name, anchor in re.findall(r"rrr docs (?:docs/)?([\w-]+\.md)(?:#([\w-]+))?", page.read_text(encoding="utf-8")):
        assert (ROOT / "docs" / name).exists(), name
        assert not anchor or anchor in anchors(ROOT / "docs" / name), f"{name}#{anchor}"


def test_the_pages_have_command_lines_and_anchors_to_check() -> None:
    assert len(PAGES) >= 8
    assert any("rrr run countdown --model" in page.read_text(encoding="utf-8") for page in PAGES)
    assert any("#" in target for page in PAGES for target in links(page))
    assert any("rrr docs checks.md#check_" in page.read_text(encoding="utf-8") for page in PAGES)
