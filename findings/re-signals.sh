#!/usr/bin/env bash
# CPython: a signal handler that raises does interrupt a regular expression, against what the documentation of `signal`
# says; how soon depends on the pattern's shape, from at once to seconds. A loop within another C function is never interrupted.
#
# Date: 2026-11-29. Versions: CPython 3.11.7, 3.12.1 and 3.13.0, Linux.
#
# What happens. A timer of 0.2 CPU seconds whose handler raises. `re.fullmatch` of a nested repetition, and `re.sub` of
# trailing blanks in 400,000 characters, end within 0.2 s. `re.search(r"[ab]*c", …)` on as many characters ends after
# some 3 s: the matcher looks for signals once in 4,096 steps, a search counts one step for each place where it starts,
# and each start reads the rest of the text. `9**9**9` ends at once, too. `sum(range(10**10))` is not interrupted at all.
#
# Output seen:
#   nested repetition, fullmatch      interrupted after 0.2 CPU s
#   trailing blanks, sub              interrupted after 0.2 CPU s
#   a class and a letter, search      interrupted after 2.8 CPU s
#   a power                           interrupted after 0.2 CPU s
#   a sum of a range                  not interrupted within 5 s
#
# Why the guess is wrong. The documentation of `signal` has this very case as its example: "A long-running calculation
# implemented purely in C (such as regular expression matching on a large body of text) may run uninterrupted for an
# arbitrary amount of time". So one starts a process for each match, or takes another engine; or, having seen one match
# interrupted, one takes it that every match is, and every loop in C.
#
# Whom it hurts. Whoever judges patterns or answers of a model with `re` under a time limit: they pay for processes
# that they do not need, or trust a limit that long texts stretch tenfold.
#
# What to do. A timer in the main thread is a good limit for `re` if the text is short (20,000 characters: 0.2 s too late
# at most); anything else within C needs a process that can be killed.
set -euo pipefail

"${PYTHON:-python3}" - <<'PY' || exit 1
import os
import platform
import re
import signal
import time

print(f"CPython {platform.python_version()}")
CHARACTERS = 400_000


class Reached(BaseException):
    pass


def interrupt(number, frame):
    raise Reached


def seconds_of(work, most=60):
    """The CPU seconds after which the work is interrupted; None if it is not within `most` seconds by the clock."""
    source, end = os.pipe()
    child = os.fork()
    if not child:
        signal.signal(signal.SIGVTALRM, interrupt)
        began = time.process_time()
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.2)
            work()
        except Reached:
            os.write(end, f"{time.process_time() - began}".encode())
        os._exit(0)
    os.close(end)
    deadline = time.monotonic() + most
    while not os.waitpid(child, os.WNOHANG)[0]:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(0.05)
    with os.fdopen(source) as said:
        text = said.read()
    assert text, "it finished before the limit"
    return float(text)


WORK = {
    "nested repetition, fullmatch": lambda: re.fullmatch(r"(a+)+", "a" * 60 + "!"),
    "trailing blanks, sub": lambda: re.sub(r"\s+$", "", " " * CHARACTERS + "!"),
    "a class and a letter, search": lambda: re.search(r"[ab]*c", "a" * CHARACTERS),
    "a power": lambda: 9**9**9,
    "a sum of a range": lambda: sum(range(10**10)),
}
seen = {}
for name, work in WORK.items():
    seen[name] = seconds_of(work, 5 if "sum" in name else 60)
    said = "not interrupted within 5 s" if seen[name] is None else f"interrupted after {seen[name]:.1f} CPU s"
    print(f"{name:32}  {said}")
for name in ("nested repetition, fullmatch", "trailing blanks, sub", "a power"):
    assert seen[name] is not None and seen[name] < 0.6, f"{name} has changed"
assert seen["a class and a letter, search"] > 1.0, "a search is interrupted at once now"
assert seen["a sum of a range"] is None, "sum is interrupted now"
print("As described.")
PY
