"""The generation benchmark: its sides write the same texts, whatever their speed."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="the compared engines run on torch")
pytest.importorskip("rrr_countdown", reason="the embedded model is one of the two measured")
pytestmark = pytest.mark.train


def test_stock_generate_writes_our_texts_with_our_random_numbers():
    from generation import countdown, different

    assert different(countdown(rows=40, tries=1)) == {"greedy": 0.0, "sampled": 0.0}


def test_every_side_is_measured_on_as_many_rows_and_uneven_texts():
    from generation import measure, qwen

    case = qwen(rows=6, tries=2)
    figures, about = measure(case, repeats=1)
    assert [figure.unit for figure in figures] == ["samples/s"] * 3 + ["×"] * 2
    assert about["samples"] == 12
    assert max(about["share of texts that differ"].values()) == 0
    assert all(2 < tokens < 160 for tokens in about["tokens a text"].values())
