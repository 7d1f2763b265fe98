"""Requests to OpenAI-compatible servers: several in flight, retried after a fault, errors in one line.

A request is tried again after 408, 409, 429, 5xx, time-outs, lost connections and replies that cannot be read: at
another server at once, if one is awake; else after a wait. It doubles each time (0.5 to 8 s, less up to a random
quarter), or follows the server's `Retry-After`, up to two minutes.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import httpx2

from rrr_core.errors import ModelError
from rrr_core.generation.addresses import is_address, shown
from rrr_core.generation.exchange import Fault, Reply, TooSlow, Unreachable, exchange
from rrr_core.generation.headers import extra_headers, retry_after
from rrr_core.generation.pool import Server, least_busy
from rrr_core.generation.settings import ModelSettings
from rrr_core.text import one_line

Answer = TypeVar("Answer")

CONNECT_SECONDS = 10.0
"""Longest wait for a connection, whatever the time-out for an answer."""
FIRST_WAIT, LONGEST_WAIT, LONGEST_ASKED_WAIT = 0.5, 8.0, 120.0
"""Seconds before a request is tried again: the first time, at most, and at most if the server asks for it."""


class Busy(Fault):
    """An HTTP status that says to try again."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"HTTP {reply.status}")
        self.reply, self.retry_after = reply, retry_after(reply.headers)


class Unreadable(Fault):
    """A reply that is none: the text says what kind of fault it is."""

    def __init__(self, kind: str, body: bytes) -> None:
        super().__init__(kind)
        self.kind, self.body = kind, body


class Refused(Exception):
    """A request that the server refused, with an HTTP status that trying again would not change."""

    def __init__(self, server: Server, reply: Reply) -> None:
        super().__init__(f"HTTP {reply.status}")
        self.server, self.reply = server, reply


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a model is served, and how requests are sent there. Raises ModelError for an invalid address."""

    addresses: Sequence[str]
    model: str
    api_key_env: str = "OPENAI_API_KEY"
    timeout: float = 300.0
    """Seconds for one whole answer."""
    retries: int = 5
    concurrency: int = 16
    """Requests in flight at a time, over all servers."""
    headers_env: str | None = None
    """The environment variable that holds further headers."""

    def __post_init__(self) -> None:
        for address in self.addresses:
            if not is_address(address):
                raise ModelError("The base URL is not a server's address: write it like http://127.0.0.1:8000/v1.")
        if not self.addresses:
            raise ModelError("No server is named: give --base-url.")
        if len({shown(address) for address in self.addresses}) < len(self.addresses):
            raise ModelError("A server's address is given twice: give each --base-url once.")
        _ = self.headers  # refused before anything is asked

    @property
    def headers(self) -> dict[str, str]:
        """The HTTP headers of a request: the key's, and those of the environment. Never kept, shown or written."""
        key = os.environ.get(self.api_key_env)
        authorization = {"Authorization": f"Bearer {key}"} if key else {}
        return {**authorization, **extra_headers(self.headers_env)}

    def shown(self) -> str | list[str]:
        """The server's address without credentials, as manifests have it; of several, a sorted list."""
        addresses = sorted(map(shown, self.addresses))
        return addresses[0] if len(addresses) == 1 else addresses

    def safe(self, text: object, limit: int = 200) -> str:
        """A server's words in one line, without key and further headers, which some servers repeat."""
        said = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        for secret in filter(None, (os.environ.get(self.api_key_env), *extra_headers(self.headers_env).values())):
            said = said.replace(secret, "…")
        return one_line(said, limit)

    def what_failed(self, server: Server, fault: Fault, tries: int) -> str:
        """One line on a request that failed after all its retries."""
        who, times = f"The server {shown(server.address)}", "once" if tries == 1 else f"{tries} times"
        match fault:
            case TooSlow():
                return f"{who} gave no answer within {self.timeout:g} s, tried {times}: raise --timeout."
            case Unreachable():
                return f"{who} cannot be reached, tried {times} ({self.safe(fault, 120)}): is it running?"
            case Busy():
                said = f"HTTP {fault.reply.status}: {self.safe(fault.reply.body)}"
                return f"{who} failed {times} ({said}): lower --concurrency, raise --retries, or see its log."
            case _:
                return f"{who} answered with nothing that can be read, tried {times} ({fault})."

    def refuse(self, refused: Refused) -> NoReturn:
        """Raise ModelError for a refusal that concerns every request."""
        who, status = f"The server {shown(refused.server.address)}", refused.reply.status
        said = f"HTTP {status}: {self.safe(refused.reply.body)}"
        if status in (401, 403):
            state = "is set, but refused" if os.environ.get(self.api_key_env) else "is not set"
            raise ModelError(
                f"{who} denies access ({said}): the environment variable {self.api_key_env} {state}."
            ) from refused
        if status == 404:
            raise ModelError(
                f"{who} knows no model {self.model!r}, or the address lacks its /v1 ({said})."
            ) from refused
        if 300 <= status < 400:
            raise ModelError(
                f"{who} points to another address (HTTP {status}): give that one with --base-url."
            ) from refused
        raise ModelError(f"{who} refused the request ({said}).") from refused


class Line:
    """An open connection: sends requests, and tries them again. Made by `asked`."""

    def __init__(self, connection: Connection, servers: Sequence[Server], client: httpx2.AsyncClient) -> None:
        self.connection, self.servers, self.client = connection, servers, client
        self._headers = {**connection.headers, "Content-Type": "application/json"}

    async def post(
        self, path: str, body: Mapping[str, Any], most_bytes: int, read: Callable[[Reply], Answer]
    ) -> tuple[Answer, Server]:
        """What `read` makes of the answer to one request, and who answered. `read` raises Unreadable to ask again.

        Raises Refused, Unreadable after the last try, and ModelError for other faults after the last try.
        """
        content = json.dumps(body).encode()
        tries = (self.connection.retries + 1) * len(self.servers)
        waits = 0
        for number in range(1, tries + 1):
            server = least_busy(self.servers, time.monotonic())
            asked_at = time.monotonic()
            try:
                return read(await self._once(server, path, content, most_bytes + len(content))), server
            except Fault as fault:
                if number == tries and isinstance(fault, Unreadable):
                    raise
                if number == tries:
                    raise ModelError(self.connection.what_failed(server, fault, tries)) from fault
                wait = _wait(waits, fault)
                now = time.monotonic()
                if not isinstance(fault, Unreadable):  # which is about one request
                    server.failed(asked_at, now, wait)
                if all(other.rests_until > now for other in self.servers if other is not server):
                    await asyncio.sleep(wait)
                    waits += 1
        raise AssertionError("the last try returns or raises")

    async def _once(self, server: Server, path: str, content: bytes, most_bytes: int) -> Reply:
        server.busy += 1
        try:
            reply = await exchange(
                self.client,
                "POST",
                url_of(server.address, path),
                content=content,
                headers=self._headers,
                seconds=self.connection.timeout,
                most_bytes=most_bytes,
            )
        finally:
            server.busy -= 1
        if reply.status in (408, 409, 429) or reply.status >= 500:
            raise Busy(reply)
        server.answered()
        if not 200 <= reply.status < 300:
            raise Refused(server, reply)
        return reply


def asked(
    connection: Connection,
    servers: Sequence[Server],
    count: int,
    ask: Callable[[Line, int], Awaitable[Answer]],
    on_done: Callable[[int], None] | None = None,
) -> list[Answer]:
    """The answers of `ask(line, index)` for each index below `count`, in order; the first that raises ends all."""
    return asyncio.run(_asked(connection, servers, count, ask, on_done))


async def _asked(
    connection: Connection,
    servers: Sequence[Server],
    count: int,
    ask: Callable[[Line, int], Awaitable[Answer]],
    on_done: Callable[[int], None] | None,
) -> list[Answer]:
    results: dict[int, Answer] = {}
    waiting = iter(range(count))

    async def work(line: Line) -> None:
        for index in waiting:
            results[index] = await ask(line, index)
            if on_done is not None:
                on_done(1)

    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=connection.concurrency)
    waits = httpx2.Timeout(None, connect=min(connection.timeout, CONNECT_SECONDS))
    async with httpx2.AsyncClient(timeout=waits, limits=limits) as client:
        line = Line(connection, servers, client)
        tasks = [asyncio.create_task(work(line)) for _ in range(min(connection.concurrency, count))]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    return [results[index] for index in range(count)]


def called(connection: Connection, server: Server, path: str, body: Mapping[str, Any] | None, most_bytes: int) -> Reply:
    """The answer to one request outside the address's `/v1`: GET, or POST with a body. Raises ModelError."""
    return asyncio.run(_called(connection, server, path, body, most_bytes))


async def _called(
    connection: Connection, server: Server, path: str, body: Mapping[str, Any] | None, most_bytes: int
) -> Reply:
    root = server.address.rstrip("/").removesuffix("/v1")
    try:
        async with httpx2.AsyncClient(timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS)) as client:
            return await exchange(
                client,
                "GET" if body is None else "POST",
                httpx2.URL(root + path),
                content=None if body is None else json.dumps(body).encode(),
                headers={**connection.headers, "Content-Type": "application/json"},
                seconds=connection.timeout,
                most_bytes=most_bytes,
            )
    except Fault as fault:
        why = (
            f"no answer within {connection.timeout:g} s" if isinstance(fault, TooSlow) else connection.safe(fault, 120)
        )
        raise ModelError(
            f"The server {shown(server.address)} cannot be asked for {path} ({why}): is it running?"
        ) from fault


def connection_of(settings: ModelSettings) -> Connection:
    """Where the settings say the model is served. Raises ModelError for an invalid address or header."""
    return Connection(
        addresses=settings.base_url,
        model=settings.named,
        api_key_env=settings.api_key_env,
        timeout=settings.timeout,
        retries=settings.retries,
        concurrency=settings.concurrency,
        headers_env=settings.server_headers_env,
    )


def url_of(address: str, path: str) -> httpx2.URL:
    """The URL of an endpoint; the address's own query stays at its end.

    >>> str(url_of("https://host/v1/?version=2", "/chat/completions"))
    'https://host/v1/chat/completions?version=2'
    """
    url = httpx2.URL(address)
    return url.copy_with(path=url.path.rstrip("/") + path)


def _wait(waits: int, fault: Fault) -> float:
    """Seconds before the next try of a request that has waited so often."""
    if fault.retry_after is not None and 0 < fault.retry_after <= LONGEST_ASKED_WAIT:
        return fault.retry_after
    # Requests that failed together should not come back together.
    return float(min(FIRST_WAIT * 2**waits, LONGEST_WAIT) * (1 - 0.25 * random.random()))
