"""Attention in parts gives what one call with a mask gives, and is used where it is faster and has what is asked."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from rrr_core.training import packing, split_attention
from rrr_core.training.blockwise import Span
from rrr_core.training.packing import Packing
from rrr_core.training.split_attention import Part, SplitAttention, parts_of, splitting_pays
from tests.training.test_blockwise import BATCHES, apart, attended
from tests.training.test_shared_prompt import batch

pytestmark = pytest.mark.train


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts on any processor, for rows of any length."""
    monkeypatch.setattr(packing, "pays", lambda *_: False)
    monkeypatch.setattr(split_attention, "FEWEST", 0)


def masked(*shape: Any, **arguments: Any) -> Any:
    """The same by one call with a mask."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "splitting_pays", lambda *_: False)
        return attended(*shape, **arguments)


@pytest.mark.parametrize("groups", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize(("heads", "key_heads"), [(4, 4), (9, 3), (7, 1)])
def test_output_and_gradients_are_as_exact_as_with_a_mask(groups: Any, heads: int, key_heads: int) -> None:
    shape = (Packing(*batch(groups)), heads, key_heads, (8, 8))
    exact = masked(*shape, torch.float64)
    assert apart(attended(*shape, torch.float64), exact) < 1e-13
    assert apart(attended(*shape, torch.float32), exact) < 1e-6
    scaled = masked(*shape, torch.float64, scaling=0.3)
    assert apart(attended(*shape, torch.float64, scaling=0.3), scaled) < 1e-13
    assert apart(exact, scaled) > 1e-3


@pytest.mark.parametrize("autocast", [False, True])
def test_bfloat16_is_as_near_to_float64_as_with_a_mask(autocast: bool) -> None:
    shape = (Packing(*batch(BATCHES["longer than a tile"])), 6, 2, (16, 16))
    exact = masked(*shape, torch.float64)
    dtype = torch.float32 if autocast else torch.bfloat16
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        ours, theirs = attended(*shape, dtype), masked(*shape, dtype)
    assert ours[0].dtype == theirs[0].dtype == torch.bfloat16
    assert [each.dtype for each in ours] == [each.dtype for each in theirs]
    assert apart(ours, exact) < 1.2 * apart(theirs, exact) < 0.05


def test_scores_beyond_the_range_of_exponentials_are_joined_all_the_same() -> None:
    shape = (Packing(*batch([(9, (4, 2))])), 2, 1, (8, 8))
    exact = masked(*shape, torch.float64, scaling=300.0)
    found = attended(*shape, torch.float32, scaling=300.0)
    assert all(torch.isfinite(each).all() for each in found)
    assert apart(found, exact) < 1e-3


@pytest.mark.parametrize(
    ("arguments", "widths", "is_split"),
    [
        ({}, (8, 8), True),
        ({"sliding_window": 200}, (8, 8), True),
        ({"sliding_window": 30}, (8, 8), False),
        ({"dropout": 0.5}, (8, 8), False),
        ({}, (16, 8), False),
    ],
)
def test_what_parts_do_not_have_is_masked(
    monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], widths: tuple[int, int], is_split: bool
) -> None:
    calls, apply = [], SplitAttention.apply
    monkeypatch.setattr(SplitAttention, "apply", lambda *operands: calls.append(1) or apply(*operands))
    attended(Packing(*batch(BATCHES["longer than a tile"])), 4, 2, widths, torch.float32, **arguments)
    assert len(calls) == is_split


def test_parts_are_spans_on_themselves_and_completions_on_their_prompt() -> None:
    spans = (Span(0, 4), Span(4, 3), Span(7, 2, 0, 4), Span(9, 1, 0, 4), Span(10, 5, 4, 3))
    own = [Part(slice(*ends), slice(*ends), True) for ends in ((0, 4), (4, 7), (7, 9), (9, 10), (10, 15))]
    groups = [Part(slice(7, 10), slice(0, 4), False), Part(slice(10, 15), slice(4, 7), False)]
    assert parts_of(spans) == (*own, *groups)
    assert parts_of((Span(0, 2),)) == (Part(slice(0, 2), slice(0, 2), True),)


def test_small_parts_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split_attention, "FEWEST", 2**13)
    small, large = (
        parts_of((Span(0, prompt), *(Span(prompt + each * length, length, 0, prompt) for each in range(8))))
        for prompt, length in ((20, 5), (150, 40))
    )
    states = torch.zeros(1, 9, 1, 8)
    assert not splitting_pays(states, states, small)
    assert splitting_pays(states, states, large)
