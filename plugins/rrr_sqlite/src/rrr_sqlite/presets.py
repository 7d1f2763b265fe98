"""The task's settings for `rrr demo` and `rrr warmup`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rrr_sqlite import warmup

PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "warmup": {"warmup": {"tags": warmup.TAGS}},
}
