"""The server engine: any model behind an OpenAI-compatible `/v1/chat/completions`.

The `openai` client sends a request again after 408, 409, 429, 5xx, time-outs and lost connections. It waits twice as
long each time (0.5 to 8 s, less a random quarter at most), or as the server's `Retry-After` says, up to two minutes.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import openai

from rrr_core.episode import Generation
from rrr_core.errors import ModelError
from rrr_core.generation.base import Sampling, request_seed
from rrr_core.generation.families import family_of
from rrr_core.generation.text import one_line
from rrr_core.hookspecs import Message, Model
from rrr_core.tools import TOOLS_ROLE

CONNECT_SECONDS = 10.0
"""Longest wait for a connection, whatever the time-out of an answer is."""


class ServerGenerator:
    """A server's model as a Generator; at most `concurrency` requests are in flight at a time.

    Each request carries its own seed, a pure function of `Sampling.seed` and the request's place; whether the same seed
    gives the same text is up to the server. `top_k` is sent where it is set: vLLM and others take it, OpenAI does not.

    Its model takes no tools (`Model.takes_tools`), whatever its chat template: a server that is given tools parses the
    reply into calls of its own form, and the text that the model wrote, which is what a task judges, is gone.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key_env: str = "OPENAI_API_KEY",
        timeout: float = 300.0,
        retries: int = 5,
        concurrency: int = 16,
        family: str | None = None,
    ) -> None:
        if not is_address(base_url):
            raise ModelError("The base URL is no server's address: write it like http://127.0.0.1:8000/v1.")
        self.base_url, self.api_key_env = base_url, api_key_env
        self.timeout, self.retries, self.concurrency = timeout, retries, concurrency
        self.model = Model(model, family or family_of(model))

    def generate(
        self,
        conversations: Sequence[Sequence[Message]],
        sampling: Sampling,
        on_done: Callable[[int], None] | None = None,
    ) -> list[Generation]:
        """One text for each conversation, in order; see Generator. The first request that fails ends them all."""
        if not conversations:
            return []
        if any(conversation[0]["role"] == TOOLS_ROLE for conversation in conversations):
            raise ModelError(
                "A prompt begins with tools, and a server's model is given none: have the plugin write them into the"
                " text where model.takes_tools is false, or use the transformers backend."
            )
        return asyncio.run(self._generate(conversations, sampling, on_done))

    def describe(self) -> dict[str, object]:
        """What a manifest records: the model's name, the server's address without credentials, the client's version."""
        return {
            "backend": "server",
            "name": self.model.name,
            "family": self.model.family,
            "base_url": shown(self.base_url),
            "openai": version("openai"),
        }

    async def _generate(
        self,
        conversations: Sequence[Sequence[Message]],
        sampling: Sampling,
        on_done: Callable[[int], None] | None,
    ) -> list[Generation]:
        results: dict[int, Generation] = {}
        waiting = iter(range(len(conversations)))

        async def work(client: openai.AsyncOpenAI) -> None:
            for index in waiting:
                results[index] = await self._ask(client, conversations[index], sampling, index)
                if on_done is not None:
                    on_done(1)

        async with openai.AsyncOpenAI(
            base_url=self.base_url,
            api_key=os.environ.get(self.api_key_env) or "none",
            timeout=openai.Timeout(self.timeout, connect=min(self.timeout, CONNECT_SECONDS)),
            max_retries=self.retries,
        ) as client:
            tasks = [asyncio.create_task(work(client)) for _ in range(min(self.concurrency, len(conversations)))]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        return [results[index] for index in range(len(conversations))]

    async def _ask(
        self, client: openai.AsyncOpenAI, conversation: Sequence[Message], sampling: Sampling, index: int
    ) -> Generation:
        messages: Any = [dict(message) for message in conversation]
        try:
            answer = await client.chat.completions.with_raw_response.create(
                model=self.model.name,
                messages=messages,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                max_tokens=sampling.max_tokens,
                seed=request_seed(sampling.seed, index),
                extra_body={"top_k": sampling.top_k} if sampling.top_k else None,
            )
        except openai.OpenAIError as error:
            raise ModelError(self._what_failed(error)) from error
        return self._read(answer.http_response.text)

    def _what_failed(self, error: openai.OpenAIError) -> str:
        """One line on a request that was refused, or failed once more after all its retries."""
        who = f"The server {shown(self.base_url)}"
        if isinstance(error, openai.APITimeoutError):
            return f"{who} gave no answer within {self.timeout:g} s, {self.retries + 1} times: raise --timeout."
        if isinstance(error, openai.APIConnectionError):
            cause = one_line(error.__cause__ or error, 120)
            return f"{who} cannot be reached, tried {self.retries + 1} times ({cause}): is it running?"
        if not isinstance(error, openai.APIStatusError):
            return f"{who} failed: {self._safe(error)}"
        said = f"HTTP {error.status_code}: {self._safe(error.message)}"
        if error.status_code in (401, 403):
            state = "is set, but refused" if os.environ.get(self.api_key_env) else "is not set"
            return f"{who} lets us not in ({said}): the environment variable {self.api_key_env} {state}."
        if error.status_code == 404:
            return f"{who} knows no model {self.model.name!r}, or the address lacks its /v1 ({said})."
        if error.status_code in (408, 409, 429) or error.status_code >= 500:
            return (
                f"{who} failed {self.retries + 1} times ({said}): lower --concurrency, raise --retries, or see its log."
            )
        return f"{who} refused the request ({said})."

    def _read(self, text: str) -> Generation:
        """The generation in the body of an answer. Raises ModelError where there is none."""
        try:
            choice = json.loads(text)["choices"][0]
            content, finish = choice["message"]["content"], choice.get("finish_reason")
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ModelError(
                f"The server {shown(self.base_url)} answered with no chat completion: {self._safe(text, 120)!r}."
            ) from error
        if content is None and finish == "length":
            content = ""  # a reasoning model that spent its tokens before it came to answer
        if not isinstance(content, str):
            raise ModelError(
                f"The server {shown(self.base_url)} answered without a text (finish reason {self._safe(finish, 40)})."
            )
        return Generation(content, finish="length" if finish == "length" else "stop")

    def _safe(self, text: object, limit: int = 200) -> str:
        """A server's words in one line, without the key, which some servers repeat."""
        key = os.environ.get(self.api_key_env)
        return one_line(str(text).replace(key, "…") if key else text, limit)


def is_address(base_url: str) -> bool:
    """Whether a request can be sent to `base_url`."""
    try:
        parts = urlsplit(base_url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a broken port or IPv6 address
        return False


def shown(base_url: str) -> str:
    """A server's address without user name, password and query.

    >>> shown("https://me:secret@host:8000/v1?key=1")
    'https://host:8000/v1'
    """
    parts = urlsplit(base_url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
