"""The sandbox that a worker locks itself into before its first verdict.

On Linux: no new privileges, no capabilities (root's are dropped), Landlock for files, seccomp for all other system
calls; if the kernel or a library lacks one of them, the others still hold, and `protection.py` measures which do.
Everywhere: limits on memory, on core files, and on the size and number of files. docs/verification.md is for users.
"""

from __future__ import annotations

import ctypes
import functools
import os
import resource
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from rrr_core.verification import seccomp

SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/etc/ld.so.cache", "/etc/localtime", "/nix/store")
"""Libraries and time zones, but nothing else of /etc, since a root worker could read the shadow file."""
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
MOST_FILES = 64
LARGEST_FILE = 16 << 20
"""Largest file in the scratch folder, in bytes."""
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CAPABILITY_VERSION_3 = 0x20080522
TRUNCATE_ABI = 3
"""The first Landlock version that controls truncation. An older one cannot protect files, so writing is refused."""


def prepare() -> None:
    """Load what `lock` needs, for this process and its forks: once locked in, a process cannot find libraries."""
    if sys.platform == "linux":
        version = landlock_version()
        if seccomp.missing() is None:
            seccomp.prepared(version >= TRUNCATE_ABI)


def lock(scratch: Path, readable: Iterable[str], memory_mb: int) -> None:
    """Lock this process in for good: it may read `readable` and write `scratch`.

    Raises OSError if the system has a protection and refuses to enforce it.
    """
    limit(memory_mb)
    if sys.platform != "linux":
        return
    drop_privileges()
    version = landlock_version()
    if version:
        confine_files(scratch, readable)
    if seccomp.missing() is None:
        seccomp.load(writing=version >= TRUNCATE_ABI)


def limit(memory_mb: int) -> None:
    """Limit memory to the current use plus `memory_mb`, and limit what could fill a disk."""
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: LARGEST_FILE,
        resource.RLIMIT_NOFILE: MOST_FILES,
    }
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limits[resource.RLIMIT_AS] = pages * os.sysconf("SC_PAGE_SIZE") + (memory_mb << 20)
    for kind, most in limits.items():
        hard = resource.getrlimit(kind)[1]
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (allowed, allowed))


def drop_privileges() -> None:
    """Give up capabilities and any way to regain them, and have the kernel end this process with its parent."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    none = (ctypes.c_uint32 * 6)()
    for outcome in (
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        libc.capset(header, none),
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0),
    ):
        if outcome:
            raise OSError(ctypes.get_errno(), "a worker cannot drop its privileges")


@functools.cache
def landlock_version() -> int:
    """The kernel's Landlock version; 0 if the kernel or the package lacks it."""
    try:
        from landlock import LandlockError
        from landlock.plumbing import landlock_abi_version
    except ImportError:
        return 0
    try:
        return int(landlock_abi_version())
    except (LandlockError, OSError):
        return 0


def confine_files(scratch: Path, readable: Iterable[str], executing: bool = False) -> None:
    """Let this process read `readable`, the system's libraries and four devices, write `scratch`, and nothing else.

    With `executing` it may start as programs what it may read.
    """
    from landlock import FSAccess, Ruleset

    everything = FSAccess.all()
    rules = Ruleset(everything)
    file_rights = FSAccess.READ_FILE | (FSAccess.EXECUTE if executing else FSAccess(0))
    for path in existing((*SYSTEM, *readable)):
        rules.allow(path, rules=file_rights | FSAccess.READ_DIR if Path(path).is_dir() else file_rights)
    for path in existing(DEVICES):
        rules.allow(path, rules=FSAccess.READ_FILE | FSAccess.WRITE_FILE)
    kinds = FSAccess.MAKE_CHAR | FSAccess.MAKE_BLOCK | FSAccess.MAKE_SOCK | FSAccess.MAKE_FIFO
    rules.allow(scratch, rules=everything & ~(kinds if executing else FSAccess.EXECUTE | kinds))
    rules.apply()


def existing(paths: Iterable[str]) -> Iterator[str]:
    return (path for path in paths if Path(path).exists())


def readable_paths() -> tuple[str, ...]:
    """What this process may still need to read: Python's folders and, from other folders, only imported packages.

    A folder on the path, such as a checkout, may hold more than packages (a run folder, a `.env`), so it is not
    readable as a whole.
    """
    own = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    own |= {entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")}
    own |= {os.path.realpath(path) for path in own}
    imported: set[str] = set()
    for name, module in list(sys.modules.items()):
        if "." in name or module is None:
            continue
        folders = getattr(module, "__path__", None)
        file = getattr(module, "__file__", None)
        imported |= {str(folder) for folder in folders} if folders else {file} if file else set()
    outside = {path for path in imported if not any(path.startswith(folder + os.sep) for folder in own)}
    return tuple(sorted(own | outside))
