"""The overlay `person-judge`: a person says whether an answer is right, in the terminal or on a page in a browser.

Every verdict is kept in a file as it is given, so that a job that was stopped asks for none of them again. The person
sees the prompt, the row and the answer, and nothing of what a verifier or another judge says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rrr_core.errors import RrrError
from rrr_core.hookspecs import Row, hookimpl
from rrr_core.overlays.options import read_options
from rrr_core.settings import option
from rrr_core.verdicts import Verdict

NAME = "person-judge"
"""The overlay's name."""


@dataclass(frozen=True)
class PersonSettings:
    """What `--with person-judge:KEY=VALUE,…` sets."""

    file: str = option("person-verdicts.jsonl", "File that the verdicts are kept in, and that a later call resumes.")
    page: str = option("", "Ask on a page in the browser, at this port or at a free one (auto), not in the terminal.")
    open: bool = option(False, "Open the page in the browser (yes), instead of printing its address only (no).")
    name: str = option("", "Who judges: written beside each verdict.")

    @property
    def port(self) -> int | None:
        """The page's port, 0 for a free one; None where the terminal is asked. Raises RrrError."""
        if not self.page:
            return None
        if self.page == "auto":
            return 0
        # No number of a port is longer; `int` of a very long one raises.
        if self.page.isascii() and self.page.isdecimal() and len(self.page) <= 5 and 0 < int(self.page) < 1 << 16:
            return int(self.page)
        raise RrrError(
            f"The overlay {NAME!r}, option page: expected auto or a port from 1 to 65535, not {self.page!r}."
        )


@hookimpl
def rrr_configure(options: Mapping[str, str]) -> list[Callable[..., Any]]:
    """The hook that asks the person. Nothing is opened before the first answer is to be judged."""
    settings = read_options(NAME, PersonSettings, options)
    if settings.open and settings.port is None:
        raise RrrError(f"The overlay {NAME!r}, option open: there is no page to open: give page=auto too.")
    if not settings.file:
        raise RrrError(f"The overlay {NAME!r}, option file: a name is expected: leave the option out for the default.")

    @hookimpl
    def rrr_judge(task: str, pairs: Sequence[tuple[Row, str]]) -> list[Verdict]:
        from rrr_core.overlays.person.desk import desk_of

        return desk_of(settings, task).judge(pairs)

    return [rrr_judge]
