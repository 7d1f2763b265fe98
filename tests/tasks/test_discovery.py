"""Finding tasks: only from metadata, and no broken distribution hides another."""

from __future__ import annotations

import subprocess
import sys

import pytest
from packaging.requirements import Requirement

import rrr_core
from rrr_core.tasks import TaskEntry, find_overlays, find_tasks
from rrr_core.tasks.discovery import _fits_plainly


def claims(name: str) -> list[TaskEntry]:
    return [entry for entry in find_tasks() if entry.name == name]


def test_an_installed_task_is_found_with_its_distribution_version_and_module(site):
    site.install("rrr-sums", "1.2", tasks={"sums": "rrr_sums"})
    assert claims("sums") == [TaskEntry("sums", "rrr-sums", "1.2", "rrr_sums")]


def test_finding_imports_no_plugin(site):
    site.install("rrr-loud", modules={"rrr_loud": "raise SystemExit('imported')"}, tasks={"loud": "rrr_loud"})
    assert [entry.error for entry in claims("loud")] == [None]
    assert "rrr_loud" not in sys.modules


def test_one_distribution_may_offer_many_tasks_through_one_module(site):
    site.install("rrr-many", tasks={"one": "rrr_many", "two": "rrr_many"})
    assert [entry.name for entry in find_tasks() if entry.distribution == "rrr-many"] == ["one", "two"]


def test_overlays_are_found_in_their_own_group(site):
    site.install("rrr-loud", tasks={"sums": "a"}, overlays={"louder": "b"})
    assert [(entry.name, entry.kind) for entry in find_overlays() if entry.distribution == "rrr-loud"] == [
        ("louder", "overlay")
    ]
    assert [entry.name for entry in find_tasks() if entry.distribution == "rrr-loud"] == ["sums"]


def test_two_distributions_that_claim_one_task_are_both_named_with_their_versions(site):
    site.install("rrr-first", "1.0", tasks={"sums": "first"})
    site.install("rrr-second", "2.0", tasks={"sums": "second"})
    assert [entry.distribution for entry in claims("sums")] == ["rrr-first", "rrr-second"]
    for entry in claims("sums"):
        assert "rrr-first 1.0" in entry.error
        assert "rrr-second 2.0" in entry.error


def test_a_clash_over_one_task_leaves_the_other_tasks_of_both_distributions_alone(site):
    site.install("rrr-first", tasks={"sums": "first", "left": "first"})
    site.install("rrr-second", tasks={"sums": "second", "right": "second"})
    assert [entry.error for entry in claims("left") + claims("right")] == [None, None]


def test_a_distribution_that_gives_one_task_two_modules_clashes_with_itself(site):
    site.install("rrr-torn", entry_points="[rrr.tasks]\nsums = first\nsums = second\n")
    assert all("first" in entry.error and "second" in entry.error for entry in claims("sums"))


def test_of_two_copies_of_one_distribution_the_first_on_the_path_counts(site, tmp_path, monkeypatch):
    site.install("rrr-sums", "1.0", tasks={"sums": "rrr_sums"})
    newer = type(site)(tmp_path / "newer")
    newer.folder.mkdir()
    newer.install("rrr-sums", "2.0", tasks={"sums": "rrr_sums"})
    monkeypatch.syspath_prepend(str(newer.folder))
    assert [(entry.version, entry.error) for entry in claims("sums")] == [("2.0", None)]


def test_a_copy_that_offers_the_task_no_longer_hides_an_older_one_that_does(site, tmp_path, monkeypatch):
    site.install("rrr-sums", "1.0", tasks={"sums": "rrr_sums"})
    newer = type(site)(tmp_path / "newer")
    newer.folder.mkdir()
    newer.install("rrr-sums", "2.0")
    monkeypatch.syspath_prepend(str(newer.folder))
    assert claims("sums") == []


@pytest.mark.parametrize(
    "requirement",
    [
        "rrr-core",
        "rrr-core>=0.1",
        "RRR_Core (>=0.0.1)",
        f"rrr-core=={rrr_core.__version__}",
        "rrr-core>=99; python_version < '3'",
        "rrr-core[train]>=99; extra == 'train'",
        "rrr-core-extras>=99",
        "unrelated>=99",
    ],
)
def test_a_plugin_whose_requirements_this_core_fits_is_accepted(site, requirement):
    site.install("rrr-sums", tasks={"sums": "rrr_sums"}, requires=[requirement])
    assert [entry.error for entry in claims("sums")] == [None]


@pytest.mark.parametrize("requirement", ["rrr-core>=99", "rrr.core (<0.0.1)", "rrr-core>=99; python_version > '3'"])
def test_a_plugin_made_for_another_core_has_an_error_that_names_both_and_is_not_imported(site, requirement):
    site.install("rrr-future", "3.1", tasks={"future": "rrr_future"}, requires=["sympy", requirement])
    (entry,) = claims("future")
    assert "rrr-future 3.1 needs rrr-core" in entry.error
    assert f"rrr-core {rrr_core.__version__}" in entry.error


def test_a_prerelease_of_the_core_counts_as_inside_the_range_it_lies_in(site, monkeypatch):
    monkeypatch.setattr(rrr_core, "__version__", "0.5.dev3")
    site.install("rrr-sums", tasks={"sums": "rrr_sums"}, requires=["rrr-core>=0.4,<0.6"])
    assert [entry.error for entry in claims("sums")] == [None]


def test_a_malformed_requirement_is_only_that_plugins_error(site):
    site.install("rrr-bad", tasks={"bad": "rrr_bad"}, requires=["rrr-core >=>= 1"])
    site.install("rrr-sums", tasks={"sums": "rrr_sums"})
    assert "rrr-bad 1.0" in claims("bad")[0].error
    assert claims("sums")[0].error is None


def test_an_entry_points_file_that_cannot_be_parsed_is_listed_and_does_not_affect_others(site):
    site.install("rrr-garbled", entry_points="[rrr.tasks]\nthis is no entry point\n")
    site.install("rrr-sums", tasks={"sums": "rrr_sums"})
    (garbled,) = [entry for entry in find_tasks() if entry.distribution == "rrr-garbled"]
    assert garbled.name == "?"
    assert "rrr-garbled 1.0" in garbled.error
    assert claims("sums")[0].error is None


def test_a_distribution_whose_files_are_not_text_does_not_affect_others(site):
    info = site.install("rrr-binary", entry_points="")
    (info / "entry_points.txt").write_bytes(b"[rrr.tasks]\n\xff\xfe = x\n")
    site.install("rrr-sums", tasks={"sums": "rrr_sums"})
    assert claims("sums")[0].error is None


@pytest.mark.parametrize("metadata", ["", "Name: rrr-bare\n", "Version: 1.0\n"])
def test_a_distribution_without_name_or_version_is_listed_with_that_error(site, metadata):
    site.install("rrr-bare", tasks={"bare": "rrr_bare"}, metadata=metadata)
    (entry,) = claims("bare")
    assert "lack name or version" in entry.error
    assert str(site.folder) in entry.error


def test_a_distribution_whose_metadata_are_not_text_is_listed_with_an_error(site):
    info = site.install("rrr-binary", tasks={"binary": "rrr_binary"})
    (info / "METADATA").write_bytes(b"Name: \xff\n")
    assert claims("binary")[0].error


def test_a_distribution_in_a_folder_of_another_name_is_found(site):
    site.install("rrr-renamed", tasks={"odd": "rrr_odd"}, metadata="Name: rrr-odd\nVersion: 1.0\n")
    assert claims("odd") == [TaskEntry("odd", "rrr-odd", "1.0", "rrr_odd")]


def test_importing_the_core_and_finding_tasks_imports_no_torch():
    code = (
        "import sys, rrr_core, rrr_core.tasks, rrr_core.conversation, rrr_core.verification;"
        "rrr_core.tasks.find_tasks();"
        "heavy = {'torch', 'transformers', 'trl', 'datasets', 'numpy'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("requirement", "version"),
    [
        (f"rrr-core{range_}", version)
        for range_ in (">=0.1", "<0.2", ">=0.1,<0.2", ">=0.1, <0.2", ">=0.1.0", "<0.1.0", ">=0.1.0.1", "<0.10", ">=1")
        for version in ("0.1", "0.1.0", "0.1.5", "0.2", "0.10.0", "1.0")
    ],
)
def test_a_plain_range_admits_the_versions_that_packaging_says(requirement: str, version: str) -> None:
    assert _fits_plainly(requirement, version) == Requirement(requirement).specifier.contains(version)


@pytest.mark.parametrize(
    "requirement",
    ["rrr-core", "rrr.core>=0.1", "rrr-core>0.0", "rrr-core==0.1.*", "rrr-core>=0.1; extra == 'x'", "rrr-core>=.1"],
)
def test_any_other_form_is_left_to_packaging(requirement: str) -> None:
    assert not _fits_plainly(requirement, "0.1.0")
