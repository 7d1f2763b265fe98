"""Run folders: files that are whole or absent, manifests that say what made them, one writer at a time."""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import secrets
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from rrr_core.errors import DataError, RrrError
from rrr_core.progress import Progress

MANIFEST = "manifest.json"
LOCK = ".lock"
_TEMPORARY = ".tmp"
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


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all. A lone surrogate, which UTF-8 cannot hold, becomes `?`."""
    _write(path, [text.encode("utf-8", "replace")])


def write_json(path: Path, value: Any) -> None:
    """Write one JSON value, whole or not at all. Raises ValueError on NaN and infinities, which JSON lacks."""
    _write(path, [json.dumps(value, indent=2, allow_nan=False).encode() + b"\n"])


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line, whole or not at all, taking the records one by one.

    Text is escaped to ASCII, so that a hostile line separator or a lone surrogate can neither split nor spoil a line.
    """
    _write(path, (json.dumps(record, allow_nan=False).encode() + b"\n" for record in records))


def read_json(path: Path) -> Any:
    """The JSON value in a file. Raises DataError naming file and line."""
    with _open_to_read(path) as file:
        content = file.read()
    try:
        return json.loads(content.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not JSON: {error.msg}.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}:1: not JSON: {_one_line(error)}.") from None


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a JSONL file, lazily; blank lines are skipped. Raises DataError naming file and line."""
    for _, record in read_numbered_lines(path):
        yield record


def read_numbered_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Like `read_lines`, each object with its line number, from 1."""
    with _open_to_read(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                if not text.strip():
                    continue
                record = json.loads(text)
            except json.JSONDecodeError as error:
                raise DataError(f"{path}:{number}: not JSON: {error.msg} at column {error.colno}.") from None
            except (ValueError, RecursionError) as error:
                raise DataError(f"{path}:{number}: not JSON: {_one_line(error)}.") from None
            if not isinstance(record, dict):
                raise DataError(f"{path}:{number}: a JSON object is expected, found {type(record).__name__}.")
            yield number, record


def open_stage(folder: Path, kind: str, identity: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Begin or resume a stage of a run in `folder`, which gets a manifest when it is new.

    `kind` names the stage (`mine`, `train`, …), `identity` holds all that decides its results, `about` what is only
    worth knowing. Raises RrrError where the folder holds another stage's work, naming the first value that differs.
    """
    folder = Path(folder)
    make_folder(folder)
    manifest = folder / MANIFEST
    wanted = {"kind": kind, "identity": json.loads(json.dumps(identity))}
    if not manifest.exists():
        strangers = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
        if strangers:
            raise RrrError(f"{folder} has no {MANIFEST} but holds {strangers[0]!r}: use another folder.")
        created = datetime.now(UTC).isoformat(timespec="seconds")
        write_json(manifest, {**wanted, "about": dict(about), "created": created})
        return
    found = read_json(manifest)
    if not isinstance(found, dict) or "kind" not in found or not isinstance(found.get("identity"), dict):
        raise DataError(f"{manifest}:1: not a manifest of rrr: use another folder.")
    if found["kind"] != kind:
        raise RrrError(f"{folder} holds the stage {found['kind']!r}, not {kind!r}: use another folder.")
    difference = _first_difference(found["identity"], wanted["identity"])
    if difference:
        key, before, now = difference
        raise RrrError(
            f"{folder} was begun with {key} = {_shown(before)}, and this call has {_shown(now)}: "
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
    with _explained(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if _locked(descriptor, folder):
            with _explained(path):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, str(os.getpid()).encode())
            # Only the holder may: another writer's temporary file could be in use.
            for leftover in folder.glob(f".*{_TEMPORARY}"):
                leftover.unlink(missing_ok=True)
        elif progress is not None:
            progress.say(f"No file locks here: see to it that no other process writes {folder}.")
        yield
    finally:
        # The file stays: were it removed, two processes could hold locks on two files of one name.
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents where missing. Raises RrrError where that cannot be."""
    with _explained(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)


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


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    path = Path(path)
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{_TEMPORARY}")
    try:
        with _explained(path):
            file = open(temporary, "xb")  # noqa: SIM115 - errors of the chunks must not be taken for the file's
        try:
            for chunk in chunks:
                with _explained(path):
                    file.write(chunk)
            with _explained(path):
                file.flush()
                os.fsync(file.fileno())
        finally:
            with _explained(path):
                file.close()
        with _explained(path):
            os.replace(temporary, path)
            _sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut; Windows cannot open folders and needs no such thing."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _open_to_read(path: Path) -> Iterator[Any]:
    try:
        with open(path, "rb") as file:
            yield file
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {_one_line(error.strerror or error)}.") from None


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write into one line for a person."""
    try:
        yield
    except OSError as error:
        reason = {
            errno.ENOSPC: "the disk is full: make room and run the same command again to resume",
            errno.EDQUOT: "your disk quota is used up: make room and run the same command again to resume",
            errno.EFBIG: "the file grew over this process's size limit: raise it (`ulimit -f`)",
            errno.EACCES: "permission denied: choose a folder you may write to",
            errno.EPERM: "permission denied: choose a folder you may write to",
            errno.EROFS: "the file system is read-only: choose another folder",
            errno.EEXIST: "a file of that name is in the way: choose another folder",
            errno.ENOTDIR: "a part of that path is a file, not a folder: choose another folder",
            errno.EISDIR: "a folder of that name is in the way: choose another name",
            errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
        }.get(error.errno or 0, _one_line(error.strerror or error))
        raise RrrError(f"{path} cannot be written: {reason}.") from error


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
    return None if type(before) is type(now) and before == now else (key, before, now)


_NOTHING = object()


def _shown(value: Any) -> str:
    text = "nothing" if value is _NOTHING else json.dumps(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _one_line(value: object) -> str:
    return " ".join(str(value).split())


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
