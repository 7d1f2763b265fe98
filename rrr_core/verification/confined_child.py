"""The process that gives its rights up and becomes a program: `python -m rrr_core.verification.confined_child JSON`.

Its filter of system calls is a list of what is refused, since any program may be run: what reaches others (network,
signals, tracing, namespaces), what changes the system, and what Landlock does not see (modes, owners and times of
files). Files are Landlock's.
"""

from __future__ import annotations

import errno
import json
import math
import os
import resource
import signal
import sys
from typing import Any, NoReturn

from rrr_core.verification import sandbox

REFUSED = (
    "socket socketcall ptrace process_vm_readv process_vm_writev process_madvise pidfd_open pidfd_getfd "
    "pidfd_send_signal tkill rt_sigqueueinfo rt_tgsigqueueinfo kcmp bpf perf_event_open userfaultfd io_uring_setup "
    "io_uring_enter io_uring_register keyctl add_key request_key mount umount umount2 pivot_root chroot setns unshare "
    "move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr swapon swapoff reboot kexec_load "
    "kexec_file_load init_module finit_module delete_module syslog acct quotactl quotactl_fd sethostname "
    "setdomainname settimeofday clock_settime clock_settime64 clock_adjtime clock_adjtime64 adjtimex stime personality "
    "setsid setpgid setpriority ioprio_set sched_setscheduler sched_setparam sched_setattr sched_setaffinity chmod "
    "fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes futimesat utimensat utimensat_time64 setxattr "
    "lsetxattr fsetxattr removexattr lremovexattr fremovexattr mknod mknodat shmget shmat msgget semget mq_open "
    "name_to_handle_at open_by_handle_at fanotify_init lookup_dcookie nfsservctl vhangup iopl ioperm memfd_secret "
)
NAMESPACES = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
"""Flags of clone."""
CLONE3 = 435
MOST_FILES = 64


def main() -> NoReturn:
    """Become the program; say why not on the file descriptor of faults."""
    faults = int(os.environ.pop("RRR_FAULTS"))
    os.set_inheritable(faults, False)
    try:
        request = json.loads(sys.argv[1])
        command = request["command"]
        scratch = request["scratch"]
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sandbox.drop_privileges()
        sandbox.confine_files(scratch, request["readable"], executing=True)
        rules = filter_of_calls()
        limits = {
            resource.RLIMIT_FSIZE: sandbox.LARGEST_FILE,
            resource.RLIMIT_NOFILE: MOST_FILES,
            resource.RLIMIT_AS: request["memory_mb"] << 20,
        }
        used = math.ceil(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
        cpu = used + max(1, math.ceil(request["cpu_seconds"]))
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
        # Ends it before the whole seconds that the limit counts in; a program may ignore it, but not the limit.
        signal.setitimer(signal.ITIMER_PROF, request["cpu_seconds"])
        for kind, most in limits.items():
            resource.setrlimit(kind, (most, most))
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
        rules.load()  # Last: it refuses to set limits, too.
        os.execvpe(command[0], command, environment)  # noqa: S606 - by its author's list, without a shell
    except BaseException as error:  # noqa: BLE001 - said to the core, which raises it
        os.write(faults, f"{type(error).__name__}: {error}".encode(errors="replace"))
        os._exit(1)


def filter_of_calls() -> Any:
    """The filter that refuses the calls of the list, once loaded for good: to this process and all it starts."""
    import pyseccomp

    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    rules.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.KILL_PROCESS)
    refused = pyseccomp.ERRNO(errno.EPERM)
    for name in REFUSED.split():
        try:
            rules.add_rule(refused, name)
        except OSError as error:
            # A name that this architecture or libseccomp does not have.
            if error.errno not in (errno.EINVAL, errno.EDOM):
                raise
    for name in ("kill", "tgkill"):
        rules.add_rule(refused, name, pyseccomp.Arg(0, pyseccomp.NE, os.getpid()))
    rules.add_rule(refused, "prlimit64", pyseccomp.Arg(2, pyseccomp.NE, 0))
    rules.add_rule(refused, "ioctl", pyseccomp.Arg(1, pyseccomp.EQ, 0x5412))  # TIOCSTI writes into a terminal.
    for flag in NAMESPACES:
        rules.add_rule(refused, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, flag, flag))
    # Its flags are in memory, where no filter sees them; glibc falls back to clone.
    rules.add_rule(pyseccomp.ERRNO(errno.ENOSYS), CLONE3)
    return rules


if __name__ == "__main__":
    main()
