"""The result of judging a run again."""

from __future__ import annotations

from pathlib import Path

from rrr_core.judging.rejudge import Rejudged, StageResult


def test_the_counts_of_a_stage_add_up() -> None:
    stage = StageResult("mine", None, {}, judged=9, changes=(), withheld=0)
    assert (stage.same, stage.flipped, stage.reclassified) == (9, 0, 0)
    assert Rejudged(Path("x"), (stage, stage)).judged == 18
