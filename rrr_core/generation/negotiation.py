"""Which fields of a request a server takes: all are sent at first, and what it refuses is left out or renamed.

Servers differ, and none says what it takes before it is asked. What is not sent, the server decides: vLLM fills every
field that is missing from the model's `generation_config.json`. So the whole sampling is sent, neutral values included,
until an HTTP 400 or 422 names a field. A server that ignores a field without a word cannot be recognised.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from rrr_core.errors import ModelError
from rrr_core.generation.engine import Sampling
from rrr_core.generation.tool_calls import sent_messages
from rrr_core.hookspecs import Message
from rrr_core.text import one_line

LIMIT, NEWER_LIMIT = "max_tokens", "max_completion_tokens"
NEUTRAL: Mapping[str, float] = {
    "temperature": 1,
    "top_p": 1,
    "top_k": -1,
    "min_p": 0,
    "repetition_penalty": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
}
"""Field → the value that changes nothing. For `top_k`, SGLang takes -1 alone, and others 0 as well."""
THOUGHT = "reasoning_content"
"""A message's field for its thought, which the server's chat template may show."""
CUTS = ("top_p", "top_k", "min_p")
"""What greedy decoding does not depend on."""

_NOT_TAKEN = re.compile(
    r"unsupported|not support|not permitted|not allowed|unrecogni[sz]ed|unknown|unexpected|deprecated|extra|instead",
    re.I,
)
"""A refusal of the field itself, and not of its value: a token limit may also be too large."""


def sampling_fields(sampling: Sampling, seed: int) -> dict[str, float]:
    """The fields of a request that say how to draw its text."""
    return {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k or NEUTRAL["top_k"],
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
        "presence_penalty": NEUTRAL["presence_penalty"],
        "frequency_penalty": NEUTRAL["frequency_penalty"],
        LIMIT: sampling.max_tokens,
        "seed": seed,
    }


class Negotiation:
    """What one model's servers were found to refuse, for the rest of the run.

    `own` are fields the user wrote, which are sent as they are, in place of ours of the same name.
    """

    def __init__(self, own: Mapping[str, Any]) -> None:
        self.own = own
        self.left_out: list[str] = []
        self.takes_newer_limit = False
        self.takes_thoughts = True
        self._taken: set[tuple[str, str, str]] = set()

    def fields(self, wanted: Mapping[str, float], who: str) -> dict[str, Any]:
        """The fields to send. Raises ModelError if one that the server refuses would change the text's meaning."""
        sent: dict[str, Any] = {}
        for name, value in wanted.items():
            if name in self.left_out:
                _check_may_be_left_out(name, wanted, f"{who} refuses the field {name}")
            else:
                sent[NEWER_LIMIT if name == LIMIT and self.takes_newer_limit else name] = value
        return {**sent, **self.own}

    def messages(self, conversation: Sequence[Message]) -> list[dict[str, Any]]:
        """A conversation as it is sent: earlier thoughts in a field of their own, if the server takes them; calls too.

        Tools are not among the messages.
        """
        sent = []
        for message in conversation:
            fields = dict(message)
            thought = fields.pop("thought", "")
            sent.append({**fields, THOUGHT: thought} if thought and self.takes_thoughts else fields)
        return sent_messages(sent)

    def answered(self, address: str, sent: Mapping[str, Any]) -> None:
        """Note that a server took these fields: a later refusal that names one of them is about its own request."""
        self._taken.update((address, name, repr(value)) for name, value in sent.items() if name != "seed")
        if "seed" in sent:  # another one in each request
            self._taken.add((address, "seed", ""))

    def refused(
        self, address: str, who: str, wanted: Mapping[str, float], sent: Mapping[str, Any], body: bytes
    ) -> bool:
        """Whether a refused request can be sent again, without what the refusal names; False if it names no field.

        Raises ModelError if what it names cannot be left out.
        """
        message, names = said_of(body)
        named = [name for name in sent if name in names and not self._is_taken(address, name, sent[name])]
        for name in named:
            if name in self.own:
                option = "--template" if name == "chat_template_kwargs" else f"--server-body {name}"
                raise ModelError(f"{who} refuses {option} ({one_line(message, 200)}): leave it out, or change it.")
        if THOUGHT in names and self.takes_thoughts:
            self.takes_thoughts = False
            return True
        if LIMIT in named and _NOT_TAKEN.search(message):
            self.takes_newer_limit = True
            return True
        ours = [name for name in named if name in NEUTRAL or name == "seed"]
        if not ours:
            return False
        # A refusal may name two that do not go together: the one that changes nothing is left out.
        neutral = [name for name in ours if _may_be_left_out(name, wanted)]
        if not neutral:
            said = one_line(message, 200)
            _check_may_be_left_out(ours[0], wanted, f"{who} refuses {ours[0]} = {sent[ours[0]]:g} ({said})")
        self.left_out += [name for name in neutral if name not in self.left_out]
        return True

    def _is_taken(self, address: str, name: str, value: Any) -> bool:
        return (address, name, "" if name == "seed" else repr(value)) in self._taken

    def has_moved_on(self, sent: Mapping[str, Any]) -> bool:
        """Whether fields were sent that by now are known to be refused, so that the request is sent again."""
        ours = set(sent) - set(self.own)
        return bool(ours & set(self.left_out)) or (self.takes_newer_limit and LIMIT in ours)

    @property
    def found(self) -> dict[str, Any]:
        """What a manifest records; empty if the server takes everything."""
        renamed = {LIMIT: NEWER_LIMIT} if self.takes_newer_limit else {}
        left_out = sorted([*self.left_out, *([] if self.takes_thoughts else [THOUGHT])])
        return {
            **({"left_out": left_out} if left_out else {}),
            **({"renamed": renamed} if renamed else {}),
        }

    def notice(self, who: str) -> str | None:
        """What a person should know about it; None if the server takes everything."""
        parts = []
        if self.left_out:
            parts.append(f"refuses {', '.join(sorted(self.left_out))}: left out, so the server decides")
        if "seed" in self.left_out:
            parts.append("may give other texts when it is asked again")
        if self.takes_newer_limit:
            parts.append(f"takes {NEWER_LIMIT} in place of {LIMIT}")
        if not self.takes_thoughts:
            parts.append("takes no earlier thoughts")
        return f"{who} {'; it '.join(parts)}." if parts else None


def _may_be_left_out(name: str, wanted: Mapping[str, float]) -> bool:
    is_greedy = wanted["temperature"] == 0
    return name == "seed" or wanted[name] == NEUTRAL[name] or (is_greedy and name in CUTS)


def _check_may_be_left_out(name: str, wanted: Mapping[str, float], what: str) -> None:
    if _may_be_left_out(name, wanted):
        return
    advice = (
        "sample at its own temperature with --temperature 1, in an evaluation with --modes sampled --temperature 1"
        if name == "temperature"
        else f"leave out --{name.replace('_', '-')}"
    )
    raise ModelError(f"{what}, and without it the texts would be others: {advice}, or use another server.")


def said_of(body: bytes) -> tuple[str, set[str]]:
    """A refusal's message, and the names of fields in it.

    They are in OpenAI's `param` or FastAPI's `loc`; or else any word of the message may be one.

    >>> said_of(b'{"detail": [{"loc": ["body", "top_k"], "msg": "Extra inputs are not permitted"}]}')
    ('Extra inputs are not permitted', {'top_k'})
    """
    text = body.decode("utf-8", "replace")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    message, named = _message(content)
    message = (message or text)[:500]
    return message, named or set(re.findall(r"[A-Za-z_]+", message))


def _message(content: Any) -> tuple[str, set[str]]:
    if not isinstance(content, dict):
        return "", set()
    error = content.get("error", content)
    if isinstance(error, str):
        return error, set()
    if not isinstance(error, dict):
        return "", set()
    detail = error.get("detail")
    if isinstance(detail, list):
        parts = [part for part in detail if isinstance(part, dict)]
        places = [part.get("loc") for part in parts]
        named = {place[-1] for place in places if isinstance(place, list) and place and isinstance(place[-1], str)}
        said = [part.get("msg") for part in parts]
        return "; ".join(text for text in said if isinstance(text, str)), named
    message = next((error[key] for key in ("message", "msg", "detail") if isinstance(error.get(key), str)), "")
    param = error.get("param")
    return message, {param.rpartition(".")[2]} if isinstance(param, str) and param else set()
