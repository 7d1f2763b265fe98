"""The documentation's pages, which ship with the package, so whatever a message points to is at hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rrr_core.errors import RrrError, nearest

PACKAGE = Path(__file__).parents[1]
FOLDERS = (PACKAGE / "docs", PACKAGE.parent / "docs")
"""Where the pages are, in an installed package and in a checkout."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a page."""

    line: int
    """The index of its line."""
    level: int
    """1 for the page's title."""
    text: str
    anchor: str
    """The part after the `#` in a link to it."""


def page_files() -> dict[str, Path]:
    """Name, such as `hooks.md`, → file, sorted by name. Raises RrrError if there are none."""
    for folder in FOLDERS:
        if found := sorted(folder.glob("*.md")):
            return {path.name: path for path in found}
    raise RrrError("The documentation's pages are missing from rrr-core: reinstall it.")


def title_of(page: Path) -> str:
    """A page's title."""
    return next((heading.text for heading in headings(page.read_text(encoding="utf-8"))), page.name)


def find(place: str) -> str:
    """The Markdown of `PAGE` or `PAGE#HEADING`, with or without a leading `docs/`.

    `.md` may be left out. Raises RrrError for an unknown page or heading, naming the nearest.
    """
    name, _, anchor = place.removeprefix("docs/").partition("#")
    name = name if name.endswith(".md") else f"{name}.md"
    pages = page_files()
    if name not in pages:
        raise RrrError(f"There is no page {name!r}.{nearest(name, pages)} `rrr docs` lists them.")
    text = pages[name].read_text(encoding="utf-8")
    return section(text, anchor, name) if anchor else text


def section(text: str, anchor: str, page: str) -> str:
    """The part of a page from a heading to the next one at its level or above. Raises RrrError."""
    found = list(headings(text))
    known = {heading.anchor: index for index, heading in reversed(list(enumerate(found)))}
    if anchor not in known:
        raise RrrError(f"{page} has no heading {anchor!r}.{nearest(anchor, known)}")
    start, *rest = found[known[anchor] :]
    end = next((heading.line for heading in rest if heading.level <= start.level), None)
    return "".join(text.splitlines(keepends=True)[start.line : end]).rstrip() + "\n"


def headings(text: str) -> Iterator[Heading]:
    """The headings of a Markdown text, in order, ignoring code blocks.

    >>> [(heading.level, heading.anchor) for heading in headings("# The hooks\\n\\n## `rrr_verify`, again")]
    [(1, 'the-hooks'), (2, 'rrr_verify-again')]
    """
    fence = ""
    for number, line in enumerate(text.splitlines()):
        if mark := re.match(r" {0,3}(```+|~~~+)", line):
            fence = "" if fence and mark[1].startswith(fence) else fence or mark[1]
        elif not fence and (match := re.match(r"(#{1,6}) +(.+?)(?: +#+)? *$", line)):
            plain = re.sub(r"[^\w\- ]", "", match[2].lower())
            yield Heading(number, len(match[1]), match[2], plain.replace(" ", "-"))
