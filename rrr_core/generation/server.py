"""The server engine: any model behind an OpenAI-compatible `/v1/chat/completions`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from rrr_core.chat.marks import Marks, marks_from
from rrr_core.episode import Generation
from rrr_core.errors import ModelError
from rrr_core.generation.addresses import shown
from rrr_core.generation.connection import Connection, Line, Refused, Unreadable, asked, connection_of
from rrr_core.generation.engine import Engine, Sampling
from rrr_core.generation.families import family_of
from rrr_core.generation.missing import FILTERED, REFUSED, is_filtered
from rrr_core.generation.negotiation import Negotiation, sampling_fields
from rrr_core.generation.pool import Server
from rrr_core.generation.replies import most_bytes, read_completion
from rrr_core.generation.settings import ModelSettings
from rrr_core.generation.tool_calls import sent_tools
from rrr_core.hookspecs import Message, Model
from rrr_core.seeds import request_seed

PATH = "/chat/completions"


class ServerEngine(Engine):
    """A model of one or several servers as an Engine; at most `concurrency` requests are in flight at a time.

    Each request has its own seed, a pure function of `Sampling.seed` and the request's place, whichever server answers;
    whether the same seed gives the same text is up to the server. `body` has further fields for each request, and
    `marks` part the thought from the answer where a server leaves both in one text.

    What concerns one request (a filter, a refusal, a reply that cannot be read after all retries) leaves it without an
    answer (`Generation.missing`). What concerns all of them raises ModelError.

    Its model takes no tools (`Model.takes_tools`), whatever its chat template: given tools, a server parses the reply
    into calls, and the text that the model wrote, which a task without steps judges, is lost. A task with steps gets
    the calls (`Model.calls`).
    """

    def __init__(
        self,
        connection: Connection,
        family: str | None = None,
        body: Mapping[str, Any] | None = None,
        marks: Marks | None = None,
    ) -> None:
        self.connection, self.marks = connection, marks
        self.model = Model(connection.model, family or family_of(connection.model), calls=True)
        self.negotiation = Negotiation(body or {})
        self._servers = [Server(address) for address in connection.addresses]
        self._has_answered = False

    def generate(
        self,
        conversations: Sequence[Sequence[Message]],
        sampling: Sampling,
        on_done: Callable[[int], None] | None = None,
    ) -> list[Generation]:
        """One text for each conversation, in order; see Engine."""
        if not conversations:
            return []

        async def ask(line: Line, index: int) -> Generation:
            wanted = sampling_fields(sampling, request_seed(sampling.seed, index))
            tools, spoken = sent_tools(conversations[index])
            return await self._ask(line, _Request(spoken, wanted, sampling.max_tokens, tools))

        return asked(self.connection, self._servers, len(conversations), ask, on_done)

    def describe(self) -> dict[str, object]:
        """What a manifest records: the model's name, the servers' addresses without credentials, further fields."""
        return {
            "backend": "server",
            "name": self.model.name,
            "family": self.model.family,
            "base_url": self.connection.shown(),
            **({"body": dict(self.negotiation.own)} if self.negotiation.own else {}),
            **({"thought_marks": self.marks.words} if self.marks else {}),
        }

    @property
    def thinks(self) -> bool:
        """Whether thought marks were named; whether a server parses thoughts itself shows in its replies alone."""
        return self.marks is not None

    @property
    def notice(self) -> str | None:
        """Which fields the server was found to refuse, so that it decides them."""
        return self.negotiation.notice(self._who)

    @property
    def findings(self) -> dict[str, object]:
        """The same for a manifest."""
        return self.negotiation.found

    @property
    def _who(self) -> str:
        addresses = sorted(map(shown, self.connection.addresses))
        return f"The server {addresses[0]}" if len(addresses) == 1 else f"One of the servers {', '.join(addresses)}"

    async def _ask(self, line: Line, request: _Request) -> Generation:
        """What the model wrote, or why it has no answer. Raises ModelError for what concerns all requests."""
        try:
            return await self._answer(line, request)
        except (Refused, Unreadable) as error:
            if not self._has_answered and not await self._answers_at_all(line, request):
                self._raise(error)
            if isinstance(error, Unreadable):
                return Generation("", missing=error.kind)
            is_filter = is_filtered(error.reply.body.decode("utf-8", "replace"))
            return Generation("", missing=FILTERED if is_filter else REFUSED)

    async def _answer(self, line: Line, request: _Request) -> Generation:
        """The reply to a request with the fields the server takes. Raises Refused, Unreadable, or ModelError."""
        while True:
            fields = self.negotiation.fields(request.wanted, self._who)
            messages = self.negotiation.messages(request.messages)
            body = {"model": self.model.name, "messages": messages, **request.tools, **fields}
            read = partial(read_completion, marks=self.marks, has_tools=bool(request.tools))
            try:
                made, server = await line.post(PATH, body, most_bytes(request.max_tokens), read)
            except Refused as refused:
                if not self._may_send_again(refused, request, fields):
                    raise
                continue
            self.negotiation.answered(server.address, fields)
            self._has_answered = True
            return made

    def _may_send_again(self, refused: Refused, request: _Request, fields: Mapping[str, Any]) -> bool:
        """Whether the request can be put in a way that the server takes. Raises ModelError if none can."""
        reply = refused.reply
        if reply.status in (401, 403, 404) or 300 <= reply.status < 400:
            self.connection.refuse(refused)
        if reply.status not in (400, 422) or is_filtered(reply.body.decode("utf-8", "replace")):
            return False
        if self.negotiation.has_moved_on(fields):  # after the refusal of another request
            return True
        who, address = f"The server {shown(refused.server.address)}", refused.server.address
        return self.negotiation.refused(address, who, request.wanted, fields, reply.body)

    async def _answers_at_all(self, line: Line, request: _Request) -> bool:
        """Whether the server answers a plain request, so that what it did not answer is about that one alone."""
        try:
            await self._answer(line, request.plain())
        except (Refused, Unreadable):
            return False
        return True

    def _raise(self, error: Refused | Unreadable) -> None:
        if isinstance(error, Refused):
            self.connection.refuse(error)
        raise ModelError(
            f"{self._who} answered with no chat completion ({error.kind}): {self.connection.safe(error.body, 120)!r}."
        ) from error


@dataclass(frozen=True, slots=True)
class _Request:
    """One request, before it is known which of its fields the server takes."""

    messages: Sequence[Message]
    wanted: Mapping[str, float]
    max_tokens: int
    tools: Mapping[str, Any] = field(default_factory=dict)
    """The field for them; empty without any."""

    def plain(self) -> _Request:
        """One that any server can answer, if it takes tools where they are given."""
        return replace(self, messages=[{"role": "user", "content": "Hi"}])


def open_server(settings: ModelSettings) -> ServerEngine:
    """The served model that the settings name. Raises ModelError for an invalid address, field or header."""
    chat = settings.chat
    template = {"chat_template_kwargs": dict(chat.arguments)} if chat.arguments else {}
    marks = marks_from(chat.thought_marks) if chat.thought_marks else None
    return ServerEngine(connection_of(settings), settings.family, {**settings.server_fields, **template}, marks)
