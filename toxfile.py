"""Lets tox see every Python that pyenv has installed, not only those that are switched on.

tox reads this file by itself. Without pyenv, or where the user has chosen versions, it changes nothing.
"""

from __future__ import annotations

import os
from pathlib import Path


def _installed() -> list[str]:
    root = os.environ.get("PYENV_ROOT")
    versions = Path(root) / "versions" if root else None
    return sorted(folder.name for folder in versions.iterdir()) if versions and versions.is_dir() else []


if _installed():
    os.environ.setdefault("PYENV_VERSION", ":".join(_installed()))
