"""Attention for one token a text in bfloat16 gives what torch's kernel gives, whichever heads share their keys."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from rrr_core.generation import one_query
from rrr_core.generation.engine import Sampling
from rrr_core.generation.one_query import KERNEL, joined, together

pytestmark = pytest.mark.train


def states(heads: int, key_heads: int, queries: int = 1, dtype: Any = torch.bfloat16) -> list[Any]:
    torch.manual_seed(0)
    buffer = torch.randn(2, 3, key_heads, 24, 16).to(dtype)
    return [torch.randn(3, heads, queries, 16).to(dtype), *buffer[:, :, :, :20]]  # the cache has spare columns


@pytest.mark.parametrize("masked", ["bool", "float", "no"])
@pytest.mark.parametrize(("heads", "key_heads"), [(4, 4), (6, 2), (5, 1)])
def test_it_is_the_attention_of_each_query_alone(heads: int, key_heads: int, masked: str) -> None:
    query, key, value = states(heads, key_heads)
    seen = torch.arange(20) >= torch.tensor([0, 3, 7])[:, None]
    mask = {
        "bool": seen[:, None, None],
        "float": torch.zeros(3, 1, 1, 20).masked_fill(~seen[:, None, None], -torch.inf).bfloat16(),
        "no": None,
    }[masked]
    found = together(query, key, value, mask, 0.3)
    wide = [each.float().repeat_interleave(heads // each.shape[1], 1) for each in (query, key, value)]
    exact = (
        scaled_dot_product_attention(*wide, attn_mask=None if mask is None else mask.float(), scale=0.3)
        if (masked != "bool")
        else scaled_dot_product_attention(*wide, attn_mask=mask, scale=0.3)
    )
    assert found.shape == (3, 1, heads, 16)
    torch.testing.assert_close(found.float(), exact.transpose(1, 2), atol=2e-2, rtol=2e-2)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shape of each query that goes together with others."""
    shapes: list[tuple[int, ...]] = []

    def spy(query: torch.Tensor, *others: Any) -> torch.Tensor:
        shapes.append(tuple(query.shape))
        return together(query, *others)

    monkeypatch.setattr(one_query, "together", spy)
    return shapes


def test_texts_in_bfloat16_are_decoded_so_and_those_in_float32_are_not(
    engine: Any, prompts: list[list[int]], seen: list[tuple[int, ...]]
) -> None:
    greedy = Sampling(temperature=0, max_tokens=8)
    expected = engine.generate_ids(prompts[:1], greedy)
    assert not seen
    engine.network.to(torch.bfloat16)
    engine.generate_ids(prompts[:1], greedy)
    assert seen
    seen.clear()
    engine.network.to(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        engine.generate_ids(prompts[:1], greedy)
    assert seen
    seen.clear()
    assert engine.generate_ids(prompts[:1], greedy)[0][:1] == expected[0][:1]
    assert not seen


def test_a_function_that_is_registered_later_is_not_hidden(
    engine: Any, prompts: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.generate_ids(prompts[:1], Sampling(temperature=0, max_tokens=2))
    before = ALL_ATTENTION_FUNCTIONS[KERNEL]
    calls: list[int] = []

    def later(*states: Any, **keywords: Any) -> Any:
        calls.append(1)
        return before(*states, **keywords)

    monkeypatch.setitem(AttentionInterface._global_mapping, KERNEL, later)
    engine.generate_ids(prompts[:1], Sampling(temperature=0, max_tokens=2))
    assert calls
    assert ALL_ATTENTION_FUNCTIONS[KERNEL] is later


@pytest.mark.parametrize(
    ("changes", "keywords"),
    [
        ({"queries": 2}, {}),
        ({"dtype": torch.float32}, {}),
        ({}, {"attention_mask": torch.zeros(3, 6, 1, 20, dtype=torch.bfloat16)}),
        ({}, {"position_bias": True}),
        ({}, {"softcap": 30.0}),
        ({}, {"gradient": True}),
    ],
    ids=["several queries", "float32", "a mask for each head", "a bias", "a soft cap", "a gradient"],
)
def test_all_else_is_left_to_transformers(seen: list[tuple[int, ...]], changes: Any, keywords: Any) -> None:
    given: list[Any] = []

    def attention(*states: Any, **more: Any) -> None:
        given.append((states, more))

    attention.takes_packings = True
    query, key, value = states(6, 2, **changes)
    mask = keywords.get("attention_mask")
    more = {name: each for name, each in keywords.items() if name not in ("attention_mask", "gradient")}
    attend = joined(attention)
    with torch.set_grad_enabled("gradient" in keywords):
        attend(None, query, key, value, mask, scaling=0.3, **more)
    assert not seen
    assert given == [((None, query, key, value, mask), {"scaling": 0.3, **more})]
    assert attend.takes_packings
