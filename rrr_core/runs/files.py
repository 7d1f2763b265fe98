"""Atomic file writes, and reads whose errors name file and line."""

from __future__ import annotations

import errno
import json
import os
import secrets
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rrr_core.errors import DataError, RrrError
from rrr_core.text import one_line

TEMPORARY = ".tmp"
"""Suffix of unfinished files, whose names start with a dot. A killed writer leaves them behind."""


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically. A lone surrogate, which UTF-8 cannot encode, becomes `?`."""
    _write(path, [text.encode("utf-8", "replace")])


def write_json(path: Path, value: Any) -> None:
    """Write one JSON value atomically. Raises ValueError on NaN and infinities, which JSON lacks."""
    _write(path, [json.dumps(value, indent=2, allow_nan=False).encode() + b"\n"])


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object per line, atomically, taking the records one by one.

    Text is escaped to ASCII: a hostile line separator or a lone surrogate can neither split nor corrupt a line.
    """
    encode = json.JSONEncoder(allow_nan=False).encode
    _write(path, (encode(record).encode() + b"\n" for record in records))


def read_json(path: Path) -> Any:
    """The JSON value in a file. Raises DataError naming file and line."""
    with _open_to_read(path) as file:
        content = file.read()
    try:
        return json.loads(content.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not JSON: {error.msg}.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}:1: not JSON: {one_line(error)}.") from None


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a JSONL file, lazily; blank lines are skipped. Raises DataError naming file and line."""
    for _, record in read_numbered_lines(path):
        yield record


def read_numbered_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Like `read_lines`, each object with its line number, from 1."""
    with _open_to_read(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                if not text.strip():
                    continue
                record = json.loads(text)
            except json.JSONDecodeError as error:
                raise DataError(f"{path}:{number}: not JSON: {error.msg} at column {error.colno}.") from None
            except (ValueError, RecursionError) as error:
                raise DataError(f"{path}:{number}: not JSON: {one_line(error)}.") from None
            if not isinstance(record, dict):
                raise DataError(f"{path}:{number}: a JSON object is expected, found {type(record).__name__}.")
            yield number, record


def make_folder(folder: Path) -> None:
    """Create a folder and its parents if missing. Raises RrrError if that fails."""
    with explained(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    path = Path(path)
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")
    try:
        with explained(path):
            file = open(temporary, "xb")  # noqa: SIM115 - errors of the chunks must not look like errors of the file
        try:
            for chunk in chunks:
                with explained(path):
                    file.write(chunk)
            with explained(path):
                file.flush()
                os.fsync(file.fileno())
        finally:
            with explained(path):
                file.close()
        with explained(path):
            temporary.replace(path)
            _sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut. Windows cannot open folders and does not need this."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _open_to_read(path: Path) -> Iterator[Any]:
    try:
        with open(path, "rb") as file:
            yield file
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {one_line(error.strerror or error)}.") from None


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError of writing `path` into an RrrError of one line that says what to do."""
    try:
        yield
    except OSError as error:
        reason = {
            errno.ENOSPC: "the disk is full: make room and run the same command again to resume",
            errno.EDQUOT: "your disk quota is used up: make room and run the same command again to resume",
            errno.EFBIG: "the file grew over this process's size limit: raise it (`ulimit -f`)",
            errno.EACCES: "permission denied: choose a folder you may write to",
            errno.EPERM: "permission denied: choose a folder you may write to",
            errno.EROFS: "the file system is read-only: choose another folder",
            errno.EEXIST: "a file of that name is in the way: choose another folder",
            errno.ENOTDIR: "a part of that path is a file, not a folder: choose another folder",
            errno.EISDIR: "a folder of that name is in the way: choose another name",
            errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
        }.get(error.errno or 0, one_line(error.strerror or error))
        raise RrrError(f"{path} cannot be written: {reason}.") from error
