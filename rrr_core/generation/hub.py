"""Where a named model is: a folder, or one commit of a hub repository, requested once without long retries."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, try_to_load_from_cache
from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from transformers.utils import logging

from rrr_core.errors import ModelError
from rrr_core.generation.gguf_header import is_gguf
from rrr_core.text import one_line

HUB_PATIENCE = 10.0
"""Seconds the hub gets to answer; `from_pretrained` alone would retry for half a minute when offline."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model or an adapter is loaded from."""

    name: str
    """A folder's path, or a hub name."""
    commit: str | None = None
    """The hub commit; None for a folder."""
    cached: bool = False
    """True if the hub cannot be reached and the local cache is used."""

    @property
    def folder(self) -> Path | None:
        return None if self.commit else Path(self.name)

    @property
    def arguments(self) -> dict[str, object]:
        """The arguments of `from_pretrained`, besides the name."""
        return {} if self.commit is None else {"revision": self.commit, "local_files_only": self.cached}


def locate(name: str, revision: str | None = None, marker: str = "config.json") -> Source:
    """The folder or hub commit that `name` means.

    `marker` is a file that the folder must hold. Raises ModelError if there is no such folder or repository, or neither
    hub nor cache has it.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / marker).is_file():
            inside = sorted(folder.glob("*.gguf"))
            instead = f" It holds GGUF files: name one of them, such as {inside[0]}." if inside else ""
            raise ModelError(f"The folder {name!r} holds no model: it has no {marker}.{instead}")
        if revision is not None:
            raise ModelError(f"A revision is for hub models, and {name!r} is a folder: leave the revision out.")
        return Source(str(folder))
    if is_gguf(folder):
        raise ModelError(
            f"{name!r} is a GGUF file, and is converted by the commands that take it as --model; elsewhere name a"
            " folder of safetensors."
        )
    if folder.exists():
        raise ModelError(f"{name!r} is a file: name the folder that holds the model.")
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name:
        raise ModelError(f"There is no model folder {name!r}.")
    at = f" at revision {revision!r}" if revision else ""
    try:
        commit = HfApi().model_info(name, revision=revision, timeout=HUB_PATIENCE).sha
    except HFValidationError as error:
        raise ModelError(f"{name!r} is neither a folder nor a hub name: {one_line(error)}") from error
    except RevisionNotFoundError as error:
        raise ModelError(f"The hub's model {name!r} has no revision {revision!r}.") from error
    except GatedRepoError as error:
        raise ModelError(
            f"The hub keeps {name!r} gated: ask for access on its page and log in (`hf auth login`)."
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"There is no folder and no hub model {name!r} (a private one needs `hf auth login`): check the name."
        ) from error
    except Exception as error:  # whatever keeps the hub from answering: offline, proxies, TLS, faults of its own
        found = try_to_load_from_cache(name, marker, revision=revision)
        if isinstance(found, str):
            return Source(name, commit=Path(found).parent.name, cached=True)
        raise ModelError(
            f"The model {name!r}{at} is no folder and not in the local cache, and the hub cannot be reached"
            f" ({one_line(error, 120)}): check the name and the network."
        ) from error
    return Source(name, commit=commit)


def folder_digest(folder: Path) -> str:
    """A short SHA-256 over the names and bytes of a folder's safetensors files."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


@contextmanager
def silenced() -> Iterator[None]:
    """Keep transformers and the hub from drawing bars, logging and warning; restores everything at the end."""
    verbosity, bars, hub_bars = (
        logging.get_verbosity(),
        logging.is_progress_bar_enabled(),
        not are_progress_bars_disabled(),
    )
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
        if hub_bars:
            enable_progress_bars()
