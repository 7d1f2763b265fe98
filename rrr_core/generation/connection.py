"""Requests to an OpenAI-compatible server: several in flight, retried after a fault, errors in one line.

The `openai` client retries a request after 408, 409, 429, 5xx, time-outs and lost connections. Its wait doubles each
time (0.5 to 8 s, less up to a random quarter), or follows the server's `Retry-After`, up to two minutes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import openai

from rrr_core.errors import ModelError
from rrr_core.generation.addresses import is_address, shown
from rrr_core.text import one_line

Answer = TypeVar("Answer")

CONNECT_SECONDS = 10.0
"""Longest wait for a connection, whatever the time-out for an answer."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A server's address and how to send requests to it. Raises ModelError for an invalid address."""

    base_url: str
    model: str
    api_key_env: str
    timeout: float
    """Seconds to wait for one answer."""
    retries: int
    concurrency: int
    """Requests in flight at a time."""

    def __post_init__(self) -> None:
        if not is_address(self.base_url):
            raise ModelError("The base URL is not a server's address: write it like http://127.0.0.1:8000/v1.")

    @property
    def authorization(self) -> dict[str, str]:
        """The HTTP header that authorizes a request."""
        key = os.environ.get(self.api_key_env)
        return {"Authorization": f"Bearer {key}"} if key else {}

    def ask_all(
        self,
        count: int,
        ask: Callable[[openai.AsyncOpenAI, int], Awaitable[Answer]],
        on_done: Callable[[int], None] | None,
    ) -> list[Answer]:
        """The answers of `ask(client, index)` for each index below `count`, in order; the first failure ends all."""
        return asyncio.run(self._ask_all(count, ask, on_done))

    async def _ask_all(
        self,
        count: int,
        ask: Callable[[openai.AsyncOpenAI, int], Awaitable[Answer]],
        on_done: Callable[[int], None] | None,
    ) -> list[Answer]:
        results: dict[int, Answer] = {}
        waiting = iter(range(count))

        async def work(client: openai.AsyncOpenAI) -> None:
            for index in waiting:
                results[index] = await ask(client, index)
                if on_done is not None:
                    on_done(1)

        async with openai.AsyncOpenAI(
            base_url=self.base_url,
            api_key=os.environ.get(self.api_key_env) or "none",
            timeout=openai.Timeout(self.timeout, connect=min(self.timeout, CONNECT_SECONDS)),
            max_retries=self.retries,
        ) as client:
            tasks = [asyncio.create_task(work(client)) for _ in range(min(self.concurrency, count))]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        return [results[index] for index in range(count)]

    def what_failed(self, error: openai.OpenAIError) -> str:
        """One line on a request that was refused, or that failed after all its retries."""
        who = f"The server {shown(self.base_url)}"
        if isinstance(error, openai.APITimeoutError):
            return f"{who} gave no answer within {self.timeout:g} s, {self.retries + 1} times: raise --timeout."
        if isinstance(error, openai.APIConnectionError):
            cause = one_line(error.__cause__ or error, 120)
            return f"{who} cannot be reached, tried {self.retries + 1} times ({cause}): is it running?"
        if not isinstance(error, openai.APIStatusError):
            return f"{who} failed: {self.safe(error)}"
        said = f"HTTP {error.status_code}: {self.safe(error.message)}"
        if error.status_code in (401, 403):
            state = "is set, but refused" if os.environ.get(self.api_key_env) else "is not set"
            return f"{who} denies access ({said}): the environment variable {self.api_key_env} {state}."
        if error.status_code == 404:
            return f"{who} knows no model {self.model!r}, or the address lacks its /v1 ({said})."
        if error.status_code in (408, 409, 429) or error.status_code >= 500:
            return (
                f"{who} failed {self.retries + 1} times ({said}): lower --concurrency, raise --retries, or see its log."
            )
        return f"{who} refused the request ({said})."

    def safe(self, text: object, limit: int = 200) -> str:
        """A server's words in one line, without the key, which some servers repeat."""
        key = os.environ.get(self.api_key_env)
        return one_line(str(text).replace(key, "…") if key else text, limit)
