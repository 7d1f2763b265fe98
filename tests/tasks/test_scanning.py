"""Distributions read without importlib.metadata give what it gives, and whatever is unusual is left to it."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from rrr_core.tasks import discovery, find_overlays, find_tasks
from rrr_core.tasks.discovery import TaskEntry
from rrr_core.tasks.scanning import plain_offers

POINT = "[rrr.tasks]\nsums = rrr_sums\n"


def by_importlib(monkeypatch: pytest.MonkeyPatch) -> list[TaskEntry]:
    with monkeypatch.context() as patch:
        patch.setattr(discovery, "plain_offers", lambda group: None)
        return find_tasks() + find_overlays()


def the_same_both_ways(monkeypatch: pytest.MonkeyPatch) -> list[TaskEntry]:
    found = find_tasks() + find_overlays()
    assert found == by_importlib(monkeypatch)
    return [entry for entry in found if entry.distribution == "rrr-sums"]


def test_plain_distributions_are_read_without_importlib(site, monkeypatch):
    site.install("rrr-sums", "1.2", tasks={"sums": "rrr_sums", "more": "rrr_sums.more"}, overlays={"loud": "rrr_loud"})
    site.install("rrr-old", tasks={"old": "rrr_old"}, requires=["sympy", "rrr-core<0.1"])
    assert plain_offers("rrr.tasks") is not None
    assert len(the_same_both_ways(monkeypatch)) == 3


@pytest.mark.parametrize("comment", ["# a comment\n", "\n\n", "[console_scripts]\nsums = rrr_sums:main\n", "  \n"])
def test_what_else_stands_in_a_file_of_entry_points_does_not_matter(site, monkeypatch, comment):
    site.install("rrr-sums", entry_points=f"{comment}{POINT}{comment}")
    assert plain_offers("rrr.tasks") is not None
    assert len(the_same_both_ways(monkeypatch)) == 1


@pytest.mark.parametrize(
    "metadata",
    [
        "",
        "Name: rrr-sums\n",
        "Name: rrr-sums\nName: rrr-other\nVersion: 1\n",
        "Name: rrr-other\nVersion: 1\n",
        "Name: rrr-sums\nVersion: 1\nRequires-Dist: rrr-core>=0.1,\n <0.2\n",
        "Name: rrr-sums\r\nVersion: 1\r\n",
        "Name: rrr-sums\nversion\nVersion: 1\n",
        "Name : rrr-sums\nVersion: 1\n",
    ],
)
def test_unusual_metadata_are_left_to_importlib(site, monkeypatch, metadata):
    site.install("rrr-sums", entry_points=POINT, metadata=metadata)
    the_same_both_ways(monkeypatch)
    assert plain_offers("rrr.tasks") is None


@pytest.mark.parametrize("points", [f"{POINT}nothing\n", f"stray = 1\n{POINT}", f"{POINT}empty =\n"])
def test_unusual_entry_points_are_left_to_importlib(site, monkeypatch, points):
    site.install("rrr-sums", entry_points=points)
    the_same_both_ways(monkeypatch)
    assert plain_offers("rrr.tasks") is None


def test_of_two_copies_the_first_on_the_path_counts_even_if_it_offers_nothing(site, monkeypatch, tmp_path):
    site.install("rrr-sums", "2.0", tasks={"sums": "rrr_sums"})
    earlier = tmp_path / "earlier"
    other = type(site)(earlier)
    earlier.mkdir()
    other.install("rrr.sums", "1.0", tasks={"sums": "rrr_sums"})
    monkeypatch.setattr(sys, "path", [str(earlier), *sys.path])
    assert {entry.version for entry in find_tasks() if entry.name == "sums"} == {"1.0"}
    the_same_both_ways(monkeypatch)
    (earlier / "rrr.sums-1.0.dist-info" / "entry_points.txt").write_text("")
    assert the_same_both_ways(monkeypatch) == []


def test_an_archive_on_the_path_is_left_to_importlib(site, monkeypatch, tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as packed:
        packed.writestr("rrr_packed-1.0.dist-info/METADATA", "Name: rrr-packed\nVersion: 1.0\n")
        packed.writestr("rrr_packed-1.0.dist-info/entry_points.txt", "[rrr.tasks]\npacked = rrr_packed\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "packed.zip"), *sys.path])
    assert "packed" in {entry.name for entry in find_tasks()}


def test_a_finder_of_its_own_is_left_to_importlib(site, monkeypatch):
    class Finder:
        def find_spec(self, *_: object) -> None: ...
        def find_distributions(self, context: object) -> list[object]:
            return []

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert plain_offers("rrr.tasks") is None
