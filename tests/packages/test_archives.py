"""The contents of the wheels and the source archives."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from tests.packages.conftest import OURS, ROOT, build

pytestmark = pytest.mark.packages

FOLDERS = {"rrr-core": ROOT, **OURS}


def contents(wheel: Path) -> dict[str, bytes]:
    """Name → bytes of each file of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def files_below(folder: Path, parent: Path) -> set[str]:
    return {
        path.relative_to(parent).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize("distribution", FOLDERS)
def test_a_wheel_has_every_file_of_its_packages_and_no_other(wheels: dict[str, Path], distribution: str) -> None:
    folder = FOLDERS[distribution]
    if distribution == "rrr-core":
        pages = {f"rrr_core/docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}
        wanted = files_below(ROOT / "rrr_core", ROOT) | files_below(ROOT / "rrr_taskset", ROOT) | pages
    else:
        wanted = files_below(folder / "src", folder / "src")
    packed = {name for name in contents(wheels[distribution]) if ".dist-info/" not in name}
    assert packed == wanted


def test_the_cores_wheel_has_its_types_template_and_pages(wheels: dict[str, Path]) -> None:
    names = set(contents(wheels["rrr-core"]))
    assert "rrr_core/py.typed" in names
    for folder in ("rrr_core/template/", "rrr_core/docs/", "rrr_core/report/assets/"):
        assert any(name.startswith(folder) for name in names), folder


@pytest.mark.parametrize("distribution", FOLDERS)
def test_a_wheel_built_from_the_source_archive_is_the_same(
    wheels: dict[str, Path], distribution: str, tmp_path: Path
) -> None:
    archive = build(FOLDERS[distribution], "sdist", tmp_path)
    shutil.unpack_archive(archive, tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    again = build(unpacked, "wheel", tmp_path)
    assert again.name == wheels[distribution].name
    assert contents(again) == contents(wheels[distribution])
