"""The task's settings for `rrr demo` and `rrr warmup`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rrr_sqlite import warmup

MOST_ACTIONS = 4
"""Of a course with the embedded model, which takes two, seldom three."""

PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "demo": {
        "mine": {"rows": 1024, "tries": 4, "temperature": 1.0, "max_tokens": 48, "max_steps": MOST_ACTIONS},
        "train": {
            "steps": 20,
            "batch_size": 256,
            "micro_batch_size": 64,
            "learning_rate": 3e-4,
            "warmup_ratio": 0.0,
            "kl": 0.5,
            "temperature": 1.0,
            "max_reflection_tokens": 48,
            "max_retry_tokens": 48,
            "max_steps": MOST_ACTIONS,
            "save_every": 4,
        },
        "eval": {"rows": 1000, "max_tokens": 48, "max_steps": MOST_ACTIONS},
    },
    "warmup": {"warmup": {"conversations": 24_000, "batch_size": 16, "tags": warmup.TAGS, "context": 1024}},
}
"""For the embedded model. Small batches suit the lessons: names are copied after some hundreds of steps.

Rate and divergence weight of the training are between Countdown's and APIGen's."""
