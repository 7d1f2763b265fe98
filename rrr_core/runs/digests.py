"""Digests of a stage's files: what was written, so that a file changed since is refused and not used."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rrr_core.errors import DataError
from rrr_core.runs.files import append_text, open_to_read, write_json, write_lines, write_text
from rrr_core.runs.layout import StageFolder

CHANGED = "was changed after rrr wrote it (its SHA-256 is another)"
"""The words for a file whose digest differs, the same in every command."""
_LINE = re.compile("([0-9a-f]{64})  (.+)")


def digest_of(path: Path, size: int | None = None) -> str:
    """The SHA-256 of a file, or of its first `size` bytes, in hexadecimal. Raises DataError if it cannot be read."""
    with open_to_read(path) as file:
        if size is None:
            return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256()
        while size and (part := file.read(min(size, 1 << 20))):
            digest.update(part)
            size -= len(part)
        return digest.hexdigest()


class Digests:
    """`SHA256SUMS` of a stage's folder: file → its SHA-256, the latest last, as `sha256sum` writes them.

    A digest is noted just before its file takes its place, so after a kill the one before may still be right. A folder
    of an older version has no such file: nothing is then known, and nothing refused.
    """

    def __init__(self, folder: Path) -> None:
        """Reads what is noted. Raises DataError for a damaged `SHA256SUMS`."""
        self.folder = Path(folder)
        self.path = StageFolder(self.folder).digests
        self._noted: dict[str, list[str]] = {}
        self._is_torn = False
        """Whether a killed writer left half a line at the end."""
        if self.path.exists() or self.path.is_symlink():
            self._read()

    def write_lines(self, path: Path, records: Iterable[Mapping[str, Any]]) -> None:
        """Write a file of JSON lines (`rrr_core.runs.files.write_lines`) and note its digest."""
        write_lines(path, records, note=lambda digest: self._note(path, digest))

    def write_json(self, path: Path, value: Any) -> None:
        """Write a JSON file and note its digest."""
        write_json(path, value, note=lambda digest: self._note(path, digest))

    def settle(self, paths: Iterable[Path]) -> None:
        """Note these files, which are final, and the manifest as they are, and forget all others."""
        manifest = StageFolder(self.folder).manifest
        finals = [*paths, *([manifest] if manifest.exists() else [])]
        self._noted = {self._name(path): [digest_of(path)] for path in finals}
        self._write(self._noted)

    def check(self, path: Path, remedy: str) -> None:
        """Raise DataError, ending in `remedy`, if the file is not as it was written."""
        noted = self._noted.get(self._name(path))
        if noted is not None and digest_of(path) not in noted[-2:]:
            if path == StageFolder(self.folder).manifest:
                remedy = "restore it, or delete its folder and run the same command again."
            raise DataError(f"{path} {CHANGED}: {remedy}")

    def lacking(self, prefix: str) -> list[Path]:
        """The noted files that are not there, of those whose names begin with `prefix`."""
        names = sorted(name for name in self._noted if name.startswith(prefix))
        return [path for name in names if not (path := self.folder / name).exists()]

    def check_all(self, remedy: str) -> None:
        """Raise DataError, ending in `remedy`, if any noted file is lost or changed."""
        for lost in self.lacking(""):
            raise DataError(f"{lost} is missing: {remedy}")
        for name in self._noted:
            self.check(self.folder / name, remedy)

    def check_inside(self, folder: Path, remedy: str) -> None:
        """Raise DataError, ending in `remedy`, if a noted file of a folder within this one is lost or changed."""
        prefix = f"{self._name(folder)}/"
        for lost in self.lacking(prefix):
            raise DataError(f"{lost} is missing: {remedy}")
        for name in self._noted:
            if name.startswith(prefix):
                self.check(self.folder / name, remedy)

    def _note(self, path: Path, digest: str) -> None:
        name = self._name(path)
        self._noted.setdefault(name, []).append(digest)
        if self._is_torn:
            self._write(self._noted)
        else:
            append_text(self.path, _line(name, digest))

    def _write(self, noted: Mapping[str, list[str]]) -> None:
        self._is_torn = False
        write_text(self.path, "".join(_line(name, each) for name, some in noted.items() for each in some))

    def _name(self, path: Path) -> str:
        return Path(path).relative_to(self.folder).as_posix()

    def _read(self) -> None:
        with open_to_read(self.path) as file:
            *whole, rest = file.read().split(b"\n")
        self._is_torn = bool(rest)
        for number, line in enumerate(whole, start=1):
            found = _LINE.fullmatch(line.decode("utf-8", "replace"))
            if found is None:
                raise DataError(
                    f"{self.path}:{number}: not a SHA-256 and the name of a file: delete {self.path.name}, and the"
                    " files beside it are used unchecked."
                )
            self._noted.setdefault(found[2], []).append(found[1])


def _line(name: str, digest: str) -> str:
    return f"{digest}  {name}\n"
