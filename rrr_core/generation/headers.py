"""HTTP headers: those that an environment variable adds to each request, and the wait that a server asks for."""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from rrr_core.errors import ModelError

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x20-\x7e\t]*")


def extra_headers(variable: str | None) -> dict[str, str]:
    """The headers in an environment variable: a JSON object, or lines `Name: value`.

    Raises ModelError that names the variable, and never shows what is in it.
    """
    if variable is None:
        return {}
    text = os.environ.get(variable)
    if text is None:
        raise ModelError(f"The environment variable {variable} (--server-headers-env) is not set.")
    try:
        given = json.loads(text) if text.lstrip().startswith("{") else _lines(text)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict) or not all(
        isinstance(value, str) and _NAME.fullmatch(name) and _VALUE.fullmatch(value) for name, value in given.items()
    ):
        raise ModelError(
            f"The environment variable {variable} (--server-headers-env) holds no headers: write a JSON object of"
            ' texts, {"Name": "value"}, or lines `Name: value`.'
        )
    return given


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait before the next try; None if it does not.

    >>> retry_after({"retry-after": "3"}), retry_after({"retry-after-ms": "250"}), retry_after({"retry-after": "soon"})
    (3.0, 0.25, None)
    """
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
        return seconds if math.isfinite(seconds) else None
    try:
        return parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time()
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def _lines(text: str) -> dict[str, str]:
    named = {}
    for line in filter(str.strip, text.splitlines()):
        name, _, value = line.partition(":")
        named[name.strip()] = value.strip()
    return named
