"""A stage's folder: a manifest that identifies it, and a lock that keeps other writers out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rrr_core.config.renamed import identity_of_today
from rrr_core.errors import DataError, RrrError
from rrr_core.progress import Progress
from rrr_core.runs.files import TEMPORARY, explained, make_folder, open_own, read_json, write_json
from rrr_core.runs.layout import BOOKKEEPING, MANIFEST, StageFolder
from rrr_core.text import cut


def open_stage(folder: Path, kind: str, identity: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Start or resume a stage of a run in `folder`; a new folder gets a manifest.

    `kind` names the stage (`mine`, `train`, …), `identity` is everything that determines its results, `about` is only
    informative. A folder in which an earlier call produced nothing counts as new.
    Raises RrrError if the folder holds the work of another stage or other settings, naming the first difference.
    """
    folder = Path(folder)
    make_folder(folder)
    manifest = StageFolder(folder).manifest
    wanted = {"kind": kind, "identity": json.loads(json.dumps(identity))}
    if not manifest.exists():
        other_files = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
        if other_files:
            raise RrrError(f"{folder} has no {MANIFEST} but holds {other_files[0]!r}: use another folder.")
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
    check_identity(folder, kind, found["identity"], wanted["identity"])


def note_in_manifest(folder: Path, key: str, value: object) -> None:
    """Record something for information in the manifest of a stage, under its `about`."""
    path = StageFolder(folder).manifest
    manifest = read_json(path)
    about = manifest.get("about") or {}
    if about.get(key) != value:
        write_json(path, {**manifest, "about": {**about, key: value}})


def _write_manifest(path: Path, wanted: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    created = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(path, {**wanted, "about": dict(about), "created": created})


def holds_nothing(folder: Path) -> bool:
    """Whether `folder` and its subfolders hold no results: only manifests, records, profiles, locks and empty files.

    A call that failed on a wrong option before it produced anything thus does not bind the folder to that option.
    """
    return not any(
        path.is_file() and path.name not in BOOKKEEPING and path.stat().st_size for path in Path(folder).rglob("*")
    )


def check_identity(folder: Path, kind: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise RrrError naming the first difference between the identity recorded in `folder` and that of this call.

    `kind` is the stage, or `run` for a whole run.
    """
    difference = first_difference(identity_of_today(kind, before, now), now)
    if difference:
        key, earlier, later = difference
        raise RrrError(
            f"{folder} was started with {key} = {_shown(earlier)}, and this call has {_shown(later)}: "
            f"use another folder, or the same value to resume."
        )


@contextmanager
def stage_lock(folder: Path, progress: Progress | None = None) -> Iterator[None]:
    """Lock a stage's folder for this process and remove the leftovers of killed writers.

    The lock is the kernel's (`flock`), so it is released when its holder dies, even by `kill -9`. If the platform or
    the file system lacks such locks, `progress` says so and the folder stays unlocked.
    Raises RrrError if another process holds the lock.
    """
    folder = Path(folder)
    make_folder(folder)
    path = StageFolder(folder).lock
    with explained(path):
        descriptor = open_own(path, os.O_RDWR | os.O_CREAT)
    try:
        if _locked(descriptor, folder):
            with explained(path):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, str(os.getpid()).encode())
            # Only with the lock: without it, a temporary file could be another writer's.
            for leftover in folder.glob(f".*{TEMPORARY}"):
                leftover.unlink(missing_ok=True)
        elif progress is not None:
            progress.say(f"No file locks here: make sure that no other process writes {folder}.")
        yield
    finally:
        # The file stays: if it were removed, two processes could lock two files of the same name.
        os.close(descriptor)


def _locked(descriptor: int, folder: Path) -> bool:
    """Whether the lock was taken; False if locks are not supported. Raises RrrError if another process holds it."""
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


def first_difference(before: Any, now: Any, key: str = "") -> tuple[str, Any, Any] | None:
    """The first dotted key at which two JSON values differ, with both values; None if they are equal."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in [*now, *(name for name in before if name not in now)]:
            inner = first_difference(before.get(name, _NOTHING), now.get(name, _NOTHING), f"{key}.{name}".strip("."))
            if inner:
                return inner
        return None
    if _are_records(before) and _are_records(now) and len(before) == len(now):
        pairs = enumerate(zip(before, now, strict=True))
        found = (first_difference(one, other, f"{key}[{place}]") for place, (one, other) in pairs)
        return next((each for each in found if each), None)
    # 1 and 1.0 are the same setting, 1 and true are not.
    return None if before == now and isinstance(before, bool) == isinstance(now, bool) else (key, before, now)


def _are_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


_NOTHING = object()


def _shown(value: Any) -> str:
    return "nothing" if value is _NOTHING else cut(json.dumps(value), 80)
