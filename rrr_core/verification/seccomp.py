"""The system calls that a worker may make, enforced by the Linux kernel's seccomp filter.

It is an allowlist, so a call nobody thought of, or one that a later kernel adds, is refused. A refused call fails with
EPERM, which Python turns into PermissionError. Left out on purpose: sockets of any kind, new programs and processes,
signals to others, ptrace and similar calls, mounts, keys, bpf, io_uring, namespaces, modes, owners and times of files
(which Landlock does not control), and raising limits.
"""

from __future__ import annotations

import errno
import functools
import os
from typing import Any

PLAIN = (
    "read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 close close_range lseek _llseek dup "
    "dup2 dup3 stat fstat lstat newfstatat fstatat64 stat64 fstat64 lstat64 statx statfs fstatfs statfs64 "
    "fstatfs64 access faccessat faccessat2 readlink readlinkat getdents getdents64 getcwd chdir fchdir flock "
    "sendfile sendfile64 copy_file_range fadvise64 readahead pipe pipe2 eventfd eventfd2 select _newselect "
    "pselect6 poll ppoll epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 umask mmap "
    "mmap2 munmap mremap mprotect madvise brk msync mincore mlock munlock membarrier pkey_alloc pkey_free "
    "pkey_mprotect futex futex_time64 set_robust_list get_robust_list rseq set_tid_address sched_yield "
    "sched_getaffinity sched_getparam sched_getscheduler sched_get_priority_max sched_get_priority_min "
    "getpriority getpid getppid gettid getpgrp getpgid getsid getuid geteuid getgid getegid getresuid getresgid "
    "getgroups uname sysinfo getrusage times getrlimit ugetrlimit capget clock_gettime clock_gettime64 "
    "clock_getres clock_nanosleep clock_nanosleep_time64 nanosleep gettimeofday time getcpu getrandom "
    "rt_sigaction rt_sigprocmask rt_sigreturn sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend sigaltstack "
    "setitimer getitimer alarm pause restart_syscall wait4 waitid exit exit_group "
)
"""Allowed with any arguments."""

WRITING = (
    "open openat creat mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink "
    "symlinkat truncate ftruncate truncate64 ftruncate64 fallocate fsync fdatasync "
)
"""Allowed only if Landlock restricts the files; otherwise files can only be opened for reading."""

CLONE3 = 435
"""On every architecture. Its flags are in memory, where no filter sees them; glibc falls back to clone on ENOSYS."""
CLONE_THREAD = 0x10000
FCNTL = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1031, 1032, 1033, 1034)
"""Duplicates, flags, locks and sizes; not F_SETOWN and F_SETSIG, which can signal any process of the user."""
IOCTL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""What opening a file needs (TCGETS, TIOCGWINSZ, FIONREAD), and descriptor flags."""
PRCTL = (15, 16)
"""A thread's own name."""


@functools.cache
def missing() -> str | None:
    """What a filter would need but is missing, or None. Call it before locking in, since it looks for libraries."""
    try:
        import pyseccomp  # noqa: F401
    except ImportError:
        return "the package pyseccomp is not installed"
    except RuntimeError:
        return "the library libseccomp is not installed"
    return None


def load(writing: bool) -> None:
    """Filter the system calls of this thread and of all it starts, for good. `writing`: Landlock guards the files.

    Raises OSError if the kernel refuses the filter.
    """
    import pyseccomp as seccomp

    rules = prepared(writing)
    for name in ("kill", "tgkill"):
        rules.add_rule(seccomp.ALLOW, name, seccomp.Arg(0, seccomp.EQ, os.getpid()))
    rules.load()


@functools.cache
def prepared(writing: bool) -> Any:
    """The filter but for what depends on the process. Made before a fork, it costs the new process nothing."""
    import pyseccomp as seccomp

    arguments = seccomp.Arg
    rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    # A call of another architecture (32-bit, x32) would use another table: it ends the process.
    rules.set_attr(seccomp.Attr.ACT_BADARCH, seccomp.KILL_PROCESS)

    def allow(name: str, *conditions: Any) -> None:
        try:
            rules.add_rule(seccomp.ALLOW, name, *conditions)
        except OSError as error:
            # A name unknown to this libseccomp stays refused.
            if error.errno not in (errno.EINVAL, errno.EDOM):
                raise

    for name in (PLAIN + (WRITING if writing else "")).split():
        allow(name)
    if not writing:
        changing = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC | getattr(os, "O_TMPFILE", 0) & ~os.O_DIRECTORY
        allow("open", arguments(1, seccomp.MASKED_EQ, changing, 0))
        allow("openat", arguments(2, seccomp.MASKED_EQ, changing, 0))
    allow("clone", arguments(0, seccomp.MASKED_EQ, CLONE_THREAD, CLONE_THREAD))
    rules.add_rule(seccomp.ERRNO(errno.ENOSYS), CLONE3)
    allow("prlimit64", arguments(2, seccomp.EQ, 0))
    for name, commands in (("fcntl", FCNTL), ("fcntl64", FCNTL), ("ioctl", IOCTL)):
        for command in commands:
            allow(name, arguments(1, seccomp.EQ, command))
    for operation in PRCTL:
        allow("prctl", arguments(0, seccomp.EQ, operation))
    return rules
