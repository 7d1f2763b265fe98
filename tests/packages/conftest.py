"""Wheels of the core and of plugins, and clean environments to install them in, only from files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("rrr_inspect", "rrr_openenv", "rrr_verifiers")
"""Adapters of libraries with a hundred packages each; tox installs each in an environment of its own."""
OURS = {path.name.replace("_", "-"): path for path in sorted((ROOT / "plugins").iterdir()) if path.name not in HEAVY}
"""Distribution → folder, of the project's own plugins."""
BROKEN = {path.name.replace("_", "-"): path for path in sorted(Path(__file__).with_name("plugins").iterdir())}
"""Distribution → folder, of the plugins made for these tests: sound ones, and ones broken each in its own way."""
ENGINES = ("rrr-echo-engine", "rrr-echo-twin", "rrr-mute-engine", "rrr-odd-engine")
"""The ones that have an engine; the others have a task."""

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV", "PIP_TARGET"))}


def run(
    command: list[str], *, cwd: Path | None = None, text: str | None = None, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, input=text, capture_output=True, text=True, timeout=300, env={**CLEAN, **(more or {})}
    )


def build(folder: Path, target: str, into: Path) -> Path:
    """Build the `wheel` or `sdist` of a project's folder and return the file."""
    before = set(into.iterdir())
    done = run([sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(into)], cwd=folder)
    assert done.returncode == 0, done.stderr
    (built,) = set(into.iterdir()) - before
    return built


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Distribution → wheel, of the core, our plugins and those made for these tests; built once."""
    into = tmp_path_factory.mktemp("wheels")
    folders = {"rrr-core": ROOT, **OURS, **BROKEN}
    return {name: build(folder, "wheel", into) for name, folder in folders.items()}


@pytest.fixture(scope="session")
def wheelhouse(wheels: dict[str, Path]) -> Path:
    """The folder with those wheels and all their dependencies, fetched once from the package index."""
    house = wheels["rrr-core"].parent
    done = run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--find-links", str(house), "--wheel-dir", str(house)]
        + [str(wheels[name]) for name in ("rrr-core", *OURS)]
    )
    assert done.returncode == 0, done.stderr
    return house


@dataclass(frozen=True)
class Environment:
    """A fresh virtual environment that sees no package index."""

    folder: Path
    wheelhouse: Path

    @property
    def site(self) -> Path:
        (site,) = self.folder.glob("lib/python3*/site-packages")
        return site

    def pip(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the tests' own pip on this environment, which has none and so is created quickly."""
        python = str(self.folder / "bin" / "python")
        return run([sys.executable, "-m", "pip", "--python", python, *arguments])

    def try_install(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.pip("install", "--quiet", "--no-index", "--find-links", str(self.wheelhouse), *arguments)

    def install(self, *arguments: str) -> None:
        done = self.try_install(*arguments)
        assert done.returncode == 0, done.stderr

    def uninstall(self, distribution: str) -> None:
        done = self.pip("uninstall", "--quiet", "--yes", distribution)
        assert done.returncode == 0, done.stderr

    def rrr(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run the installed `rrr` in its own folder, so it sees what is installed and nothing of the checkout."""
        return run([str(self.folder / "bin" / "rrr"), *arguments], cwd=self.folder, text=text, more={"COLUMNS": "120"})

    def printed(self, code: str) -> str:
        """What a line of Python prints there."""
        done = run([str(self.folder / "bin" / "python"), "-c", code], cwd=self.folder)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def listed(self) -> dict[str, str]:
        """Task or overlay → its line of `rrr tasks`, with the line of its error."""
        done = self.rrr("tasks")
        assert done.returncode == 0, done.stderr
        found: dict[str, str] = {}
        name = ""
        for line in done.stdout.splitlines():
            if line.startswith("  "):
                found[name] += f"\n{line}"
            elif line:
                name = line.split()[0]
                found[name] = f"{found[name]}\n{line}" if name in found else line
        return found


@pytest.fixture
def environment(tmp_path: Path, wheelhouse: Path) -> Callable[..., Environment]:
    """Makes a clean environment in which the given distributions are installed from files."""

    def make(*distributions: str) -> Environment:
        folder = tmp_path / "environment"
        done = run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
        assert done.returncode == 0, done.stderr
        made = Environment(folder, wheelhouse)
        # The core's commands compile what they import; a sandboxed verifier cannot.
        made.install("--no-compile", "rrr-core")
        if distributions:
            made.install(*distributions)
        return made

    return make
