"""Kinds of damage to a file of a run folder, each a function of the file's path."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

Damage = Callable[[Path, Path], None]
"""Damages a file, given with the same file of another run."""


class Payload:
    """Leaves a file named `unpickled` in the current folder of whoever unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return open, ("unpickled", "w")


def _bytes(change: Callable[[bytes], bytes]) -> Damage:
    return lambda path, _: _write(path, change(path.read_bytes()))


def _write(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def _flip(content: bytes, place: float) -> bytes:
    changed = bytearray(content)
    if changed:
        changed[int(len(changed) * place)] ^= 1
    return bytes(changed)


def _line(change: Callable[[Any], object]) -> Damage:
    """Changes the JSON object in the last line, or in the whole file."""

    def damage(path: Path, _: Path) -> None:
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines(keepends=True) if path.suffix == ".jsonl" else [text]
        value = json.loads(lines[-1])
        changed = change(value)
        lines[-1] = changed if isinstance(changed, str) else json.dumps(value)
        _write(path, "".join(lines).encode() + b"\n")

    return damage


def _first_number(value: Any, new: Any) -> bool:
    """Replaces the first whole number in a JSON value; False if there is none."""
    places = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in places:
        if type(inner) is int:
            value[key] = new
            return True
        if _first_number(inner, new):
            return True
    return False


def _replace(make: Callable[[Path], object]) -> Damage:
    def damage(path: Path, _: Path) -> None:
        path.unlink()
        make(path)

    return damage


def _linked(path: Path, _: Path) -> None:
    """A hard link, as some backups make: the same content under two names."""
    os.link(path, path.parent.parent / "another-name")


def _lines(change: Callable[[list[bytes]], list[bytes]]) -> Damage:
    return _bytes(lambda content: b"".join(change(content.splitlines(keepends=True))))


def _other_runs(path: Path, other: Path) -> None:
    if other.exists():
        shutil.copyfile(other, path)
    else:
        path.unlink()


ANY: dict[str, Damage] = {
    "deleted": lambda path, _: path.unlink(),
    "emptied": _bytes(lambda _: b""),
    "cut in half": _bytes(lambda content: content[: len(content) // 2]),
    "last byte lost": _bytes(lambda content: content[:-1]),
    "first byte lost": _bytes(lambda content: content[1:]),
    "a bit flipped early": _bytes(lambda content: _flip(content, 0.2)),
    "a bit flipped in the middle": _bytes(lambda content: _flip(content, 0.5)),
    "a bit flipped late": _bytes(lambda content: _flip(content, 0.9)),
    "all zeros": _bytes(lambda content: bytes(len(content))),
    "garbage": _bytes(lambda content: bytes(byte * 7 + 131 & 255 for byte in content)),
    "grown by a byte": _bytes(lambda content: content + b"x"),
    "a pickle": _bytes(lambda _: pickle.dumps(Payload())),
    "a folder": _replace(Path.mkdir),
    "a link to itself": _replace(lambda path: path.symlink_to(path)),
    "a link to nothing": _replace(lambda path: path.symlink_to(path.with_name("nothing"))),
    "a link to /dev/null": _replace(lambda path: path.symlink_to("/dev/null")),
    "a link to /dev/zero": _replace(lambda path: path.symlink_to("/dev/zero")),
    "a pipe": _replace(os.mkfifo),
    "a second name": _linked,
    "another run's": _other_runs,
}
"""For every file."""

TEXT: dict[str, Damage] = {
    "a list": _bytes(lambda _: b"[]\n"),
    "null": _bytes(lambda _: b"null\n"),
    "nested without end": _bytes(lambda _: b"[" * 200_000 + b"]" * 200_000 + b"\n"),
    "nested 500 deep": _line(lambda value: value.update(extra=json.loads("[" * 500 + "]" * 500))),
    "NaN": _line(lambda value: _first_number(value, float("nan")) and None),
    "1e999": _line(lambda value: json.dumps({**value, "extra": 0}).replace('"extra": 0', '"extra": 1e999')),
    "5,000 digits": _line(
        lambda value: json.dumps({**value, "extra": 0}).replace('"extra": 0', '"extra": ' + "9" * 5000)
    ),
    "a number as a text": _line(lambda value: _first_number(value, "7") and None),
    "another number": _line(lambda value: _first_number(value, 77) and None),
    "a negative number": _line(lambda value: _first_number(value, -1) and None),
    "an unknown key": _line(lambda value: value.update(watts=3)),
    "a key lost": _line(lambda value: value.pop(next(iter(value))) and None),
    "all keys lost": _line(lambda value: value.clear()),
    "a byte-order mark": _bytes(lambda content: b"\xef\xbb\xbf" + content),
    "UTF-16": _bytes(lambda content: content.decode().encode("utf-16")),
    "not UTF-8": _bytes(lambda content: content[:-3] + b"\xff" + content[-3:]),
    "CRLF": _bytes(lambda content: content.replace(b"\n", b"\r\n")),
    "half a line added": _bytes(lambda content: content + b'{"row_ind'),
    "the last line twice": _lines(lambda lines: [*lines, lines[-1]]),
    "the first line lost": _lines(lambda lines: lines[1:]),
    "lines in another order": _lines(lambda lines: lines[::-1]),
}
"""For files of JSON."""

KINDS = {**ANY, **TEXT}


def kinds_for(path: Path) -> dict[str, Damage]:
    """The kinds of damage that a file can have."""
    return KINDS if path.suffix in (".json", ".jsonl") else ANY
