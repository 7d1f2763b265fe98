"""What a model's files say without its weights: configuration, tokenizer, end tokens, and their source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from rrr_core.chat.format import ChatFormat
from rrr_core.errors import ModelError
from rrr_core.generation.families import family_of
from rrr_core.generation.gguf_record import CONVERTED, read_converted
from rrr_core.generation.hub import Source, folder_digest, locate, silenced
from rrr_core.generation.settings import ModelSettings
from rrr_core.generation.transformers_engine import TransformersEngine, configured_ends
from rrr_core.hookspecs import Model
from rrr_core.text import one_line

TOKENIZER_FILES = ("tokenizer.*", "vocab.*", "*.model", "*.tiktoken", "tekken.json")
"""The names of files with a vocabulary, whatever the kind of tokenizer."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model's files, for an engine that loads the weights itself."""

    name: str
    """The folder, or the hub name."""
    commit: str | None
    """The hub commit; None for a folder."""
    tokenizer: Any
    chat: ChatFormat
    model: Model
    end_ids: tuple[int, ...]
    source: dict[str, object]
    """What a manifest records of the source of the weights."""


@dataclass(frozen=True, slots=True)
class _Unloaded:
    """The part of a network that `configured_ends` reads."""

    generation_config: Any


def read_files(settings: ModelSettings, *, digest: bool = True) -> ModelFiles:
    """The files of the model the settings name, not an adapter; without `digest`, a folder's weights are not read.

    Raises ModelError as `load_transformers`.
    """
    name = settings.named
    source = locate(name, settings.revision)
    config, tokenizer = load_tokenizer(source, name)
    check_vocabulary(tokenizer, config.get_text_config().vocab_size, name)
    with silenced():
        try:
            generation = GenerationConfig.from_pretrained(source.name, **source.arguments)
        except OSError:  # many models have none
            generation = None
    family = settings.family or family_of(source.name, str(config.model_type), getattr(config, "rrr_family", None))
    chat = ChatFormat(tokenizer, settings.chat)
    info = Model(name, family, chat.takes_tools, chat.calls)
    end_ids = chat.end_ids(configured_ends(_Unloaded(generation or config)))
    return ModelFiles(source.name, source.commit, tokenizer, chat, info, end_ids, described(source) if digest else {})


def files_of(engine: TransformersEngine, settings: ModelSettings) -> ModelFiles:
    """The files of a loaded model, or of the model under its adapter."""
    base, commit = engine.source.get("base", settings.named), engine.source.get("revision")
    return ModelFiles(
        name=str(base),
        commit=None if commit is None else str(commit),
        tokenizer=engine.tokenizer,
        chat=engine.chat,
        model=engine.model,
        end_ids=engine.end_ids,
        source=engine.source,
    )


def load_tokenizer(source: Source, name: str) -> tuple[Any, Any]:
    """Configuration and tokenizer. Raises ModelError if they cannot be loaded or the tokenizer cannot be used."""
    config = None
    with silenced():
        try:
            arguments: dict[str, Any] = {**source.arguments, "trust_remote_code": False}
            config = AutoConfig.from_pretrained(source.name, **arguments)
            tokenizer: Any = AutoTokenizer.from_pretrained(source.name, **arguments)
        except Exception as error:  # nearly every kind: OSError, ValueError, KeyError…
            if config is not None and source.folder is not None and not has_tokenizer(source.folder):
                raise ModelError(
                    f"The folder of the model {name!r} holds no tokenizer: copy tokenizer.json and"
                    " tokenizer_config.json into it from the model that it was made of."
                ) from error
            raise ModelError(f"The model {name!r} cannot be loaded: {one_line(error)}") from error
    if not tokenizer.is_fast:
        raise ModelError(f"The model {name!r} has no fast tokenizer (tokenizer.json), and rrr needs one.")
    if not tokenizer.chat_template:
        raise ModelError(f"The model {name!r} has no chat template: use an instruct model, or warm it up (rrr warmup).")
    return config, tokenizer


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder has a file that a tokenizer could be read from."""
    return any(next(folder.glob(pattern), None) for pattern in TOKENIZER_FILES)


def check_vocabulary(tokenizer: Any, embeddings: int, name: str) -> None:
    """Raise ModelError if the model has no embedding for the tokenizer's largest id."""
    if (largest := max(tokenizer.get_vocab().values())) >= embeddings:
        raise ModelError(f"The tokenizer of {name!r} has the id {largest}, and the model only {embeddings} embeddings.")


def described(source: Source) -> dict[str, object]:
    """What a manifest records of the source of weights: a hub commit, or a digest of a folder's weights.

    With that of the GGUF file that the folder was converted from, if it was. Raises DataError if that cannot be read.
    """
    if source.folder is None:
        return {"revision": source.commit}
    about: dict[str, object] = {"revision": None, "weights_sha256": folder_digest(source.folder)}
    if (source.folder / CONVERTED).is_file():
        about["gguf_sha256"] = read_converted(source.folder).gguf_sha256
    return about
