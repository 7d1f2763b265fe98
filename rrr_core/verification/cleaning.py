"""Removes folders that hostile code has filled: however deep, and with whatever names and permissions."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


def remove(folder: Path) -> None:
    """Remove a folder and all in it, as far as the system allows; never raises OSError, follows no link.

    `shutil.rmtree` recurses, and a path of thousands of folders is longer than the system accepts. Here each folder
    inside is moved to the top before it is emptied, so nothing is ever more than two levels deep.
    """
    try:
        top = os.open(folder, _FOLDER)
    except OSError:
        return
    try:
        _open_up(top)
        _empty(top)
    finally:
        os.close(top)
    with suppress(OSError):
        folder.rmdir()


def _empty(top: int) -> None:
    count = 0
    while folders := _without_files(top):
        done = 0
        for name in folders:
            with suppress(OSError):
                inner = _opened(name, top)
                try:
                    for each in _without_files(inner):
                        with suppress(OSError):
                            count += 1
                            os.close(_opened(each, inner))  # To be moved, a folder has to be writable itself.
                            os.rename(each, _free_name(count, top), src_dir_fd=inner, dst_dir_fd=top)
                finally:
                    os.close(inner)
                os.rmdir(name, dir_fd=top)
                done += 1
        if not done:
            return


def _without_files(folder: int) -> list[str]:
    """Removes everything but folders; gives their names."""
    folders: list[str] = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                else:
                    os.unlink(entry.name, dir_fd=folder)
    return folders


def _opened(name: str, parent: int) -> int:
    """A descriptor of a folder that its owner may do anything with from now on."""
    with suppress(OSError):
        os.chmod(name, 0o700, dir_fd=parent)
    return os.open(name, _FOLDER, dir_fd=parent)


def _open_up(folder: int) -> None:
    with suppress(OSError):
        os.fchmod(folder, 0o700)


def _free_name(count: int, top: int) -> str:
    name = f"moved-{count}"
    while os.access(name, os.F_OK, dir_fd=top, follow_symlinks=False):
        name += "-"
    return name
