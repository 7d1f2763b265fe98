"""Server addresses: whether one is valid, and how it is shown."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit


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
