"""The template's versions, and copier, which renders and merges them in a process of its own.

copier changes its process's working folder and warnings, and it expects a template's versions as tags of a git
repository. An installed package has no repository, so an update makes one from the versions' folders.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rrr_core.errors import RrrError

TEMPLATE = Path(__file__).parents[1] / "template"
"""Holds a folder for each version: `v1`, `v2`, …"""
SOURCE = "rrr-core-template"
"""The template's name in a plugin's answers file: a name, so no machine's path gets into it."""
ANSWERS_FILE = ".copier-answers.yml"

_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "rrr"), ("EMAIL", "rrr@localhost"), ("DATE", "2000-01-01T00:00:00Z"))
}
_MERGE_SETTINGS = {
    "status.showUntrackedFiles": "all",
    "core.autocrlf": "input",
    "apply.whitespace": "nowarn",
    "commit.gpgSign": "false",
}
"""git settings that copier's merge relies on; some users' settings would make it lose edits silently."""
_NO_SETTINGS = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


def versions(template: Path) -> list[str]:
    """The versions in a template's folder, oldest first."""
    found = (path.name for path in template.iterdir() if path.name[:1] == "v" and path.name[1:].isdecimal())
    return sorted(found, key=lambda version: int(version[1:]))


def make_repository(template: Path, folder: Path) -> None:
    """Make `folder` a git repository with one commit and tag per version; the same ones every time."""
    folder.mkdir()
    environment = _IDENTITY | _NO_SETTINGS
    git(folder, "init", "--quiet", environment=environment)
    for version in versions(template):
        for path in folder.iterdir():
            if path.name != ".git":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(template / version, folder, dirs_exist_ok=True)
        # A user's core.autocrlf would change the line endings of what copier clones.
        (folder / ".gitattributes").write_text("* -text\n", encoding="utf-8")
        git(folder, "add", "--all", "--force", environment=environment)
        git(folder, "commit", "--quiet", "--message", version, environment=environment)
        git(folder, "tag", version, environment=environment)


def git(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """The output of a git command in a folder. Raises RrrError with git's error message."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise RrrError("this needs git: install it from your system's packages or https://git-scm.com.") from None
    if done.returncode:
        raise RrrError(f"git {arguments[0]} in {folder}: {complaint(done.stderr)}")
    return done.stdout


def require_copier() -> None:
    """Raise ModuleNotFoundError if copier is not installed; the command line knows which extra installs it."""
    if importlib.util.find_spec("copier") is None:
        raise ModuleNotFoundError("copier is not installed", name="copier")


def copier(arguments: Sequence[str], folder: Path) -> None:
    """Run copier's command line in a folder, without a terminal. Raises RrrError with its error message."""
    require_copier()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "copier", *arguments],
        cwd=folder,
        env={**os.environ, **_as_environment(_MERGE_SETTINGS)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RrrError(f"copier {arguments[0]}: {complaint(done.stderr)}")


def _as_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings as environment variables for git, where they override those in files."""
    environment = {"GIT_CONFIG_COUNT": str(len(settings))}
    for index, (key, value) in enumerate(settings.items()):
        environment |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return environment


def complaint(text: str) -> str:
    """A program's error message: its whole output, or the last line of a traceback."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it failed without a message"]
    return lines[-1] if "Traceback (most recent call last):" in lines else " ".join(lines)
