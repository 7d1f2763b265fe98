"""The environment of a run, as recorded in its manifests."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

_RECORDED = (
    "torch",
    "transformers",
    "trl",
    "datasets",
    "peft",
    "accelerate",
    "tokenizers",
    "safetensors",
    "gguf",
    "vllm",
    "httpx2",
    "lm-eval",
    "pluggy",
)


def about_this_run() -> dict[str, Any]:
    """The environment for a manifest: versions, git state and command line, but nothing about the host."""
    versions = {}
    for distribution in ("rrr-core", *_RECORDED):
        with suppress(metadata.PackageNotFoundError):
            versions[distribution] = metadata.version(distribution)
    arguments = [Path(sys.argv[0]).name, *sys.argv[1:]] if sys.argv else []
    return {
        "versions": versions,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "git": _git_state(),
        # A server's URL may contain a password.
        "arguments": [re.sub(r"//[^/@\s]+@", "//***@", argument) for argument in arguments],
    }


def _git_state() -> dict[str, Any] | None:
    """Commit of the current folder's repository and whether tracked files differ from it; None without a repository."""

    def ask(*arguments: str) -> str:
        return subprocess.run(
            ["git", "--no-optional-locks", *arguments], capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):
        return None
