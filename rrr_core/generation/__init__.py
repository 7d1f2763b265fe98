"""Inference engines behind one protocol. Importing this package imports no engine."""

from __future__ import annotations

import importlib.util

from rrr_core.errors import ModelError
from rrr_core.generation.base import Generator, Sampling
from rrr_core.generation.settings import ModelSettings

__all__ = ["Generator", "ModelSettings", "Sampling", "chosen_backend", "make_generator"]


def make_generator(settings: ModelSettings) -> Generator:
    """The engine that the settings ask for, its model loaded.

    Raises ModelError where the model cannot be used, or the extra that brings the engine is not installed.
    """
    model = settings.named
    backend = chosen_backend(settings)
    if backend == "vllm":
        return _vllm(settings)
    return _server(settings, model) if backend == "server" else _transformers(settings)


def chosen_backend(settings: ModelSettings) -> str:
    """The settings' backend, with `auto` told from the machine.

    vLLM is not chosen where an option of the transformers backend is set, nor on a CPU, where it is for development.
    """
    if settings.backend != "auto":
        return settings.backend
    if settings.base_url:
        return "server"
    if settings.device is not None or settings.batch_tokens is not None or importlib.util.find_spec("vllm") is None:
        return "transformers"
    import torch

    return "vllm" if torch.cuda.is_available() else "transformers"


def _server(settings: ModelSettings, model: str) -> Generator:
    for name in ("revision", "adapter", "device"):
        if getattr(settings, name) is not None:
            raise ModelError(f"{name} cannot be set for a server's model: it is the server's own matter. Leave it out.")
    if not settings.base_url:
        raise ModelError("The server backend needs the server's address: give --base-url.")
    try:
        from rrr_core.generation.server import ServerGenerator
    except ModuleNotFoundError as error:
        raise _missing_extra("To ask a server for texts", error, "server") from error
    return ServerGenerator(
        base_url=settings.base_url,
        model=model,
        api_key_env=settings.api_key_env,
        timeout=settings.timeout,
        retries=settings.retries,
        concurrency=settings.concurrency,
        family=settings.family,
    )


def _vllm(settings: ModelSettings) -> Generator:
    try:
        from rrr_core.generation.vllm_backend import load_vllm
    except ModuleNotFoundError as error:
        raise _missing_extra("To generate with vLLM", error, "vllm") from error
    return load_vllm(settings)


def _transformers(settings: ModelSettings) -> Generator:
    if settings.base_url:
        raise ModelError("A base URL is for the server and vllm backends: leave it out, or give --backend server.")
    try:
        from rrr_core.generation.transformers_backend import load_from
    except ModuleNotFoundError as error:
        raise _missing_extra("To run a model on this machine", error, "train") from error
    return load_from(settings)


def _missing_extra(purpose: str, error: ModuleNotFoundError, extra: str) -> ModelError:
    return ModelError(f"{purpose}, rrr needs the package {error.name!r}: pip install 'rrr-core[{extra}]'.")
