"""Attention tile by tile gives what torch's own gives, and is used where it is faster and has what is asked."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from rrr_core.generation import products
from rrr_core.training import blockwise
from rrr_core.training.blockwise import Blockwise, Span, pays
from rrr_core.training.packing import Packing
from tests.training.test_shared_prompt import BATCHES, batch

pytestmark = pytest.mark.train

BATCHES = {**BATCHES, "longer than a tile": [(90, (5, 70, 33)), (7, (129,))]}


@pytest.fixture
def tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles on any processor, for rows of any length."""
    monkeypatch.setattr(blockwise, "is_faster", lambda: True)
    monkeypatch.setattr(blockwise, "FEWEST", 0)


def attended(
    packing: Packing, heads: int, key_heads: int, widths: tuple[int, int], dtype: Any, **arguments: Any
) -> Any:
    """Output (1, N, H, d) of random states, and the gradients of query, key and value."""
    source = torch.Generator().manual_seed(1)
    width, value_width = widths
    states = [
        torch.randn(1, count, packing.tokens, size, generator=source).to(dtype).requires_grad_()
        for count, size in ((heads, width), (key_heads, width), (key_heads, value_width))
    ]
    output, _ = packing.attend(None, None, *states, is_flash=False, **arguments)
    output.backward(torch.randn(output.shape, generator=source).to(output.dtype))
    return [output.detach(), *(each.grad for each in states)]


def apart(found: Any, exact: Any) -> float:
    return max(
        float((one.double() - other.double()).norm() / other.norm()) for one, other in zip(found, exact, strict=True)
    )


@pytest.mark.parametrize("onednn", [False, True])
@pytest.mark.parametrize("groups", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize(("heads", "key_heads", "widths"), [(4, 4, (8, 8)), (9, 3, (8, 8)), (7, 1, (16, 8))])
def test_output_and_gradients_are_as_exact_as_torchs(
    tiles: None,
    monkeypatch: pytest.MonkeyPatch,
    onednn: bool,
    groups: Any,
    heads: int,
    key_heads: int,
    widths: tuple[int, int],
) -> None:
    monkeypatch.setattr(products, "is_faster", lambda: onednn)
    packing = Packing(*batch(groups))
    shape = (packing, heads, key_heads, widths)
    exact = attended(*shape, torch.float64)  # torch's: it is not float32
    assert apart(attended(*shape, torch.float32), exact) < 1e-6
    scaled = attended(*shape, torch.float64, scaling=0.3)
    assert apart(attended(*shape, torch.float32, scaling=0.3), scaled) < 1e-6
    assert apart(exact, scaled) > 1e-3


@pytest.mark.parametrize("autocast", [False, True])
def test_bfloat16_is_as_near_to_float64_as_torchs(tiles: None, monkeypatch: pytest.MonkeyPatch, autocast: bool) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    packing = Packing(*batch(BATCHES["longer than a tile"]))
    shape = (packing, 6, 2, (16, 16))
    exact = attended(*shape, torch.float64)
    dtype = torch.float32 if autocast else torch.bfloat16
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        ours = attended(*shape, dtype)
        monkeypatch.setattr(blockwise, "is_faster", lambda: False)
        theirs = attended(*shape, dtype)
    assert ours[0].dtype == theirs[0].dtype == torch.bfloat16
    assert [each.dtype for each in ours] == [each.dtype for each in theirs]
    assert apart(ours, exact) < 1.5 * apart(theirs, exact) < 0.05


def test_a_gradient_check_passes_in_float64() -> None:
    states = [torch.randn(11, count, 4, dtype=torch.float64, requires_grad=True) for count in (4, 2, 2)]
    spans = (Span(0, 4), Span(4, 5, 0, 4), Span(9, 2, 0, 4))

    def call(*operands: Any) -> Any:
        return Blockwise.apply(*operands, spans, 0.5)

    # Its scores are in float32.
    assert torch.autograd.gradcheck(call, states, eps=1e-2, atol=1e-3, rtol=1e-2, nondet_tol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "is_tiled"),
    [({}, True), ({"sliding_window": 200}, True), ({"sliding_window": 30}, False), ({"dropout": 0.5}, False)],
)
def test_what_tiles_do_not_have_is_torchs(
    tiles: None, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], is_tiled: bool
) -> None:
    calls, apply = [], Blockwise.apply
    monkeypatch.setattr(Blockwise, "apply", lambda *operands: calls.append(1) or apply(*operands))
    attended(Packing(*batch(BATCHES["longer than a tile"])), 4, 2, (8, 8), torch.float32, **arguments)
    assert len(calls) == is_tiled


@pytest.mark.parametrize("argument", ["position_bias", "softcap", "s_aux"])
def test_an_attention_that_neither_has_is_refused(tiles: None, argument: str) -> None:
    packing = Packing(*batch(BATCHES["longer than a tile"]))
    with pytest.raises(ValueError, match=argument):
        attended(packing, 4, 2, (8, 8), torch.float32, **{argument: torch.ones(())})


def test_small_tiles_other_dtypes_and_other_processors_are_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blockwise, "is_faster", lambda: True)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    spans = (Span(0, 600), Span(600, 140, 0, 600))

    def asked(dtype: Any, spans: Any = spans) -> bool:
        query, key = (torch.empty(1, heads, 740, 64, dtype=dtype) for heads in (9, 3))
        return pays(query, key, spans)

    assert asked(torch.float32)
    assert not asked(torch.float32, spans=(Span(0, 40), Span(40, 8, 0, 40)))
    assert not asked(torch.float64)
    assert not asked(torch.bfloat16)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert asked(torch.bfloat16)
    monkeypatch.setattr(blockwise, "is_faster", lambda: False)
    assert not asked(torch.float32)
