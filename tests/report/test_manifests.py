"""The manifests on the page: nothing of the machine, and not that the page is still being written."""

from __future__ import annotations

from rrr_core.report.manifests import without_this_page
from rrr_core.report.places import Places

PLACES = Places([])


def test_a_finished_page_does_not_say_that_it_is_being_written() -> None:
    run = {"stages": {"mine": {"state": "finished"}, "report": {"state": "running"}}}
    assert without_this_page("run", run, PLACES) == {"stages": {"mine": {"state": "finished"}}}
    assert run["stages"]["report"] == {"state": "running"}


def test_a_path_of_this_machine_is_cut_to_its_last_two_folders() -> None:
    manifest = {"model": {"name": "/home/me/models/tiny"}, "failures": ["/srv/runs/mine/shard-0.jsonl"]}
    assert without_this_page("train", manifest, PLACES) == {
        "model": {"name": "…/models/tiny"},
        "failures": ["…/mine/shard-0.jsonl"],
    }


def test_what_is_no_path_stays_as_it_is() -> None:
    manifest = {"model": "Qwen/Qwen3-0.6B", "prompt": "/no_think", "text": "/a/b/c\nd", "n": 1}
    assert without_this_page("train", manifest, PLACES) == manifest
