"""Foreign text made fit for one line of an error message."""

from __future__ import annotations


def one_line(text: object, limit: int = 300) -> str:
    """`text` with its white space collapsed and what cannot be printed left out, cut at `limit` characters.

    >>> one_line("No such\\n  file\\x1b[31m")
    'No such file[31m'
    """
    line = " ".join(str(text).split())
    line = "".join(character for character in line if character.isprintable())
    return line if len(line) <= limit else line[: limit - 1] + "…"
