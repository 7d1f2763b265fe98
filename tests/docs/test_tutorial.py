"""The tutorial followed literally, and what a package needs while rrr-core is not on the package index."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks
from tests.docs.reader import SAVED, Reader, fits, with_output

PAGE = ROOT / "docs" / "tutorial.md"
PUBLISHING = ROOT / "docs" / "publishing.md"
INSTALLING = "1. Install rrr"


def make_program(path: Path, *command: str) -> None:
    quoted = " ".join(f"'{word}'" for word in command)
    path.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
    path.chmod(0o755)


def strangers_environment() -> dict[str, str]:
    """The environment outside this virtual one: the Python that it was made from, and pip's settings."""
    inside = str(Path(sys.prefix))
    path = [folder for folder in os.environ["PATH"].split(os.pathsep) if not folder.startswith(inside)]
    kept = {name: value for name, value in os.environ.items() if not re.match("PYTHON|VIRTUAL_ENV|TOX|RRR|COV", name)}
    return {**kept, "PATH": os.pathsep.join([str(Path(sys.base_prefix) / "bin"), *path])}


def test_with_the_packages_installed_here_its_commands_print_what_it_shows(tmp_path: Path) -> None:
    programs, site, work = (tmp_path / name for name in ("programs", "site", "my-tasks"))
    for folder in (programs, site, work):
        folder.mkdir()
    make_program(programs / "pip", sys.executable, str(Path(__file__).with_name("fake_pip.py")))
    make_program(programs / "rrr", sys.executable, "-c", "from rrr_core.cli import main; main()")
    make_program(programs / "pytest", sys.executable, "-m", "pytest", "-p", "no:cacheprovider")
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(programs), os.environ["PATH"]]),
        "PYTHONPATH": str(site),
        "FAKE_SITE": str(site),
    }
    reader = Reader(tmp_path, work, environment)
    reader.follow(PAGE, {INSTALLING})
    assert len(reader.typed) > 5


def cloned(folder: Path) -> Path:
    """A folder with all tracked files in their present state, like a clone."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.mark.tutorial
def test_from_nothing_with_a_package_index_its_commands_print_what_it_shows(tmp_path: Path) -> None:
    reader = Reader(tmp_path, cloned(tmp_path / "rrr"), strangers_environment())
    reader.follow(PAGE)
    assert len(reader.typed) > 5


@pytest.mark.tutorial
def test_without_a_core_on_the_index_the_publishing_page_makes_an_install_work(tmp_path: Path) -> None:
    clone = cloned(tmp_path / "rrr")
    (block,) = (each for each in blocks(PUBLISHING) if each.section == "Where pip finds no rrr-core")
    script = f"""
        python3 -m venv stranger && PATH="$PWD/stranger/bin:$PATH"
        {block.text.replace("PATH_TO_THE_CLONE", str(clone))}
        pip install {clone}/examples/rrr_backwards
        rrr tasks backwards
    """
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=tmp_path,
        env=strangers_environment(),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rrr-backwards 1.0" in done.stdout


def test_every_block_is_saved_typed_or_shown() -> None:
    pages = list(with_output(PAGE))
    assert {block.language for block, _ in pages} == {"sh", "text", "python", "toml", "json"}
    assert sum(shown is not None for _, shown in pages) == sum(block.language == "text" for block in blocks(PAGE))


def test_the_folder_to_copy_has_the_files_that_the_page_shows() -> None:
    assert "cp -r ../rrr/examples/rrr_backwards backwards\n" in [block.text for block in blocks(PAGE)]
    saved = {found[1]: block.text for block in blocks(PAGE) if (found := SAVED.match(block.before))}
    files = [path for path in (ROOT / "examples" / "rrr_backwards").iterdir() if path.is_file()]
    assert {f"backwards/{path.name}": path.read_text(encoding="utf-8") for path in files} == {
        name: text for name, text in saved.items() if name.startswith("backwards/")
    }


def test_an_ellipsis_matches_what_an_output_leaves_out() -> None:
    assert fits("1 passed\n…\n", "1  passed\nin 3 s\n")
    assert not fits("1 passed\n", "1 passed\nin 3 s\n")
    assert not fits("1 passed…", "2 passed")
