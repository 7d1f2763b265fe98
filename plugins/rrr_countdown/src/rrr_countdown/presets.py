"""Countdown's settings for `rrr demo`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "demo": {
        "mine": {"rows": 2048, "tries": 4, "temperature": 1.0, "max_tokens": 64},
        "train": {
            "steps": 20,
            "batch_size": 256,
            "micro_batch_size": 128,
            "learning_rate": 3e-4,
            "warmup_ratio": 0.0,
            "kl": 0.8,
            "temperature": 1.0,
            "max_reflection_tokens": 64,
            "max_retry_tokens": 24,
            "save_every": 4,
        },
        "eval": {"rows": 2000, "max_tokens": 64},
    },
}
"""Under two minutes on two cores with the embedded model.

The learning rate is far above the paper's because the model has a million weights and gets 20 steps, not billions of
weights and 1,750 steps. At that rate noise alone moves the model, so the divergence weighs more as well, and more
still the fewer reflections a step has. More rate gains more, and moves the placebo further. docs/results.md lists what
was tried; everything was chosen on rows of the `train` split alone.
"""
