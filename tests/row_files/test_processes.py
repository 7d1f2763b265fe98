"""Rows made in a process of their own."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest

from rrr_core.errors import DataError
from rrr_core.row_files import rows_of_process

MAKER = """
from rrr_core.errors import DataError
from rrr_core.row_files import write_rows

def rows(request):
    print("a library's own words")
    for number in range(request["rows"]):
        yield {"number": number, "hash": hash("a word")}
    if request["end"] == "refusal":
        raise DataError("numbers: there are no more")
    if request["end"] == "fault":
        raise KeyError("gone")

write_rows(rows)
"""


@pytest.fixture
def maker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "planted_maker.py").write_text(MAKER, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "planted_maker"


def test_rows_are_streamed_and_what_else_is_printed_is_none(maker: str) -> None:
    rows = islice(rows_of_process(maker, {"rows": 10**9, "end": ""}), 3)
    assert [row["number"] for row in rows] == [0, 1, 2]


def test_every_process_has_the_same_hashes(maker: str) -> None:
    (one,), (other,) = (list(rows_of_process(maker, {"rows": 1, "end": ""})) for _ in range(2))
    assert one == other


def test_a_refusal_comes_back_as_the_users_mistake(maker: str) -> None:
    with pytest.raises(DataError, match=r"^numbers: there are no more$"):
        list(rows_of_process(maker, {"rows": 1, "end": "refusal"}))


def test_a_fault_is_named_with_its_last_line(maker: str) -> None:
    with pytest.raises(RuntimeError, match=r"could not be made by planted_maker: KeyError: 'gone'$"):
        list(rows_of_process(maker, {"rows": 1, "end": "fault"}))


PARENT = """
import subprocess, sys, time
child = "from rrr_core.row_files.processes import end_with_parent; import time; end_with_parent(0.05)\\n"
child += "print('up', flush=True); time.sleep(60)"
subprocess.Popen([sys.executable, "-c", child])
time.sleep(60)
"""


def test_a_process_of_rows_ends_with_the_one_that_reads_them_even_if_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        parent.kill()
        parent.wait()
        began = time.monotonic()
        assert parent.stdout.read() == b""  # It comes to its end once nobody holds the pipe.
    assert time.monotonic() - began < 30
