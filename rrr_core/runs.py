"""Run folders: manifests that say what made them, one writer at a time, and the files in them.

What writes and reads single files lives in `rrr_core.files` and is named here too, for callers' ease.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from rrr_core.errors import DataError, RrrError
from rrr_core.files import (
    TEMPORARY,
    explained,
    make_folder,
    read_json,
    read_lines,
    read_numbered_lines,
    write_json,
    write_lines,
    write_text,
)
from rrr_core.progress import Progress

__all__ = [
    "LOCK",
    "MANIFEST",
    "PROFILE",
    "RUN_RECORD",
    "about_this_run",
    "check_identity",
    "holds_nothing",
    "make_folder",
    "open_stage",
    "read_json",
    "read_lines",
    "read_numbered_lines",
    "stage_lock",
    "write_json",
    "write_lines",
    "write_text",
]

MANIFEST = "manifest.json"
RUN_RECORD = "run.json"
PROFILE = "profile.json"
LOCK = ".lock"
_RECORDED = (
    "torch",
    "transformers",
    "trl",
    "datasets",
    "peft",
    "accelerate",
    "tokenizers",
    "safetensors",
    "vllm",
    "openai",
    "pluggy",
)


def open_stage(folder: Path, kind: str, identity: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Begin or resume a stage of a run in `folder`, which gets a manifest when it is new.

    `kind` names the stage (`mine`, `train`, …), `identity` holds all that decides its results, `about` what is only
    worth knowing. A folder in which a call ended before it made anything is begun anew.
    Raises RrrError where the folder holds another stage's work, naming the first value that differs.
    """
    folder = Path(folder)
    make_folder(folder)
    manifest = folder / MANIFEST
    wanted = {"kind": kind, "identity": json.loads(json.dumps(identity))}
    if not manifest.exists():
        strangers = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
        if strangers:
            raise RrrError(f"{folder} has no {MANIFEST} but holds {strangers[0]!r}: use another folder.")
        _write_manifest(manifest, wanted, about)
        return
    found = read_json(manifest)
    if not isinstance(found, dict) or "kind" not in found or not isinstance(found.get("identity"), dict):
        raise DataError(f"{manifest}:1: not a manifest of rrr: use another folder.")
    if found["kind"] != kind:
        raise RrrError(f"{folder} holds the stage {found['kind']!r}, not {kind!r}: use another folder.")
    if found["identity"] != wanted["identity"] and holds_nothing(folder):
        _write_manifest(manifest, wanted, about)
        return
    check_identity(folder, found["identity"], wanted["identity"])


def _write_manifest(path: Path, wanted: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    created = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(path, {**wanted, "about": dict(about), "created": created})


def holds_nothing(folder: Path) -> bool:
    """Whether no work lies in `folder` or below it: nothing but records of what was to be done, locks, and empty files.

    So a call that ended on a wrong option, before it made anything, does not bind the folder to that option.
    """
    return not any(
        path.is_file() and path.name not in (MANIFEST, RUN_RECORD, PROFILE, LOCK) and path.stat().st_size
        for path in Path(folder).rglob("*")
    )


def check_identity(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise RrrError naming the first value that differs between what began `folder` and what this call would do."""
    difference = _first_difference(before, now)
    if difference:
        key, earlier, later = difference
        raise RrrError(
            f"{folder} was begun with {key} = {_shown(earlier)}, and this call has {_shown(later)}: "
            f"use another folder, or the same value to resume."
        )


@contextmanager
def stage_lock(folder: Path, progress: Progress | None = None) -> Iterator[None]:
    """Hold a stage's folder for this process alone, and clear what killed writers left there.

    The lock is the kernel's (`flock`), so it dies with its holder, `kill -9` included. Where the platform or the file
    system has no such locks, `progress` is told and the folder is held by good faith only.
    Raises RrrError where another process holds the folder.
    """
    folder = Path(folder)
    make_folder(folder)
    path = folder / LOCK
    with explained(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if _locked(descriptor, folder):
            with explained(path):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, str(os.getpid()).encode())
            # Only the holder may: another writer's temporary file could be in use.
            for leftover in folder.glob(f".*{TEMPORARY}"):
                leftover.unlink(missing_ok=True)
        elif progress is not None:
            progress.say(f"No file locks here: see to it that no other process writes {folder}.")
        yield
    finally:
        # The file stays: were it removed, two processes could hold locks on two files of one name.
        os.close(descriptor)


def about_this_run() -> dict[str, Any]:
    """What a manifest tells of a run's surroundings: versions, git state and command line, nothing of the host."""
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
        # A server's address may carry a user's password.
        "arguments": [re.sub(r"//[^/@\s]+@", "//***@", argument) for argument in arguments],
    }


def _locked(descriptor: int, folder: Path) -> bool:
    """True when the lock is held, False where there are no locks; RrrError where another process holds it."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
        by = f" (process {holder})" if holder.isdigit() else ""
        raise RrrError(
            f"{folder} is being written by another process{by}: wait for it to end, or use another folder."
        ) from None
    except OSError:
        return False
    return True


def _first_difference(before: Any, now: Any, key: str = "") -> tuple[str, Any, Any] | None:
    """The first key, dotted, at which two JSON values differ, with both values; None where they are equal."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in [*now, *(name for name in before if name not in now)]:
            inner = _first_difference(before.get(name, _NOTHING), now.get(name, _NOTHING), f"{key}.{name}".strip("."))
            if inner:
                return inner
        return None
    # 1 and 1.0 are one setting, 1 and true are not.
    return None if before == now and isinstance(before, bool) == isinstance(now, bool) else (key, before, now)


_NOTHING = object()


def _shown(value: Any) -> str:
    text = "nothing" if value is _NOTHING else json.dumps(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _git_state() -> dict[str, Any] | None:
    """Commit of the current folder's repository, and whether tracked files differ from it; None without one."""

    def ask(*arguments: str) -> str:
        return subprocess.run(
            ["git", "--no-optional-locks", *arguments], capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):
        return None
