"""Packages created by `rrr new`, one of each kind, with their wheels laid out as pip would."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from rrr_core.scaffolding import ANSWERS, LICENSES, Answers, write_plugin

SUMMARY = "Sums: {{ 1 + 1 }}, `2` & <b>three</b>, Zoë's 4."
"""Text with a special meaning in Jinja, Markdown, TOML or HTML."""

PACKAGES = {
    f"{kind} in steps" if steps else kind: Answers(
        f"{'steps' if steps else 'new'}-{kind}", SUMMARY, "Zoë O'Neil", chosen, kind, steps
    )
    for kind, chosen in zip(ANSWERS, LICENSES, strict=True)
    for steps in (False, True)
}
"""Each kind of answer, combined with each licence, at once and in steps: all branches of the template."""


@dataclass(frozen=True)
class Package:
    """A created package, and where its wheel is laid out."""

    answers: Answers
    folder: Path
    site: Path

    @property
    def module(self) -> str:
        return f"rrr_{self.answers.name.replace('-', '_')}"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run this Python in the package's folder, with the wheel on its path."""
        path = [str(self.site), *filter(None, [os.environ.get("PYTHONPATH")])]
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="session", params=list(PACKAGES))
def package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Package:
    """A package of each kind, built into a wheel that is unpacked into `site`, so no network is needed."""
    answers = PACKAGES[request.param]
    home = tmp_path_factory.mktemp(answers.name)
    made = Package(answers, home / "package", home / "site")
    write_plugin(answers, made.folder)
    built = replace(made, site=home).run("-m", "hatchling", "build", "--target", "wheel", "--directory", str(home))
    assert built.returncode == 0, built.stderr
    (wheel,) = home.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(made.site)
    return made


@pytest.fixture(scope="session")
def git_at() -> Callable[[Path, Sequence[str]], str]:
    """Runs git in a folder as a user with a name."""

    def run(folder: Path, arguments: Sequence[str]) -> str:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@localhost", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout

    return run
