"""What training says while it records."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.train


def test_many_reflections_that_are_cut_off_are_said_once_with_what_to_do(tmp_path: Path) -> None:
    from rrr_core.training.records import Recorder

    said: list[str] = []
    recorder = Recorder(tmp_path, tokenizer=None, kept=0, advance=lambda *_: None, say=said.append)  # type: ignore[arg-type]
    for step, share in enumerate((0.05, 0.4, 0.6), start=1):
        recorder._warn(step, share)
    (line,) = said
    assert line.startswith(
        "Step 2: 40% of the reflections met the token limit. They get no retry and cannot be rewarded"
    )
    assert line.endswith("raise --max-reflection-tokens.")
