"""The receiving end of a weight sync over a network, in a vLLM worker: a file of stated digest and size, into memory.

Only a trainer's offer is fetched: plain HTTP, from an IP address, at an unguessable path, no further than the stated
size. No redirect and no proxy is followed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from typing import IO
from urllib.parse import urlsplit

from rrr_core.errors import ModelError
from rrr_core.text import one_line

CONNECT_SECONDS = 10.0
IDLE_SECONDS = 60.0
"""Longest wait for the next bytes."""
CHUNK_BYTES = 1 << 20
OFFER_PATH = re.compile(r"/[\w-]{43}", re.ASCII)
TAKEN = "taken"
"""What a worker answers that has what it was given; anything else is the reason why not."""
UNREACHABLE = "cannot reach the trainer"
"""How the reason begins where the way back to the trainer is blocked."""


@contextmanager
def fetched(url: str, sha256: str, size: int, most_bytes: int) -> Iterator[str]:
    """The path of an offered file, in this process's memory until the end. Raises ModelError as `receive` does."""
    if not hasattr(os, "memfd_create"):
        raise ModelError("takes weights over a network on Linux alone")
    with open(os.memfd_create("rrr-weights"), "wb") as file:
        receive(url, sha256, size, most_bytes, file)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


def receive(url: str, sha256: str, size: int, most_bytes: int, file: IO[bytes]) -> None:
    """Write an offered file to `file`.

    Raises ModelError with a reason for an address that is no trainer's offer, a file of another size or digest or
    larger than `most_bytes`, and a connection that fails.
    """
    host, port, path = _offer_of(url)
    if not 0 < size <= most_bytes:
        raise ModelError(f"takes no {size} bytes, but at most {most_bytes} for its model")
    connection = HTTPConnection(host, port, timeout=CONNECT_SECONDS)
    try:
        try:
            connection.connect()
        except OSError as error:
            raise ModelError(f"{UNREACHABLE} at {host} port {port} ({_why(error)})") from error
        connection.sock.settimeout(IDLE_SECONDS)
        connection.request("GET", path)
        answer = connection.getresponse()
        if answer.status != 200 or answer.length != size:
            raise ModelError(f"was offered no file of {size} bytes (HTTP {answer.status}, {answer.length} bytes)")
        digest, came = hashlib.sha256(), 0
        while chunk := answer.read(CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
            came += len(chunk)
    except (OSError, HTTPException) as error:
        raise ModelError(f"lost the trainer at {host} port {port} on the way ({_why(error)})") from error
    finally:
        connection.close()
    if came != size:
        raise ModelError(f"got {came} of {size} bytes")
    if digest.hexdigest() != sha256:
        raise ModelError("got damaged weights: their SHA-256 is another")


def _offer_of(url: str) -> tuple[str, int, str]:
    """Host, port and path of a trainer's offer."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        ip_address(host)
    except ValueError as error:
        raise ModelError("fetches from an IP address and a port alone") from error
    if parts.scheme != "http" or port is None or parts.username is not None or parts.query or parts.fragment:
        raise ModelError("fetches from plain http://ADDRESS:PORT/ alone")
    if not OFFER_PATH.fullmatch(parts.path):
        raise ModelError("fetches what a trainer offers alone")
    return host, port, parts.path


def _why(error: Exception) -> str:
    return one_line(getattr(error, "strerror", None) or error, 120) or type(error).__name__
