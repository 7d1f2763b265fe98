"""A busy machine does not make a plugin slow: what its processes wait for a processor does not count."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rrr_core.conformance.observation import lines
from rrr_core.conformance.waiting import Waited

needs_schedstat = pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the system keeps no account")
SPIN = "import time\nwhile True: pass"
SLEEP = "import time; time.sleep(60)"


@needs_schedstat
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes cannot be kept on one processor")
def test_processes_that_share_a_processor_wait_about_half_of_the_time() -> None:
    one = {min(os.sched_getaffinity(0))}
    both = [subprocess.Popen([sys.executable, "-c", SPIN], start_new_session=True) for _ in range(2)]
    try:
        for each in both:
            os.sched_setaffinity(each.pid, one)
        waited = Waited(both[0].pid)
        before, began = waited.seconds(), time.monotonic()
        time.sleep(2)
        share = (waited.seconds() - before) / (time.monotonic() - began)
        assert 0.2 < share <= 1
    finally:
        for each in both:
            each.kill()
            each.wait()


@needs_schedstat
def test_a_process_that_sleeps_does_not_wait() -> None:
    asleep = subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True)
    try:
        time.sleep(1)
        waited = Waited(asleep.pid)
        before = waited.seconds()
        time.sleep(1)
        assert waited.seconds() - before < 0.1
    finally:
        asleep.kill()
        asleep.wait()


def test_silence_lasts_as_much_longer_as_was_waited_and_no_more() -> None:
    began = time.monotonic()

    def half() -> float:
        return (time.monotonic() - began) / 2

    with subprocess.Popen([sys.executable, "-c", SLEEP], stdout=subprocess.PIPE) as silent:
        assert silent.stdout is not None
        with pytest.raises(TimeoutError):
            list(lines(silent.stdout, 0.5, half))
        silent.kill()
    assert 0.9 < time.monotonic() - began < 20
