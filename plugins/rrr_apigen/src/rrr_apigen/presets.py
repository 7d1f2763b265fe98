"""APIGen's settings for `rrr demo` and `rrr warmup`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rrr_apigen import tiny

PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "demo": {
        "mine": {"rows": 1536, "tries": 4, "temperature": 1.0, "max_tokens": 112},
        "train": {
            "steps": 12,
            "batch_size": 512,
            "micro_batch_size": 64,
            "learning_rate": 4e-4,
            "kl": 0.2,
            "temperature": 1.0,
            "max_reflection_tokens": 112,
            "max_retry_tokens": 96,
            "save_every": 4,
        },
        "eval": {"rows": 2000, "max_tokens": 112},
    },
    "warmup": {"warmup": {"tags": tiny.TAGS}},
}
"""A few minutes on two cores with the embedded model; rate and divergence weight are those of Countdown's demo."""
