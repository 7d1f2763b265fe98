"""The template's versions, and copier, which renders and merges them in a process of its own.

Copier changes its process's working folder and its warnings, and it knows a version of a template as a tag of a git
repository. An installed package is none, so one is made of the versions' folders where an update needs it.
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
"""What a plugin's answers file calls the template: a name, so that no path of a machine gets into it."""
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
"""Settings of git that copier's merge relies on; with others of the user's it would lose edits in silence."""
_NO_SETTINGS = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


def versions(template: Path) -> list[str]:
    """The versions that a template's folder holds, the oldest first."""
    found = (path.name for path in template.iterdir() if path.name[:1] == "v" and path.name[1:].isdecimal())
    return sorted(found, key=lambda version: int(version[1:]))


def make_repository(template: Path, folder: Path) -> None:
    """Make `folder` a git repository with one commit and tag for each version; the same ones each time."""
    folder.mkdir()
    environment = _IDENTITY | _NO_SETTINGS
    git(folder, "init", "--quiet", environment=environment)
    for version in versions(template):
        for path in folder.iterdir():
            if path.name != ".git":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(template / version, folder, dirs_exist_ok=True)
        # A user's core.autocrlf would change the line ends of what copier clones.
        (folder / ".gitattributes").write_text("* -text\n", encoding="utf-8")
        git(folder, "add", "--all", "--force", environment=environment)
        git(folder, "commit", "--quiet", "--message", version, environment=environment)
        git(folder, "tag", version, environment=environment)


def git(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """What git prints for a command in a folder. Raises RrrError with git's own complaint."""
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
    """Raise ModuleNotFoundError where copier is not installed, which the command line knows an extra for."""
    if importlib.util.find_spec("copier") is None:
        raise ModuleNotFoundError("copier is not installed", name="copier")


def copier(arguments: Sequence[str], folder: Path) -> None:
    """Run copier's command line in a folder, without a terminal. Raises RrrError with what it complains of."""
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
    """Settings as git reads them from its environment, where they go before those in files."""
    environment = {"GIT_CONFIG_COUNT": str(len(settings))}
    for index, (key, value) in enumerate(settings.items()):
        environment |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return environment


def complaint(text: str) -> str:
    """What a program says was the matter: all that it wrote, or the last line where that is a traceback."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it failed without a word"]
    return lines[-1] if "Traceback (most recent call last):" in lines else " ".join(lines)
