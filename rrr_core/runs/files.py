"""Atomic file writes, and reads whose errors name file and line."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from rrr_core.errors import DataError, RrrError
from rrr_core.text import one_line

TEMPORARY = ".tmp"
"""Suffix of unfinished files, whose names start with a dot. A killed writer leaves them behind."""
DEEPEST = 100
"""Deepest nesting of a JSON value that is read. Nothing that rrr writes comes near it."""
_MANY = 2 * DEEPEST
_TOO_DEEP = f"nested deeper than {DEEPEST} levels"

Note = Callable[[str], None]
"""Called with the SHA-256 of a whole new file before it takes its place."""


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically. A lone surrogate, which UTF-8 cannot encode, becomes `?`."""
    _write(path, [text.encode("utf-8", "replace")])


def write_json(path: Path, value: Any, note: Note | None = None) -> None:
    """Write one JSON value atomically. Raises ValueError on NaN and infinities, which JSON lacks."""
    _write(path, [json.dumps(value, indent=2, allow_nan=False).encode() + b"\n"], note)


def write_lines(path: Path, records: Iterable[Mapping[str, Any]], note: Note | None = None) -> None:
    """Write one JSON object per line, atomically, taking the records one by one.

    Text is escaped to ASCII: a hostile line separator or a lone surrogate can neither split nor corrupt a line.
    """
    encode = json.JSONEncoder(allow_nan=False).encode
    _write(path, (encode(record).encode() + b"\n" for record in records), note)


def decoded(text: str) -> Any:
    """The value of a JSON text. Raises ValueError for NaN, for a number no float holds, and for a value nested deeper
    than `DEEPEST`, which could not be written again.
    """
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if text.count("[") + text.count("{") > _MANY and _is_deeper(value, DEEPEST):
        raise ValueError(_TOO_DEEP)
    return value


def _is_deeper(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most + 1):
        level = [
            item
            for each in level
            if isinstance(each, dict | list)
            for item in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is too large")
    return value


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)


def read_json(path: Path) -> Any:
    """The JSON value in a file. Raises DataError naming file and line."""
    with open_to_read(path) as file:
        content = file.read()
    try:
        return decoded(content.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not JSON: {error.msg}.") from None
    except ValueError as error:
        raise DataError(f"{path}:1: not JSON: {one_line(error)}.") from None


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a JSONL file, lazily; blank lines are skipped. Raises DataError naming file and line."""
    for _, record in read_numbered_lines(path):
        yield record


def read_numbered_lines(path: Path, *, may_end_early: bool = False) -> Iterator[tuple[int, dict[str, Any]]]:
    """Like `read_lines`, each object with its line number, from 1.

    With `may_end_early`, a last line without its newline is skipped: a killed writer left it in a file that grows.
    """
    with open_to_read(path) as file:
        for number, line in enumerate(file, start=1):
            if may_end_early and not line.endswith(b"\n"):
                return
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                if not text.strip():
                    continue
                record = decoded(text)
            except json.JSONDecodeError as error:
                raise DataError(f"{path}:{number}: not JSON: {error.msg} at column {error.colno}.") from None
            except ValueError as error:
                raise DataError(f"{path}:{number}: not JSON: {one_line(error)}.") from None
            if not isinstance(record, dict):
                raise DataError(f"{path}:{number}: a JSON object is expected, found {type(record).__name__}.")
            yield number, record


def append_text(path: Path, text: str) -> None:
    """Add to a text file, and sync it to disk. A kill may leave half of the text.

    Raises RrrError if the file is a link: what it points to is not ours to write.
    """
    with explained(path), open(open_own(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def open_own(path: Path, flags: int) -> int:
    """A descriptor of a file that is written in place. Raises OSError for a link, symbolic or hard: it is no file of
    ours, and what it leads to stays as it is.
    """
    descriptor = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(descriptor)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return descriptor


def make_folder(folder: Path) -> None:
    """Create a folder and its parents if missing. Raises RrrError if that fails."""
    with explained(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)


def _write(path: Path, chunks: Iterable[bytes], note: Note | None = None) -> None:
    path, digest = Path(path), hashlib.sha256()
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")
    try:
        with explained(path):
            file = open(temporary, "xb")  # noqa: SIM115 - errors of the chunks must not look like errors of the file
        try:
            for chunk in chunks:
                digest.update(chunk)
                with explained(path):
                    file.write(chunk)
            with explained(path):
                file.flush()
                os.fsync(file.fileno())
        finally:
            with explained(path):
                file.close()
        if note is not None:
            note(digest.hexdigest())
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
def open_to_read(path: Path) -> Iterator[Any]:
    """A file opened to read its bytes.

    Raises DataError if it cannot be read, and for a device or a pipe, which may never end; a pipe that a shell made for
    this process (`<(…)`) is read.
    """
    with explained_reading(path):
        kind = Path(path).stat().st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind) or str(path).startswith(("/dev/fd/", "/proc/self/fd/"))):
            raise DataError(f"{path}: not an ordinary file.")
        with open(path, "rb") as file:
            yield file


@contextmanager
def explained_reading(path: Path) -> Iterator[None]:
    """Turn an OSError of reading `path` into a DataError of one line."""
    try:
        yield
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
            errno.ELOOP: "it is a link, or no ordinary file, and is not followed: remove it",
            errno.ENXIO: "it is no ordinary file: remove it",
            errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
        }.get(error.errno or 0, one_line(error.strerror or error))
        raise RrrError(f"{path} cannot be written: {reason}.") from error
