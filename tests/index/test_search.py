"""A search finds installed and known tasks by their words, without importing a plugin."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from rrr_core import cli
from rrr_core.index import Known, search
from rrr_core.tasks import TaskEntry, find_tasks
from tests.index.test_badge import BADGE
from tests.index.test_known import index_of

KNOWN = [
    Known("sums", "rrr-sums", "Add two numbers.", ("wrong sum",), BADGE),
    Known("tables", "rrr-tables", "Answer a question about numbers with SQL."),
]


def names(words: str, *installed: TaskEntry) -> list[str]:
    return [found.task for found in search(words, KNOWN, installed)]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("numbers", ["sums", "tables"]),
        ("NUMBERS sql", ["tables"]),
        ("wrong sum", ["sums"]),
        ("", ["sums", "tables"]),
        ("chess", []),
    ],
)
def test_a_task_that_has_all_the_words_is_found_in_any_case(words: str, wanted: list[str]) -> None:
    assert names(words) == wanted


def test_a_task_with_the_word_in_its_name_comes_first() -> None:
    assert [each.task for each in search("tables", [Known("a", "rrr-a", "Tables."), *KNOWN], [])] == ["tables", "a"]


def test_an_installed_task_says_its_version_and_one_that_no_index_lists_is_found_too() -> None:
    other = TaskEntry("my-sums", "rrr-mine", "3.0", "rrr_mine")
    found = {
        each.task: each for each in search("sums", KNOWN, [TaskEntry("sums", "rrr_sums", "1.0", "rrr_sums"), other])
    }
    assert (found["sums"].installed, found["sums"].badge) == ("1.0", BADGE)
    assert (found["my-sums"].installed, found["my-sums"].badge) == ("3.0", None)


def test_another_distribution_of_the_same_name_is_not_taken_for_the_known_one() -> None:
    found = search("sums", KNOWN[:1], [TaskEntry("sums", "evil-sums", "1.0", "evil")])
    assert [(each.package, each.installed) for each in found] == [("evil-sums", "1.0"), ("rrr-sums", "")]


def test_no_plugin_is_imported(site: Any) -> None:
    site.install_task("planted_sums")
    assert [each.task for each in search("planted", KNOWN, find_tasks())] == ["planted_sums"]
    assert "rrr_planted_sums" not in sys.modules


def test_the_command_shows_the_figures_of_trust_and_escapes_what_an_index_says(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = {"task": "zz\x1b[2J", "package": "rrr-zz\n\u202e", "summary": "numbers\x07"}
    place = index_of(tmp_path, {"task": "sums", "package": "rrr-sums", "badge": BADGE.to_json()}, hostile)
    assert cli.run_command(["tasks", "--search", "", "--index", place]) == 0
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if line.startswith("sums ")]
    assert line.split() == ["sums", "rrr-sums", "-", "25/25", "of", "1.0", "97.8%", "422", "refused", "sandboxed"]
    assert not {"\x1b", "\u202e", "\x07"}.intersection(out)


def test_an_installed_task_that_the_index_does_not_list_is_not_called_unchecked(
    site: Any, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    site.install_task("planted_sums")
    place = index_of(tmp_path, {"task": "planted_more", "package": "rrr-planted-more"})
    assert cli.run_command(["tasks", "--search", "planted", "--index", place]) == 0
    said = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert said["planted_more"].rstrip().endswith("not checked")
    assert said["planted_sums"].rstrip().endswith("not in the index")


def test_nothing_found_exits_with_1(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_command(["tasks", "--search", "q\x1b9z", "--index", index_of(tmp_path)]) == 1
    assert capsys.readouterr().out.startswith("no task has 'q�9z'")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--index", "x.json"], "--index is what --search reads"),
        (["countdown", "--search", "x"], "stand alone"),
        (["--badge", "b.json", "--search", "x"], "stand alone"),
        (["--search", "x", "--index", "nowhere.json"], "nowhere.json: no such file."),
        (["--badge", "nowhere.json"], "nowhere.json: no such file."),
    ],
)
def test_a_wrong_call_is_one_line(options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_command(["tasks", *options]) == 2
    assert sentence in capsys.readouterr().err
