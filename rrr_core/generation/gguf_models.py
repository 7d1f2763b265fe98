"""Which models are GGUF files: those are converted before anything else reads them. Imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from rrr_core.errors import ModelError
from rrr_core.generation.engines import AUTO
from rrr_core.generation.gguf_header import is_gguf
from rrr_core.generation.packaged_models import PREFIX, packaged_model
from rrr_core.generation.settings import ModelSettings

OLDEST = "5.20"
"""The first transformers that says how a GGUF file's tokenizer splits text."""
READERS = (AUTO, "transformers", "vllm")
"""The backends that read a model's own files."""


def with_gguf_converted(settings: ModelSettings, folder: Path, say: Callable[[str], None]) -> ModelSettings:
    """The settings, with a model that is a GGUF file or `pip:NAME` as a folder of safetensors below `folder`.

    A server's model and that of an engine from elsewhere keep their names. Raises ModelError for a packaged model that
    is not there, a revision, and a file that cannot be converted.
    """
    name = settings.model
    is_served = settings.backend == AUTO and settings.base_url
    if not name or is_served or settings.backend not in READERS:
        return settings
    path = packaged_model(name) if name.startswith(PREFIX) else Path(name).expanduser()
    if not is_gguf(path):
        return settings
    if settings.revision is not None:
        raise ModelError(f"A revision is for hub models, and {name!r} is a GGUF file: leave the revision out.")
    try:
        from rrr_core.generation.gguf_conversion import converted
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("transformers."):
            raise ModelError(f"{name!r} needs the package {error.name!r}: pip install 'rrr-core[train]'.") from error
        raise ModelError(
            f"{name!r} is a GGUF file, which takes transformers {OLDEST} or later, and {version('transformers')} is"
            " installed: upgrade it, or give the folder that another environment has converted it to."
        ) from error
    return dataclasses.replace(settings, model=str(converted(path, folder, say)))
