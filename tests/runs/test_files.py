"""Writes are atomic, hostile text survives, and every error is one line."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrr_core.errors import DataError, RrrError
from rrr_core.runs import files
from rrr_core.runs.files import read_json, read_lines, read_numbered_lines, write_json, write_lines, write_text
from tests.fakes import names


def is_of_characters(text: str) -> bool:
    """Whether a text holds no two surrogates that make a pair: JSON writes one as it writes the character itself."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") == text


any_text = st.text(st.characters()).filter(is_of_characters)
json_objects = st.dictionaries(any_text, st.none() | st.booleans() | st.integers() | any_text | st.lists(any_text))


class Crash(BaseException):
    """Simulates the death of the process."""


def one_line(error: pytest.ExceptionInfo[RrrError]) -> str:
    text = str(error.value)
    assert len(text.splitlines()) == 1
    return text


@given(st.lists(json_objects, max_size=5))
def test_any_records_are_read_back_unchanged(tmp_path_factory: pytest.TempPathFactory, records: list) -> None:
    path = tmp_path_factory.mktemp("lines") / "records.jsonl"
    write_lines(path, records)
    assert list(read_lines(path)) == records
    assert path.read_bytes().count(b"\n") == len(records)


def test_hostile_text_neither_splits_nor_corrupts_a_line(tmp_path: Path) -> None:
    hostile = {"text": "a\nb\r\u2028\u2029\x85\x00\ud800</script>"}
    write_lines(tmp_path / "x.jsonl", [hostile, hostile])
    assert list(read_lines(tmp_path / "x.jsonl")) == [hostile, hostile]
    assert len((tmp_path / "x.jsonl").read_text().splitlines()) == 2


def test_a_lone_surrogate_does_not_prevent_writing_a_page(tmp_path: Path) -> None:
    write_text(tmp_path / "page.html", "a\ud800é")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == "a?é"


def test_missing_parent_folders_are_created(tmp_path: Path) -> None:
    write_json(tmp_path / "a" / "b" / "x.json", [1])
    assert read_json(tmp_path / "a" / "b" / "x.json") == [1]


def test_a_write_that_fails_halfway_leaves_only_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    write_lines(path, [{"old": 1}])

    def records():
        yield {"new": 1}
        raise Crash

    with pytest.raises(Crash):
        write_lines(path, records())
    assert list(read_lines(path)) == [{"old": 1}]
    assert names(tmp_path) == ["x.jsonl"]


def test_a_number_that_json_lacks_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_lines(tmp_path / "x.jsonl", [{"a": 1}, {"a": float("nan")}])
    assert names(tmp_path) == []


def test_an_error_from_the_source_of_the_records_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    def records():
        yield {"a": 1}
        raise ConnectionResetError("the source is gone")

    with pytest.raises(ConnectionResetError):
        write_lines(tmp_path / "x.jsonl", records())


def test_a_new_file_gets_the_permissions_allowed_by_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_json(tmp_path / "x.json", 1)
    finally:
        os.umask(before)
    assert (tmp_path / "x.json").stat().st_mode & 0o777 == 0o640


def test_content_and_name_are_synced_to_disk_before_a_write_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = []

    def fsync(descriptor: int) -> None:
        target = Path(f"/proc/self/fd/{descriptor}").readlink()
        kinds.append("folder" if target.is_dir() else "file")

    monkeypatch.setattr(files.os, "fsync", fsync)
    write_json(tmp_path / "x.json", 1)
    assert kinds == ["file", "folder"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_each_error_of_the_system_is_one_line_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, "fsync", refuse)
    with pytest.raises(RrrError, match=words) as error:
        write_json(tmp_path / "x.json", 1)
    assert str(tmp_path / "x.json") in one_line(error)
    assert names(tmp_path) == []


def test_a_real_limit_on_file_size_gives_one_line_and_no_file(tmp_path: Path) -> None:
    script = f"""
        import resource, signal
        from pathlib import Path
        from rrr_core.errors import RrrError
        from rrr_core.runs.files import write_lines
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            write_lines(Path({str(tmp_path / "x.jsonl")!r}), ({{"text": "a" * 1000}} for _ in range(1000)))
        except RrrError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert "size limit" in done.stdout
    assert done.stdout.count("\n") == 1
    assert names(tmp_path) == []


def test_a_file_in_place_of_a_parent_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(RrrError, match="is a file") as error:
        write_json(tmp_path / "x" / "y" / "z.json", 1)
    assert str(tmp_path / "x") in one_line(error)


def test_the_name_of_an_existing_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").mkdir()
    with pytest.raises(RrrError, match="a folder of that name"):
        write_json(tmp_path / "x.json", 1)
    assert names(tmp_path) == ["x.json"]


@pytest.mark.parametrize(
    ("content", "place", "words"),
    [
        (b'{"a": 1}\n{"a": \n', ":2:", "not JSON"),
        (b'{"a": 1}\n\n[1]\n', ":3:", "a JSON object is expected, found list"),
        (b'{"a": 1}\n{"a": "\xff"}\n', ":2:", "not JSON"),
        (b"[" * 100_000, ":1:", "not JSON"),
        (b'{"a": ' + b"1" * 5000 + b"}", ":1:", "not JSON"),
    ],
    ids=["cut off", "not an object", "not UTF-8", "too deep", "too many digits"],
)
def test_a_malformed_line_is_named_with_file_and_line(tmp_path: Path, content: bytes, place: str, words: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as error:
        list(read_lines(path))
    assert one_line(error).startswith(f"{path}{place}")


def test_malformed_json_is_named_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{\n"a": 1,\n"b" 2}')
    with pytest.raises(DataError) as error:
        read_json(path)
    assert one_line(error).startswith(f"{path}:3:")


def test_a_missing_file_or_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_json(tmp_path / "none.json")
    with pytest.raises(DataError, match="cannot be read"):
        list(read_lines(tmp_path))


def test_blank_lines_and_a_byte_order_mark_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\n\n  \n{"a": 2}')
    assert list(read_numbered_lines(path)) == [(1, {"a": 1}), (4, {"a": 2})]


def test_lines_are_read_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\nnonsense\n')
    assert next(read_lines(path)) == {"a": 1}
