"""An index is read from a file or an https address, within bounds, and its badges are checked."""

from __future__ import annotations

import io
import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from rrr_core.errors import DataError
from rrr_core.index import known, read_badge, read_index
from tests.index.test_badge import BADGE, signed, written

ENTRY = {"task": "sums", "package": "rrr-sums", "summary": "Add two numbers."}
ROOT = Path(__file__).parents[2]


def index_of(folder: Path, *entries: Any) -> str:
    path = folder / "index.json"
    path.write_text(json.dumps({"rrr_index": 1, "tasks": entries}), encoding="utf-8")
    return str(path)


def test_an_entry_has_its_badge_if_the_digest_fits(tmp_path: Path) -> None:
    (found,) = read_index(index_of(tmp_path, {**ENTRY, "badge": written()}))
    assert (found.badge, found.problem) == (BADGE, "")


def test_a_changed_badge_does_not_count_and_the_entry_says_so(tmp_path: Path) -> None:
    (found,) = read_index(index_of(tmp_path, {**ENTRY, "badge": {**written(), "version": "9"}}))
    assert found.badge is None
    assert "its digest does not fit its content" in found.problem


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("sums", "task 1: an object is expected"),
        ({"task": "sums"}, "task 1: 'package' must be a text"),
        ({**ENTRY, "categories": "all"}, "task 1: 'categories' must be a list"),
        ({**ENTRY, "task": "other", "badge": written()}, "task 1: its badge is for 'sums' of 'rrr-sums'"),
    ],
)
def test_a_malformed_entry_is_refused_with_its_number(tmp_path: Path, entry: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read_index(index_of(tmp_path, entry))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[]", "not an index of tasks"),
        ('{"rrr_index": 2, "tasks": []}', "not an index of tasks"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"rrr_index": NaN}', "not JSON"),
    ],
)
def test_what_is_no_index_is_refused_in_one_line(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "index.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=sentence) as raised:
        read_index(str(tmp_path / "index.json"))
    assert "\n" not in str(raised.value)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "LARGEST", 10)
    with pytest.raises(DataError, match="larger than"):
        read_index(index_of(tmp_path, ENTRY))


def test_a_missing_file_and_an_endless_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_index(str(tmp_path / "nowhere.json"))
    with pytest.raises(DataError, match="not an ordinary file"):
        read_index("/dev/zero")


@pytest.mark.parametrize("address", ["http://example.org/index.json", "ftp://example.org/x", "file:///etc/passwd"])
def test_only_https_is_asked(address: str) -> None:
    with pytest.raises(DataError, match="only https addresses"):
        read_index(address)


class Served:
    """Stands in for a network: an opener whose replies are given."""

    def __init__(self, reply: bytes | Exception) -> None:
        self.reply = reply
        self.handlers: tuple[Any, ...] = ()

    def __call__(self, *handlers: Any) -> Served:
        self.handlers = handlers
        return self

    def open(self, request: urllib.request.Request, timeout: float) -> io.BytesIO:
        assert timeout == known.SECONDS
        if isinstance(self.reply, Exception):
            raise self.reply
        return io.BytesIO(self.reply)


ADDRESS = "https://example.org/index.json"


def test_an_address_is_read_like_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urllib.request, "build_opener", Served(json.dumps({"rrr_index": 1, "tasks": [ENTRY]}).encode()))
    assert [each.task for each in read_index(ADDRESS)] == ["sums"]


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (OSError("no route\x1b[2J"), "cannot be read: no route�"),
        (b" " * 100, "larger than"),
        (b"\xff\xfe", "not JSON"),
    ],
)
def test_a_bad_reply_is_one_line_that_names_the_address(
    monkeypatch: pytest.MonkeyPatch, reply: Any, sentence: str
) -> None:
    monkeypatch.setattr(known, "LARGEST", 50)
    monkeypatch.setattr(urllib.request, "build_opener", Served(reply))
    with pytest.raises(DataError, match=sentence) as raised:
        read_index(ADDRESS)
    assert str(raised.value).startswith(ADDRESS)


def test_a_redirection_to_plain_http_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    served = Served(b"{}")
    monkeypatch.setattr(urllib.request, "build_opener", served)
    with pytest.raises(DataError, match="not an index"):
        read_index(ADDRESS)
    (handler,) = served.handlers
    with pytest.raises(DataError, match="which is not https"):
        handler().redirect_request(urllib.request.Request(ADDRESS), None, 302, "", {}, "http://example.org/x")


def test_a_badge_is_read_from_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "sums.json").write_text(json.dumps(signed(version="2.0")), encoding="utf-8")
    assert read_badge(str(tmp_path / "sums.json")).version == "2.0"
    (tmp_path / "sums.json").write_text(json.dumps({**written(), "version": "2.0"}), encoding="utf-8")
    with pytest.raises(DataError, match="not a badge that holds"):
        read_badge(str(tmp_path / "sums.json"))


def test_the_index_that_ships_lists_every_task_of_our_plugins_and_every_badge_in_it_holds() -> None:
    import tomllib

    found = {each.task: each for each in read_index()}
    for path in ROOT.glob("plugins/*/pyproject.toml"):
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        offered = project.get("entry-points", {}).get("rrr.tasks", {})
        assert {found[task].package for task in offered} <= {project["name"]}
    assert [each.task for each in found.values() if each.problem] == []
    assert {task for task, each in found.items() if each.badge} >= {"countdown", "apigen", "sqlite"}
