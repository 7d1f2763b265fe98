"""Links and options named in the documents are real."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from rrr_core.cli import COMMANDS, app

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("plugins/*/README.md"), *ROOT.glob("benchmarks/*.md")]
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", target) and not target.startswith("#"):
            assert (page.parent / target.partition("#")[0]).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_option_in_an_rrr_command_line_exists(page: Path) -> None:
    for line in re.findall(r"^(?:    |)\$? ?(rrr [a-z]+ [^\n#`]*--[^\n#`]*)", page.read_text(encoding="utf-8"), re.M):
        name = line.split()[1]
        assert name in COMMANDS, line
        command = app.get_command(click.Context(app), name)
        assert command is not None
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for option in re.findall(r"(?<=\s)--[a-z-]+", line):
            assert option in known, f"{page.name}: {line}"


def test_the_pages_hold_command_lines_to_check() -> None:
    assert len(PAGES) >= 8
    assert any("rrr run countdown --model" in page.read_text(encoding="utf-8") for page in PAGES)
