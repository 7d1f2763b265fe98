"""Model families: the names that plugins word prompts for."""

from __future__ import annotations

import re

# Names come first: many families' models are stored as `llama`, so that model type alone says nothing.
_BY_NAME = {
    "qwen": r"qwen|qwq",
    "llama": r"llama",
    "phi": r"(?<![a-z])phi(?![a-z])",
    "gemma": r"gemma",
    "mistral": r"mistral|mixtral|ministral",
    "palmyra": r"palmyra",
    "granite": r"granite",
    "smollm": r"smollm",
    "olmo": r"olmo",
}
_BY_TYPE = ("qwen", "phi", "gemma", "mistral", "mixtral", "ministral", "granite", "smollm", "olmo")


def family_of(name: str, model_type: str = "", declared: object = None) -> str:
    """The family of a model: declared as `rrr_family` in its configuration, else from its name, else from its type.

    >>> family_of("Qwen/Qwen2.5-1.5B-Instruct")
    'qwen'
    >>> family_of("runs/7/model", model_type="phi3"), family_of("dolphin", model_type="llama")
    ('phi', 'generic')
    """
    if isinstance(declared, str) and declared:
        return declared
    own_name = name.rstrip("/").rsplit("/", 1)[-1].lower()
    for family, pattern in _BY_NAME.items():
        if re.search(pattern, own_name):
            return family
    for prefix in _BY_TYPE:
        if model_type.startswith(prefix):
            return "mistral" if prefix in ("mixtral", "ministral") else prefix
    return "generic"
