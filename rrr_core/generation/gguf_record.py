"""What is known of a folder of safetensors that was converted from a GGUF file. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rrr_core.errors import DataError
from rrr_core.runs.files import read_json

CONVERTED = "converted.json"
"""The file of a converted folder that says what it was converted from."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What a folder was converted from."""

    gguf: str
    """The file's name."""
    gguf_sha256: str
    notices: Sequence[str]
    """What the user should know of it."""


def read_converted(folder: Path) -> Converted:
    """Raises DataError for a folder that was not converted, or a damaged file."""
    path = folder / CONVERTED
    content = read_json(path)
    try:
        return Converted(str(content["gguf"]), str(content["gguf_sha256"]), tuple(map(str, content["notices"])))
    except (TypeError, KeyError):
        raise DataError(
            f"{path}:1: not what rrr writes: delete the folder {folder}, and it is converted again."
        ) from None
