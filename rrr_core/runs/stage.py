"""A stage's folder: a manifest that says what made it, and one writer at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rrr_core.config.renamed import identity_with_new_names
from rrr_core.errors import DataError, RrrError
from rrr_core.progress import Progress
from rrr_core.runs.files import TEMPORARY, explained, make_folder, read_json, write_json
from rrr_core.runs.layout import BOOKKEEPING, MANIFEST, StageFolder
from rrr_core.text import cut


def open_stage(folder: Path, kind: str, identity: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Begin or resume a stage of a run in `folder`, which gets a manifest when it is new.

    `kind` names the stage (`mine`, `train`, …), `identity` holds all that decides its results, `about` what is only
    worth knowing. A folder in which a call ended before it made anything is begun anew.
    Raises RrrError where the folder holds another stage's work, naming the first value that differs.
    """
    folder = Path(folder)
    make_folder(folder)
    manifest = StageFolder(folder).manifest
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
        path.is_file() and path.name not in BOOKKEEPING and path.stat().st_size for path in Path(folder).rglob("*")
    )


def check_identity(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise RrrError naming the first value that differs between what began `folder` and what this call would do."""
    difference = _first_difference(identity_with_new_names(before), now)
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
    path = StageFolder(folder).lock
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
    return "nothing" if value is _NOTHING else cut(json.dumps(value), 80)
