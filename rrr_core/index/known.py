"""Indexes of known tasks and badges, read from a file or an https address; nothing in them is trusted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rrr_core.errors import DataError
from rrr_core.index.badge import Badge, badge_from, listed, text
from rrr_core.runs.files import decoded, open_to_read
from rrr_core.text import one_line, shown

SHIPPED = str(Path(__file__).with_name("known.json"))
"""The index that comes with the core."""
FORMAT = 1
"""The value of `rrr_index`, which marks an index."""
LARGEST = 4 << 20
"""Bytes of an index or a badge."""
SECONDS = 20.0
"""Seconds that a server may be silent."""
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class Known:
    """A task that an index lists."""

    task: str
    package: str
    summary: str = ""
    categories: tuple[str, ...] = ()
    """Its error classes."""
    badge: Badge | None = None
    problem: str = ""
    """Why its badge does not count, if it has one that does not."""


def read_index(place: str = SHIPPED) -> list[Known]:
    """The tasks of an index, at a path or an https address. Raises DataError naming the place."""
    found = _json(place)
    if not isinstance(found, dict) or found.get("rrr_index") != FORMAT or not isinstance(found.get("tasks"), list):
        raise DataError(f'{place}: not an index of tasks: {{"rrr_index": {FORMAT}, "tasks": […]}} is expected.')
    known = []
    for number, entry in enumerate(found["tasks"], start=1):
        try:
            known.append(_known(entry))
        except ValueError as error:
            raise DataError(f"{place}, task {number}: {error}.") from None
    return known


def read_badge(place: str) -> Badge:
    """The badge at a path or an https address. Raises DataError for what is none, or was changed."""
    found = _json(place)
    try:
        return badge_from(found)
    except ValueError as error:
        raise DataError(f"{place}: not a badge that holds: {error}.") from None


def _known(entry: Any) -> Known:
    if not isinstance(entry, dict):
        raise ValueError(f"an object is expected, and it is {shown(entry)}")
    badge, problem = None, ""
    if "badge" in entry:
        try:
            badge = badge_from(entry["badge"])
        except ValueError as error:
            problem = one_line(error)
    known = Known(
        text(entry, "task"),
        text(entry, "package"),
        text(entry, "summary", ""),
        tuple(listed(entry, "categories")),
        badge,
        problem,
    )
    if badge is not None and (badge.task, badge.package) != (known.task, known.package):
        raise ValueError(f"its badge is for {shown(badge.task)} of {shown(badge.package)}")
    return known


def _json(place: str) -> Any:
    try:
        return decoded(_read(place).decode("utf-8-sig"))
    except ValueError as error:
        raise DataError(f"{place}: not JSON: {one_line(error, 200)}.") from None


def _read(place: str) -> bytes:
    if ADDRESS.match(place):
        content = _download(place)
    else:
        with open_to_read(Path(place)) as file:
            content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise DataError(f"{place}: larger than {LARGEST >> 20} MB, so it is not read.")
    return content


def _download(address: str) -> bytes:
    """What an https address gives, at most one byte more than LARGEST. Raises DataError."""
    if not address.lower().startswith("https://"):
        raise DataError(f"{address}: only https addresses and paths of files are read.")
    # Imported here: this takes longer than all the rest of `rrr tasks`.
    from urllib.error import URLError
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class StaysSecure(HTTPRedirectHandler):
        def redirect_request(
            self, request: Request, file: Any, code: int, message: str, headers: Any, target: str
        ) -> Request | None:
            if not target.lower().startswith("https://"):
                raise DataError(f"{address}: it leads to {shown(target)}, which is not https.")
            return super().redirect_request(request, file, code, message, headers, target)

    from http.client import HTTPException

    try:
        with build_opener(StaysSecure).open(Request(address, headers=_HEADERS), timeout=SECONDS) as reply:  # noqa: S310 - https, as seen above
            content: bytes = reply.read(LARGEST + 1)
    except (URLError, HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(f"{address}: cannot be read: {one_line(reason, 200)}.") from None
    return content


_HEADERS: Mapping[str, str] = {"Accept": "application/json", "User-Agent": "rrr-core"}
