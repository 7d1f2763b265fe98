"""Every snippet on every page runs, or says why not."""

from __future__ import annotations

import configparser
import doctest
import json
import os
import re
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest

from tests.docs.fake_pip import install
from tests.docs.pages import DOCS, ROOT, Block, blocks, name_of

OWN_TESTS = {ROOT / "docs" / "tutorial.md"}
"""Pages that another test runs from the first block to the last."""
COMMAND = re.compile(r"^\$? ?(rrr|pip|python3?|pytest|tox|git|mkdir|cd)\b", re.MULTILINE)
LANGUAGES = {"", "python", "pycon", "sh", "text", "toml", "json", "ini", "yaml"}


def sections(page: Path) -> list[str]:
    """The sections of a page with Python to run, in order."""
    held = [block.section for block in blocks(page) if block.language in ("python", "pycon") and not block.reason]
    return list(dict.fromkeys(held))


RUN = [
    pytest.param(page, section, id=f"{name_of(page)} {section}")
    for page in DOCS
    if page not in OWN_TESTS
    for section in sections(page)
]
SHELL = [
    pytest.param(block, id=f"{name_of(page)} {block.text.splitlines()[0]}")
    for page in DOCS
    for block in blocks(page)
    if block.language == "sh" and not block.reason and page not in OWN_TESTS
]


@pytest.mark.parametrize(("page", "section"), RUN)
def test_the_python_of_a_section_runs_and_prints_what_the_page_shows(
    page: Path, section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("snippet")
    module.__file__ = str(tmp_path / "snippet.py")
    monkeypatch.setitem(sys.modules, "snippet", module)
    for block in blocks(page):
        if block.section != section or block.reason or block.language not in ("python", "pycon"):
            continue
        if block.language == "pycon" or block.text.startswith(">>>"):
            run_session(block, module, name_of(page))
        else:
            (tmp_path / "snippet.py").write_text(block.text)
            exec(compile(block.text, module.__file__, "exec"), vars(module))


def run_session(block: Block, module: types.ModuleType, name: str) -> None:
    test = doctest.DocTestParser().get_doctest(block.text, vars(module), block.section, name, 0)
    test.globs = vars(module)
    report: list[str] = []
    outcome = doctest.DocTestRunner(verbose=False).run(test, out=report.append, clear_globs=False)
    assert outcome.attempted > 0
    assert outcome.failed == 0, "".join(report)


@pytest.mark.parametrize("block", SHELL)
def test_a_shell_block_runs_with_the_tutorials_task_installed(block: Block, tmp_path: Path) -> None:
    site, empty = tmp_path / "site", tmp_path / "empty"
    site.mkdir()
    empty.mkdir()
    install(ROOT / "examples" / "rrr_backwards", site)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-e", "-c", block.text],
        cwd=empty,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", DOCS, ids=name_of)
def test_data_in_a_block_can_be_parsed(page: Path) -> None:
    for block in blocks(page):
        match block.language:
            case "toml":
                tomllib.loads(block.text)
            case "ini":
                configparser.ConfigParser(interpolation=None).read_string(block.text)
            case "json":
                try:
                    json.loads(block.text)
                except json.JSONDecodeError:
                    for line in block.text.splitlines():
                        json.loads(line)


@pytest.mark.parametrize("page", DOCS, ids=name_of)
def test_a_block_with_commands_states_its_language(page: Path) -> None:
    for block in blocks(page):
        assert block.language in LANGUAGES, block.text
        if block.language == "":
            assert not COMMAND.search(block.text), f"{name_of(page)}: mark this block sh:\n{block.text}"
