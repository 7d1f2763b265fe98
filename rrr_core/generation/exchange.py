"""One HTTP exchange with a server, bounded in time and in size. Nothing that a server sends raises past here."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import httpx2

from rrr_core.text import one_line


class Fault(Exception):
    """An exchange that failed in a way that may pass: it is tried again."""

    retry_after: float | None = None
    """Seconds that the server asked to wait."""


class Unreachable(Fault):
    """No connection, or one that broke off."""


class TooSlow(Fault):
    """No whole answer within the time."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    """Unpacked; cut where it is longer than asked for, and empty where it cannot be unpacked."""
    is_whole: bool
    """Whether the body was within its bound."""


async def exchange(
    client: httpx2.AsyncClient,
    method: str,
    url: httpx2.URL,
    *,
    content: bytes | None,
    headers: Mapping[str, str],
    seconds: float,
    most_bytes: int,
) -> Reply:
    """Send one request and read its answer within `seconds` in all; at most `most_bytes` of it, packed or unpacked.

    Redirects are not followed: the request has a key, and the answer would come from another address.
    Raises Unreachable or TooSlow.
    """
    try:
        async with (
            asyncio.timeout(seconds),
            client.stream(method, url, content=content, headers={"Accept-Encoding": "identity", **headers}) as answer,
        ):
            body, is_whole = await _body(answer, most_bytes)
            fields = {name.lower(): value for name, value in answer.headers.items()}
            return Reply(answer.status_code, fields, body, is_whole)
    except TimeoutError as error:
        raise TooSlow from error
    # UnicodeError: a header that is no text.
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.CookieConflict, UnicodeError) as error:
        raise Unreachable(one_line(error, 120) or type(error).__name__) from error


async def _body(answer: httpx2.Response, most_bytes: int) -> tuple[bytes, bool]:
    """The unpacked body, at most `most_bytes` of it, and whether that is all."""
    coding = answer.headers.get("content-encoding", "identity").strip().lower()
    packed, body = 0, bytearray()
    # Of either form, recognised by its header.
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 32) if coding in ("gzip", "x-gzip", "deflate") else None
    if unpacking is None and coding not in ("", "identity"):
        return b"", True  # not asked for
    async for chunk in answer.aiter_raw():
        packed += len(chunk)
        left = most_bytes + 1 - len(body)
        try:
            body += chunk if unpacking is None else unpacking.decompress(chunk, left)
        except zlib.error:
            return b"", True
        if max(packed, len(body)) > most_bytes:
            return bytes(body[:most_bytes]), False
    return bytes(body), True
