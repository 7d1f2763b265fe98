"""Texts that can be kept."""

from __future__ import annotations


def clean(text: str) -> str:
    """The text with `?` for each half of a surrogate pair, which JSON can spell and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")
