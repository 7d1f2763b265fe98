"""The server engine: any model behind an OpenAI-compatible `/v1/chat/completions`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import openai

from rrr_core.episode import Generation
from rrr_core.errors import ModelError
from rrr_core.generation.addresses import shown
from rrr_core.generation.connection import Connection
from rrr_core.generation.engine import Engine, Sampling
from rrr_core.generation.families import family_of
from rrr_core.generation.settings import ModelSettings
from rrr_core.hookspecs import Message, Model
from rrr_core.seeds import request_seed
from rrr_core.tasks.tools import TOOLS_ROLE


class ServerEngine(Engine):
    """A server's model as an Engine; at most `concurrency` requests are in flight at a time.

    Each request has its own seed, a pure function of `Sampling.seed` and the request's place; whether the same seed
    gives the same text is up to the server. `top_k` is sent if it is set: vLLM and others take it, OpenAI does not.

    Its model takes no tools (`Model.takes_tools`), whatever its chat template: given tools, a server parses the reply
    into its own form of calls, and the text that the model wrote, which a task judges, is lost.
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
        self.connection = Connection(base_url, model, api_key_env, timeout, retries, concurrency)
        self.base_url = base_url
        self.model = Model(model, family or family_of(model))

    def generate(
        self,
        conversations: Sequence[Sequence[Message]],
        sampling: Sampling,
        on_done: Callable[[int], None] | None = None,
    ) -> list[Generation]:
        """One text for each conversation, in order; see Engine. The first failing request ends them all."""
        if not conversations:
            return []
        if any(conversation[0]["role"] == TOOLS_ROLE for conversation in conversations):
            raise ModelError(
                "A prompt begins with tools, and a server's model is given none: have the plugin write them into the"
                " text where model.takes_tools is false, or use the transformers backend."
            )

        async def ask(client: openai.AsyncOpenAI, index: int) -> Generation:
            return await self._ask(client, conversations[index], sampling, index)

        return self.connection.ask_all(len(conversations), ask, on_done)

    def describe(self) -> dict[str, object]:
        """What a manifest records: the model's name, the server's address without credentials, the client's version."""
        return {
            "backend": "server",
            "name": self.model.name,
            "family": self.model.family,
            "base_url": shown(self.base_url),
            "openai": version("openai"),
        }

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
            raise ModelError(self.connection.what_failed(error)) from error
        return self._read(answer.http_response.text)

    def _read(self, text: str) -> Generation:
        """The generation in the body of an answer. Raises ModelError if there is none."""
        who, safe = f"The server {shown(self.base_url)}", self.connection.safe
        try:
            choice = json.loads(text)["choices"][0]
            content, finish = choice["message"]["content"], choice.get("finish_reason")
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ModelError(f"{who} answered with no chat completion: {safe(text, 120)!r}.") from error
        if content is None and finish == "length":
            content = ""  # a reasoning model that ran out of tokens before its answer
        if not isinstance(content, str):
            raise ModelError(f"{who} answered without a text (finish reason {safe(finish, 40)}).")
        return Generation(content, finish="length" if finish == "length" else "stop")


def open_server(settings: ModelSettings) -> ServerEngine:
    """The server's model that the settings name. Raises ModelError for an invalid address."""
    return ServerEngine(
        base_url=settings.base_url or "",
        model=settings.named,
        api_key_env=settings.api_key_env,
        timeout=settings.timeout,
        retries=settings.retries,
        concurrency=settings.concurrency,
        family=settings.family,
    )
