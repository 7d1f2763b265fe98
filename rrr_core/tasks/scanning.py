"""Entry points read straight from the folders of distributions, without `importlib.metadata`.

Importing that takes longer than everything else that finding a task does. Only the usual is read here: folders
`NAME-VERSION.dist-info` with plain files. Whatever is unusual, and matters, is left to `importlib.metadata` as a whole.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder

HEADER = re.compile(r"[!-9;-~]+:")
"""The beginning of a header that is all on one line."""
FIELD = re.compile(r"(name|version|requires-dist):[ \t]*(.*)", re.IGNORECASE)


class Unusual(Exception):
    """What `importlib.metadata` has to read."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A distribution with entry points in a group."""

    name: str
    version: str
    requires: tuple[str, ...]
    points: tuple[tuple[str, str], ...]
    """Name and value of each entry point."""


def plain_offers(group: str) -> list[Offer] | None:
    """The distributions with entry points in a group, of two copies of one the first on the path; None if unusual."""
    try:
        return list(_offers(group))
    except Unusual:
        return None


def _offers(group: str) -> Iterator[Offer]:
    if [finder for finder in sys.meta_path if hasattr(finder, "find_distributions")] != [PathFinder]:
        raise Unusual
    seen: set[str] = set()
    for path in dict.fromkeys(sys.path):
        here: set[str] = set()
        for child in _children(path or "."):
            stem, _, suffix = child.lower().rpartition(".")
            if suffix not in ("dist-info", "egg-info"):
                continue
            key = _normalized(stem.partition("-")[0])
            folder = os.path.join(path or ".", child)
            text = _text(folder, "entry_points.txt", group)
            if text is not None and (suffix == "egg-info" or key in here):
                raise Unusual
            if text is not None and key not in seen:
                yield _offer(folder, key, _points(text, group))
            here.add(key)
        seen |= here


def _children(path: str) -> list[str]:
    if path.lower().endswith(".egg"):
        raise Unusual
    try:
        return os.listdir(path)  # noqa: PTH208 - its names, without an object for each
    except NotADirectoryError:  # A zip file may hold distributions.
        raise Unusual from None
    except OSError:
        return []


def _text(folder: str, name: str, word: str = "") -> str | None:
    """A file of a distribution; None if there is none, or if it does not hold a word."""
    try:
        with open(os.path.join(folder, name), "rb") as file:
            content = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        raise Unusual from None
    if word.encode() not in content:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Unusual from None


def _points(text: str, group: str) -> tuple[tuple[str, str], ...]:
    section, points = None, set()
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line.strip("[]")
            continue
        name, equals, value = map(str.strip, line.partition("="))
        if not (section and name and equals and value):
            raise Unusual
        if section == group:
            points.add((name, value))
    return tuple(sorted(points))


def _offer(folder: str, key: str, points: tuple[tuple[str, str], ...]) -> Offer:
    text = _text(folder, "METADATA")
    if text is None:
        raise Unusual
    fields: dict[str, list[str]] = {"name": [], "version": [], "requires-dist": []}
    if "\r" in text:
        raise Unusual
    for line in text.split("\n"):
        if not line:
            break
        if HEADER.match(line) is None:
            raise Unusual
        if match := FIELD.fullmatch(line):
            fields[match[1].lower()].append(match[2].strip())
    names, versions = fields["name"], fields["version"]
    if len(names) != 1 or len(versions) != 1 or not versions[0] or _normalized(names[0]) != key:
        raise Unusual
    return Offer(" ".join(names[0].split()), " ".join(versions[0].split()), tuple(fields["requires-dist"]), points)


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
