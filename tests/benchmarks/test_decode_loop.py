"""The decoding loop's benchmark: every side does the same work, and greedy texts are checked to be equal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the compared engines run on torch")
pytest.importorskip("rrr_countdown", reason="the embedded model is one of the two measured")
pytestmark = pytest.mark.train


def test_each_side_writes_the_same_texts_and_is_compared_with_ours(tmp_path: Path) -> None:
    from decode_loop import OURS, SIDES, main

    small = ["--shape", "tiny", "--batch", "16", "--tokens", "6", "--repeats", "1", "--folder", str(tmp_path)]
    assert main(["--works", "groups", "alone", *small, "--sides", *SIDES]) == 0
    figures = {row["label"]: row["value"] for row in json.loads((tmp_path / "decode_loop.json").read_text())["rows"]}
    assert figures["greedy texts that are equal"] == 1
    for work in ("groups", "retries", "alone"):
        assert {f"{work}, 16 texts: {side} over ours" for side in SIDES if side != OURS} <= {*figures}


def test_a_side_switches_parts_of_the_engine_off_and_on_again_afterwards() -> None:
    from decode_loop import CONCATENATED, GENERATE, joined, kv_cache, side, transformers_engine

    serves = transformers_engine.can_decode
    with side(GENERATE):
        assert transformers_engine.can_decode(None) is False
    with side(CONCATENATED):
        assert kv_cache._appended is joined
    assert transformers_engine.can_decode is serves
    assert kv_cache._appended is not joined
