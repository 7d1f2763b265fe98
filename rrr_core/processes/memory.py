"""The machine's memory."""

from __future__ import annotations

import os


def machine_bytes() -> int:
    """The machine's memory, in bytes, whoever uses it."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
