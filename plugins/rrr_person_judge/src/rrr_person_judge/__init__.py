"""The overlay `person-judge`: a person says whether an answer is right, in the terminal or on a page in a browser.

Every verdict is saved to a file as soon as it is given, so a stopped job does not ask for it again. The person sees the
prompt, the row and the answer, and nothing of what a verifier or another judge says.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rrr_core import Manifest, Row, Verdict, hookimpl
from rrr_core.errors import RrrError
from rrr_core.overlays import read_options
from rrr_person_judge.options import NAME, UNNAMED, PersonOptions


@hookimpl
def rrr_configure(options: Mapping[str, str]) -> list[Callable[..., Any]]:
    """The hook that asks the person, and the wrapper around the manifest.

    Nothing is opened before the first answer has to be judged. Raises RrrError for invalid options.
    """
    settings = read_options(NAME, PersonOptions, options)
    has_page = settings.port is not None
    if settings.open and not has_page:
        raise RrrError(f"The overlay {NAME!r}, option open: there is no page to open: give page=auto too.")
    if not settings.file:
        raise RrrError(f"The overlay {NAME!r}, option file: a name is expected: leave the option out for the default.")

    @hookimpl
    def rrr_judge(task: str, pairs: Sequence[tuple[Row, str]]) -> list[Verdict]:
        from rrr_person_judge.desk import desk_of

        return desk_of(settings, task).judge(pairs)

    @hookimpl(wrapper=True)
    def rrr_manifest() -> Generator[None, Manifest | None, Manifest | None]:
        manifest = yield
        return manifest and replace(manifest, categories=(*manifest.categories, UNNAMED), deterministic=False)

    return [rrr_judge, rrr_manifest]
