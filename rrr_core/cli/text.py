"""Text that is safe to print: what a model or a file wrote must not drive the terminal."""

from __future__ import annotations

import unicodedata

HARMFUL = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that move the cursor, hide or turn text round: control, format, surrogate, separators."""


def plain(text: str) -> str:
    """The text with every control and format character as `�`; line breaks and tabs stay.

    >>> plain("a\\x1b[2Jb")
    'a�[2Jb'
    """
    return "".join("�" if unicodedata.category(mark) in HARMFUL and mark not in "\n\t" else mark for mark in text)


def one_line(text: str, longest: int = 1000) -> str:
    """The text as one line of at most `longest` characters."""
    line = plain(" ".join(text.split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
