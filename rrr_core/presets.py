"""Named sets of settings: section → setting → value. They stand between the defaults and the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEMO: Mapping[str, Mapping[str, Any]] = {
    "task": {"name": "countdown"},
    "mine": {"tries": 4, "temperature": 1.0, "max_tokens": 96},
    "train": {
        "steps": 40,
        "group_size": 8,
        "batch_size": 1024,
        "micro_batch_size": 256,
        "learning_rate": 3e-5,
        "temperature": 1.0,
        "max_reflection_tokens": 96,
        "max_retry_tokens": 96,
        "save_every": 5,
    },
    "eval": {"rows": 2000, "max_tokens": 96},
}
"""`rrr demo`: the default model of Countdown, in under ten minutes on two cores."""
