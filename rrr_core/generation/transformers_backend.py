"""Loading a model by name into the transformers engine."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from rrr_core.chat.format import ChatFormat
from rrr_core.chat.settings import ChatSettings
from rrr_core.errors import ModelError
from rrr_core.generation.families import family_of
from rrr_core.generation.hub import Source, locate, silenced
from rrr_core.generation.model_files import check_vocabulary, described, load_tokenizer
from rrr_core.generation.products import use_fast_products
from rrr_core.generation.settings import DTYPES, ModelSettings
from rrr_core.generation.transformers_engine import TransformersEngine
from rrr_core.hookspecs import Model
from rrr_core.processes.world import world_of
from rrr_core.text import one_line

__all__ = ["TransformersEngine", "load_from", "load_transformers"]


def load_from(settings: ModelSettings, dtype: str | None = None) -> TransformersEngine:
    """The model the settings name, ready to generate; `dtype` overrides theirs. Raises as `load_transformers`."""
    return load_transformers(
        settings.named,
        revision=settings.revision,
        dtype=dtype or settings.dtype,
        device=settings.device,
        adapter=settings.adapter,
        family=settings.family,
        batch_tokens=settings.batch_tokens,
        chat=settings.chat,
    )


def load_transformers(
    name: str,
    revision: str | None = None,
    dtype: str = "auto",
    device: str | None = None,
    adapter: str | None = None,
    *,
    family: str | None = None,
    batch_tokens: int | None = None,
    chat: ChatSettings | None = None,
) -> TransformersEngine:
    """The model of that name, from a folder or the hub, ready to generate.

    No code from the model's repository is run, and only safetensors are read. A folder that holds a peft adapter is
    loaded with the base model it names. The family is stored as `rrr_family` in the configuration, so that a model
    trained from this one keeps it.
    Raises ModelError, in one line, if the model cannot be loaded or has no fast tokenizer or chat template.
    """
    if dtype not in DTYPES:
        raise ModelError(f"There is no dtype {dtype!r}: choose one of {', '.join(DTYPES)}.")
    place = _device(device)
    if adapter is None and is_adapter(name):
        weights = locate(base_of_adapter(locate(name, revision, "adapter_config.json")))
        adapter, source = name, {"base": weights.name, **described(weights)}
    else:
        weights = locate(name, revision)
        source = described(weights)
    if adapter is not None:
        patch = locate(adapter, marker="adapter_config.json")
        source["adapter"] = {"name": adapter, **described(patch)}
    network, tokenizer = _load(weights, name, dtype)
    if adapter is not None:
        network = _with_adapter(network, patch, name)
    config = network.config
    found = family or family_of(weights.name, str(config.model_type), getattr(config, "rrr_family", None))
    config.rrr_family = found
    try:
        network.eval().to(place)
    except RuntimeError as error:  # too little memory among others
        raise ModelError(f"The model {name!r} cannot be put on {place}: {one_line(error)}") from error
    use_fast_products(network)
    chat_format = ChatFormat(tokenizer, chat)
    info = Model(name, found, chat_format.takes_tools, chat_format.calls)
    return TransformersEngine(network, tokenizer, info, batch_tokens=batch_tokens, source=source, chat=chat_format)


def _load(source: Source, name: str, dtype: str) -> tuple[Any, Any]:
    config, tokenizer = load_tokenizer(source, name)
    with silenced():
        try:
            network, loaded = AutoModelForCausalLM.from_pretrained(
                source.name,
                config=config,
                dtype=dtype,
                use_safetensors=True,
                output_loading_info=True,
                trust_remote_code=False,
                **source.arguments,
            )
        except Exception as error:  # nearly every kind: OSError, ValueError, KeyError, SafetensorError…
            raise ModelError(f"The model {name!r} cannot be loaded: {one_line(error)}") from error
    if loaded["missing_keys"]:
        missing = sorted(loaded["missing_keys"])
        raise ModelError(f"The files of {name!r} lack {len(missing)} of the model's weights, such as {missing[0]}.")
    check_vocabulary(tokenizer, network.get_input_embeddings().num_embeddings, name)
    return network, tokenizer


def _with_adapter(network: Any, patch: Source, name: str) -> Any:
    try:
        from peft import PeftModel
    except ModuleNotFoundError as error:
        raise ModelError("An adapter needs the package 'peft': pip install 'rrr-core[train]'.") from error
    if patch.folder is not None and not (patch.folder / "adapter_model.safetensors").is_file():
        raise ModelError(f"The adapter folder {patch.name!r} has no adapter_model.safetensors.")
    with silenced():
        # peft only warns about an adapter made for another model, and leaves the model all but unchanged.
        warnings.filterwarnings("error", message="Found missing adapter keys")
        try:
            return PeftModel.from_pretrained(network, patch.name, **patch.arguments)
        except Exception as error:  # as in _load
            raise ModelError(f"The adapter {patch.name!r} does not go on {name!r}: {one_line(error)}") from error


def _device(device: str | None) -> torch.device:
    """The requested device, else the machine's accelerator, else the CPU; of several, that of this process's number."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if device is None:
        return torch.device("cpu") if accelerator is None else _own_of(accelerator)
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise ModelError(f"There is no device {device!r}: use cpu, cuda, cuda:1 or mps.") from error
    if place.type != "cpu" and (accelerator is None or accelerator.type != place.type):
        raise ModelError(f"This machine has no device {device!r}; it has {accelerator or 'the CPU alone'}.")
    return place


def _own_of(accelerator: torch.device) -> torch.device:
    """The accelerator of this process, if a launcher started several on this machine; they share what is too few."""
    world, count = world_of(os.environ), torch.accelerator.device_count()
    return torch.device(accelerator.type, world.local_rank % count) if world.size > 1 and count > 1 else accelerator


def is_adapter(name: str) -> bool:
    """Whether the name is a folder with a peft adapter and no whole model."""
    folder = Path(name).expanduser()
    return (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file()


def base_of_adapter(source: Source) -> str:
    """The model that an adapter's folder names as its base. Raises ModelError if it names none."""
    path = Path(source.name) / "adapter_config.json"
    try:
        base = json.loads(path.read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{path} cannot be read: {one_line(error)}") from error
    if not isinstance(base, str) or not base:
        raise ModelError(f"{path} names no base model: give the base as --model and the folder as --adapter.")
    return base
