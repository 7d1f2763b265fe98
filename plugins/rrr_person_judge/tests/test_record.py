"""The file of a person's verdicts: no verdict is lost, and no other file is mistaken for one."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from rrr_person_judge.record import VerdictFile, item_of, verdict_of

from rrr_core.errors import DataError, RrrError

ITEMS = [item_of("sums", {"a": number, "b": 1}, f"answer {number}") for number in range(3)]
PASSED, FAILED, WITHHELD = verdict_of("passed"), verdict_of("failed", "rude"), verdict_of("abstained")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "verdicts.jsonl"


def written(path: Path) -> bytes:
    """A file with three verdicts, as bytes."""
    with VerdictFile(path, "sums", "kim") as file:
        for item, verdict in zip(ITEMS, (PASSED, FAILED, WITHHELD), strict=True):
            file.keep(item, verdict)
    return path.read_bytes()


def test_verdicts_are_there_when_the_file_is_opened_again(path: Path) -> None:
    written(path)
    with VerdictFile(path, "sums") as file:
        assert [file.verdicts[item.key] for item in ITEMS] == [PASSED, FAILED, WITHHELD]


def test_a_line_says_who_judged_what_and_when(path: Path) -> None:
    line = json.loads(written(path).splitlines()[2])
    assert line.pop("at").endswith("+00:00")
    assert line == {
        "item": ITEMS[1].key,
        "outcome": "failed",
        "category": "rude",
        "by": "kim",
        "row": {"a": 1, "b": 1},
        "answer": "answer 1",
    }


def test_a_later_verdict_replaces_an_earlier_one(path: Path) -> None:
    with VerdictFile(path, "sums") as file:
        file.keep(ITEMS[0], PASSED)
        file.keep(ITEMS[0], FAILED)
    with VerdictFile(path, "sums") as file:
        assert file.verdicts == {ITEMS[0].key: FAILED}


def test_a_verdict_that_was_taken_back_stays_removed(path: Path) -> None:
    written(path)
    with VerdictFile(path, "sums") as file:
        file.take_back(ITEMS[1].key)
    with VerdictFile(path, "sums") as file:
        assert list(file.verdicts) == [ITEMS[0].key, ITEMS[2].key]


def test_a_torn_last_line_is_removed_and_nothing_else_is_lost(path: Path) -> None:
    whole = written(path)
    before = whole[: whole[:-1].rindex(b"\n") + 1]
    for size in range(len(before), len(whole) - 1):
        path.write_bytes(whole[:size])
        with VerdictFile(path, "sums") as file:
            assert list(file.verdicts) == [ITEMS[0].key, ITEMS[1].key]
        assert path.read_bytes() == before


def test_a_file_torn_in_its_first_line_starts_over(path: Path) -> None:
    first = written(path).splitlines(keepends=True)[0]
    for size in range(len(first)):
        path.write_bytes(first[:size])
        with VerdictFile(path, "sums") as file:
            assert file.verdicts == {}
        assert path.read_bytes() == first


def test_a_last_line_whose_end_an_editor_removed_counts(path: Path) -> None:
    whole = written(path)
    path.write_bytes(whole[:-1])
    with VerdictFile(path, "sums") as file:
        assert len(file.verdicts) == 3
    assert path.read_bytes() == whole


def test_verdicts_of_another_task_are_refused(path: Path) -> None:
    whole = written(path)
    with pytest.raises(DataError, match=r"verdicts\.jsonl:1: holds verdicts of the task 'sums', not 'chess'"):
        VerdictFile(path, "chess")
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "content", [b"my diary", b"my diary\n", b'{"row": {}}\n', b"[]\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n", b"\n"]
)
def test_a_file_of_another_kind_is_refused_and_left_unchanged(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"verdicts\.jsonl:1: not a file of person-judge's verdicts"):
        VerdictFile(path, "sums")
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"nonsense", ":3: not a line"),
        (b"{}", ":3: 'item' is missing"),
        (b'{"item": "x", "outcome": "maybe", "category": ""}', ":3: 'outcome' is none of passed, failed"),
        (b'{"item": "x", "outcome": "failed", "category": 7}', ":3: 'category' is missing or no text"),
    ],
)
def test_a_broken_line_in_the_middle_is_named(path: Path, line: bytes, complaint: str) -> None:
    lines = written(path).splitlines()
    path.write_bytes(b"\n".join([*lines[:2], line, *lines[2:], b""]))
    with pytest.raises(DataError, match=complaint):
        VerdictFile(path, "sums")


def test_a_newer_version_of_the_file_is_refused(path: Path) -> None:
    path.write_bytes(written(path).replace(b'"version": 1', b'"version": 2'))
    with pytest.raises(DataError, match=":1: of another version"):
        VerdictFile(path, "sums")


def test_a_file_that_is_open_elsewhere_is_refused(path: Path) -> None:
    with VerdictFile(path, "sums"), pytest.raises(RrrError, match="another process keeps its verdicts there"):
        VerdictFile(path, "sums")
    VerdictFile(path, "sums").close()


def test_a_full_disk_is_reported_in_one_line_and_leaves_no_partial_verdict(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = written(path)
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) < 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:-50])

    with VerdictFile(path, "sums") as file:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(
            RrrError,
            match=r"cannot be written: No space left on device\. .* the same command resumes\.",
        ):
            file.keep(ITEMS[0], FAILED)
        monkeypatch.undo()
        assert file.verdicts[ITEMS[0].key] == PASSED
    assert path.read_bytes() == whole


def test_hostile_answers_stay_on_their_line(path: Path) -> None:
    hostile = item_of("sums", {"\u2028": "\ud800"}, "a\nb\u2028\x1b[2J\ud800")
    with VerdictFile(path, "sums") as file:
        file.keep(hostile, PASSED)
    content = path.read_bytes()
    assert content.isascii()
    assert content.count(b"\n") == 2
    assert json.loads(content.splitlines()[1])["answer"] == hostile.answer


def test_an_item_is_identified_by_task_row_and_answer_but_not_by_key_order() -> None:
    key = item_of("sums", {"a": 1, "b": 2}, "3").key
    assert item_of("sums", {"b": 2, "a": 1}, "3").key == key
    others = [
        item_of("sum", {"a": 1, "b": 2}, "3"),
        item_of("sums", {"a": 2, "b": 1}, "3"),
        item_of("sums", {"a": 1, "b": 2}, "3 "),
    ]
    assert key not in [other.key for other in others]
