"""Inference engines behind one base class. Importing this package imports no engine.

The names in `__all__` are for those who bring an engine of their own, and stay as they are (docs/compatibility.md).
"""

from __future__ import annotations

import importlib.util

from rrr_core.episode import Generation
from rrr_core.generation.engine import Engine, Hits, Sampling, TokenEngine
from rrr_core.generation.engine_spec import EngineSpec
from rrr_core.generation.engines import AUTO
from rrr_core.generation.settings import ModelSettings

__all__ = ["Engine", "EngineSpec", "Generation", "Hits", "ModelSettings", "Sampling", "TokenEngine"]


def make_engine(settings: ModelSettings) -> Engine:
    """The engine that the settings ask for, its model loaded.

    Raises ModelError if the model cannot be used, the settings do not fit the engine, or its extra is not installed;
    PluginError for a broken engine of another distribution.
    """
    from rrr_core.generation.finding import find_engine

    return find_engine(chosen_backend(settings)).open(settings)


def chosen_backend(settings: ModelSettings) -> str:
    """The settings' backend, with `auto` resolved for this machine.

    vLLM is not chosen if an option of the transformers backend is set, nor on a CPU, where it is for development.
    """
    if settings.backend != AUTO:
        return settings.backend
    if settings.base_url:
        return "server"
    if settings.device is not None or settings.batch_tokens is not None or importlib.util.find_spec("vllm") is None:
        return "transformers"
    import torch

    return "vllm" if torch.cuda.is_available() else "transformers"
