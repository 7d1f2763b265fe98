"""APIGen's settings for `rrr demo` and `rrr warmup`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rrr_apigen import tiny

PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "demo": {
        "mine": {"rows": 1536, "tries": 4, "temperature": 1.0, "max_tokens": 112},
        "train": {
            "steps": 20,
            "batch_size": 256,
            "micro_batch_size": 64,
            "learning_rate": 4e-4,
            "warmup_ratio": 0.0,
            "kl": 0.3,
            "temperature": 1.0,
            "max_reflection_tokens": 112,
            "max_retry_tokens": 96,
            "save_every": 4,
        },
        "eval": {"rows": 2000, "max_tokens": 112},
    },
    "warmup": {"warmup": {"tags": tiny.TAGS}},
}
"""A few minutes on two cores with the embedded model. Rate and divergence weight were chosen on rows of the `train`
split that are not mined."""
