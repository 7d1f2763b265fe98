"""Why an engine has no answer to a request: the kinds of `Generation.missing`."""

from __future__ import annotations

FILTERED = "content filter"
"""A filter took the answer, or refused the request."""
REFUSAL = "refusal"
"""The reply's `refusal` stands in place of a text."""
REFUSED = "request refused"
"""The server refused this one request, such as one that is too long for the model's context."""
FAILED = "error in the reply"
"""An error object in a reply that should hold a text."""
NOT_READ = "unreadable reply"
"""Not JSON, nested too deeply, not UTF-8, or no chat completion."""
TOO_LONG = "reply too long"
"""More bytes than the token limit allows for."""


def is_filtered(said: str) -> bool:
    """Whether an error's words are those of a filter."""
    lower = said.lower()
    return any(words in lower for words in ("content_filter", "content_policy", "content filter", "content policy"))
