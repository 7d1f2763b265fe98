"""The overlay `person-judge` as the core loads it: its options, its manifest, and one desk for a whole job."""

from __future__ import annotations

from pathlib import Path

import pytest
from cases import pairs_of
from rrr_person_judge.desk import desk_of
from rrr_person_judge.options import PersonOptions
from rrr_person_judge.record import item_of, verdict_of

from rrr_core import Verdict
from rrr_core.errors import RrrError
from rrr_core.tasks import load_task
from rrr_core.verification import Judge


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("pgae=auto", "has no option 'pgae'. Did you mean 'page'"),
        ("page=0", "option page: expected auto or a port from 1 to 65535, not '0'"),
        ("page=65536", "option page: expected auto"),
        ("page=²", "option page: expected auto"),
        ("page=", "option page: expected auto"),
        ("page=" + "9" * 5000, "option page: expected auto"),
        ("open=yes", "option open: there is no page to open: give page=auto too"),
        ("open=true,page=auto", "option open: expected yes or no"),
        ("file=", "option file: a name is expected"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_starts(sums: Path, options: str, complaint: str) -> None:
    with pytest.raises(RrrError) as caught:
        load_task("sums", [f"person-judge:{options}"])
    assert "The overlay 'person-judge'" in str(caught.value)
    assert complaint in str(caught.value)


def test_loading_opens_neither_file_nor_page(sums: Path, tmp_path: Path) -> None:
    task = load_task("sums", [f"person-judge:page=auto,file={tmp_path / 'kept.jsonl'}"])
    assert task.judges == (f"person-judge:page=auto,file={tmp_path / 'kept.jsonl'}",)
    assert not (tmp_path / "kept.jsonl").exists()


def test_a_reloaded_task_uses_the_same_desk(sums: Path, tmp_path: Path) -> None:
    """As `rrr rejudge` does for each stage: a second lock on the file would be refused."""
    path = str(tmp_path / "kept.jsonl")
    desk = desk_of(PersonOptions(file=path), "sums")
    try:
        (row, answer), *_ = pairs = pairs_of(["one"])
        desk.file.keep(item_of("sums", row, answer), verdict_of("failed", "rude"))
        for _ in range(2):
            with Judge(load_task("sums", [f"person-judge:file={path}"])) as judge:
                assert judge.judge(pairs) == [Verdict("failed", "rude")]
    finally:
        desk.close()
        desk_of.cache_clear()


def test_the_manifest_says_that_a_person_judges(sums: Path) -> None:
    manifest = load_task("sums", ["person-judge"]).manifest()
    assert manifest is not None
    assert not manifest.deterministic
    assert manifest.categories == ("wrong sum", "judged wrong")
