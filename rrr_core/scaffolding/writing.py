"""Creating a new plugin's package from the newest version of the template."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from rrr_core.errors import RrrError
from rrr_core.runs.files import explained
from rrr_core.scaffolding.answers import Answers, check_name
from rrr_core.scaffolding.template import TEMPLATE, copier, versions


def write_plugin(
    answers: Answers, folder: Path, template: Path = TEMPLATE, files: Mapping[str, bytes] | None = None
) -> int:
    """Write the package into `folder`, which must be absent or empty, and return the number of files.

    `files` are more files of the package's module, which no later template changes.

    It is rendered elsewhere first, so a failure leaves nothing behind. Raises RrrError for a name that is taken, for a
    folder that is not empty, and for one that cannot be written.
    """
    check_name(answers.name)
    check_folder(folder)
    with tempfile.TemporaryDirectory(prefix="rrr-new-") as scratch:
        rendered = Path(scratch) / "plugin"
        data = Path(scratch) / "answers.yml"
        data.write_text(json.dumps(asdict(answers)), encoding="utf-8")  # JSON is YAML
        source = str(template / versions(template)[-1])
        copier(["copy", "--quiet", "--defaults", "--data-file", str(data), source, str(rendered)], Path(scratch))
        module = rendered / "src" / f"rrr_{answers.name.replace('-', '_')}"
        for name, content in (files or {}).items():
            (module / name).parent.mkdir(exist_ok=True)
            (module / name).write_bytes(content)
        with explained(folder):
            _move_in(rendered, folder)
    return sum(path.is_file() for path in folder.rglob("*"))


def check_folder(folder: Path) -> None:
    """Raise RrrError unless the folder can be created or is empty."""
    if folder.is_dir():
        if any(folder.iterdir()):
            raise RrrError(f"{folder} is not empty: name another --folder, or empty it first.")
        return
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists() or path.is_symlink())
    if not nearest.is_dir():
        raise RrrError(f"{nearest} exists and is not a folder: name another --folder.")


def _move_in(rendered: Path, folder: Path) -> None:
    """Copy a rendered package to its destination: all of it or nothing."""
    existed = folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(rendered.rglob("*")):
            target = folder / path.relative_to(rendered)
            # Not copytree, which hides the cause of a failure, such as a full disk or an unwritable folder.
            if path.is_dir():
                target.mkdir()
            else:
                shutil.copyfile(path, target)
    except BaseException:
        for path in folder.iterdir() if folder.exists() else ():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if not existed and folder.exists():
            folder.rmdir()
        raise
