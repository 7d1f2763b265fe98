"""Weights on their way to other machines: a file in this process's memory, offered over HTTP while one sync lasts.

The file has no name on any disk, so a killed process leaves none of it. The server has no other file, answers at one
path that cannot be guessed, and ends with the sync.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import socket
import sys
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import FileIO
from typing import Any

import torch

from rrr_core.errors import ModelError
from rrr_core.generation.sync_address import Address
from rrr_core.text import one_line

CHUNK_BYTES = 16 << 20
IDLE_SECONDS = 60.0
"""After which a receiver that takes nothing more is left."""
TYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64"}
"""The safetensors format's names of the types that weights in training have."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A file in memory, and what its receiver checks."""

    file: FileIO
    sha256: str
    size: int


class _Writer:
    """Counts and digests what is written to a file."""

    def __init__(self, file: FileIO) -> None:
        self.file, self.digest, self.size = file, hashlib.sha256(), 0

    def write(self, content: bytes | memoryview) -> None:
        try:
            rest = memoryview(content)
            while rest:  # one write takes 2 GiB at most
                rest = rest[self.file.write(rest) :]
        except OSError as error:
            raise ModelError(f"No memory for the weights to send ({one_line(error, 120)}): free some.") from error
        self.digest.update(content)
        self.size += len(content)

    def parcel(self) -> Parcel:
        return Parcel(self.file, self.digest.hexdigest(), self.size)


@contextmanager
def packed(weights: Mapping[str, torch.Tensor]) -> Iterator[Parcel]:
    """The weights as a safetensors file in memory.

    The library's own writer takes the name of a file, or holds the model in memory three times; this holds it once.
    Raises ModelError for a type that is no plain floating-point number, and if memory runs out.
    """
    with _in_memory() as writer:
        header, place = {}, 0
        for name, weight in weights.items():
            if weight.dtype not in TYPES:
                raise ModelError(f"The weight {name} is {weight.dtype}, and cannot be sent over a network.")
            end = place + weight.numel() * weight.element_size()
            header[name] = {"dtype": TYPES[weight.dtype], "shape": list(weight.shape), "data_offsets": [place, end]}
            place = end
        said = json.dumps(header).encode()
        said += b" " * (-len(said) % 8)
        writer.write(len(said).to_bytes(8, "little") + said)
        for weight in weights.values():
            plain = weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            writer.write(memoryview(plain.numpy()))
        yield writer.parcel()


@contextmanager
def packed_bytes(content: bytes) -> Iterator[Parcel]:
    """A small file in memory, such as an adapter."""
    with _in_memory() as writer:
        writer.write(content)
        yield writer.parcel()


@contextmanager
def _in_memory() -> Iterator[_Writer]:
    if not hasattr(os, "memfd_create"):
        raise ModelError("Weights are sent over a network from Linux alone: run the vLLM server on this machine.")
    with FileIO(os.memfd_create("rrr-weights"), "w+b") as file:
        yield _Writer(file)


class _Offer(ThreadingHTTPServer):
    """Serves one parcel at one path."""

    daemon_threads = True
    # A receiver that is still there when the sync is over must not hold up the end.
    block_on_close = False

    def __init__(self, parcel: Parcel, address: Address) -> None:
        self.parcel, self.path, self.is_over = parcel, f"/{secrets.token_urlsafe(32)}", False
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        super().__init__((address.host, address.port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a receiver that has gone: it says why itself."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        shown = f"[{host!s}]" if self.address_family == socket.AF_INET6 else str(host)
        return f"http://{shown}:{port}{self.path}"


class _Handler(BaseHTTPRequestHandler):
    """Answers GET at the parcel's path; 404 to any other path, 501 to any other method."""

    server: _Offer
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        offer = self.server
        if offer.is_over or not hmac.compare_digest(self.path.encode(), offer.path.encode()):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(offer.parcel.size))
        self.end_headers()
        # A file object of its own, since several workers read at a time, each from the start.
        with open(f"/proc/self/fd/{offer.parcel.file.fileno()}", "rb", buffering=0) as file:
            sent = 0
            while sent < offer.parcel.size and not offer.is_over:
                step = self.connection.sendfile(file, sent, min(CHUNK_BYTES, offer.parcel.size - sent))
                if not step:  # the file is shorter than it was, as the receiver will see
                    break
                sent += step
        self.close_connection = True

    def version_string(self) -> str:
        return "rrr"

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the caller of the sync learns what failed from the receiver."""


@contextmanager
def offered(parcel: Parcel, addresses: Collection[Address]) -> Iterator[dict[Address, str]]:
    """The parcel's URL at each of this machine's addresses, served until the end.

    Raises ModelError for an address that cannot be listened at.
    """
    with ExitStack() as stack:
        urls = {}
        for address in addresses:
            try:
                offer = _Offer(parcel, address)
            except OSError as error:
                raise ModelError(
                    f"Weights cannot be offered at {address} ({one_line(error.strerror or error, 120)}): name a free"
                    " port at an address of this machine with --sync-address HOST:PORT."
                ) from error
            stack.callback(_end, offer)
            threading.Thread(target=offer.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            urls[address] = offer.url
        yield urls


def _end(offer: _Offer) -> None:
    offer.is_over = True
    offer.shutdown()
    offer.server_close()
