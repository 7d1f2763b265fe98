"""Replaces pip without a package index: `pip install -e FOLDER` puts the folder's package on PYTHONPATH.

The metadata are those that a build would make from the folder's pyproject.toml, as far as rrr reads them.
"""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path


def install(folder: Path, site: Path) -> None:
    """Install the folder's distribution in `site`, with its modules as links into the folder."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(exist_ok=True)
    lines = ["Metadata-Version: 2.4", f"Name: {project['name']}", f"Version: {project['version']}"]
    lines += [f"Summary: {project.get('description', '')}", f"Requires-Python: {project['requires-python']}"]
    lines += [f"License-Expression: {project['license']}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in project["dependencies"]]
    (info / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
    points = "".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in project["entry-points"].items()
    )
    (info / "entry_points.txt").write_text(points, encoding="utf-8")
    name = project["name"].replace("-", "_")
    for place in (folder / "src" / name, folder / f"{name}.py"):
        link = site / place.name
        if place.exists() and not link.exists():
            link.symlink_to(place.resolve())


if __name__ == "__main__":
    *_, target = sys.argv
    assert sys.argv[1:-1] == ["install", "-e"], sys.argv
    install(Path(target), Path(os.environ["FAKE_SITE"]))
