"""The overlay's options: what `--with person-judge:KEY=VALUE,…` sets."""

from __future__ import annotations

from dataclasses import dataclass

from rrr_core.errors import RrrError
from rrr_core.overlays import option

NAME = "person-judge"
"""The overlay's name."""
UNNAMED = "judged wrong"
"""The error class of a failure without one from the person."""


@dataclass(frozen=True)
class PersonOptions:
    """What `--with person-judge:KEY=VALUE,…` sets."""

    file: str = option("person-verdicts.jsonl", "File that keeps the verdicts; a later call resumes from it.")
    page: str | None = option(None, "Port of a page to judge on, or `auto` for a free one; by default the terminal.")
    open: bool = option(False, "Whether the page is opened in the browser; its address is printed anyway.")
    name: str | None = option(None, "Who judges; it is kept beside each verdict.")

    @property
    def port(self) -> int | None:
        """The page's port, 0 for a free one; None for the terminal. Raises RrrError."""
        if self.page is None:
            return None
        if self.page == "auto":
            return 0
        # No port number is longer; `int` of a very long one raises.
        if self.page.isascii() and self.page.isdecimal() and len(self.page) <= 5 and 0 < int(self.page) < 1 << 16:
            return int(self.page)
        raise RrrError(
            f"The overlay {NAME!r}, option page: expected auto or a port from 1 to 65535, not {self.page!r}."
        )
