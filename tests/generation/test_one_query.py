"""The attention of one token a row gives what torch's own gives, and is gone when generation is over."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from rrr_core.generation import one_query
from rrr_core.generation.engine import Sampling
from tests.generation.tiny import make_network

pytestmark = pytest.mark.train


@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (8, 1)], ids=str)
@pytest.mark.parametrize("is_padded", [True, False])
def test_one_query_attends_as_torch_s_kernel_does(heads: tuple[int, int], is_padded: bool) -> None:
    source = torch.Generator().manual_seed(0)
    query, key, value = (
        torch.randn(3, count, length, 8, generator=source)
        for count, length in zip((*heads, heads[1]), (1, 7, 7), strict=True)
    )
    mask = torch.rand(3, 1, 1, 7, generator=source) > 0.4 if is_padded else None
    if mask is not None:
        mask[..., -1] = True
    output, _ = one_query.attend(None, query, key, value, mask, scaling=0.3, dropout=0.0, sliding_window=None)
    expected = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, scale=0.3, enable_gqa=True
    )
    torch.testing.assert_close(output, expected.transpose(1, 2))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_texts_are_the_same_as_with_torch_s_kernel(
    temperature: float, generator: Any, prompts: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sampling = Sampling(temperature=temperature, max_tokens=20, seed=4)
    attend, calls = one_query.attend, []

    def counted(*arguments: Any, **keywords: Any) -> Any:
        calls.append(arguments[1].shape[2])
        return attend(*arguments, **keywords)

    monkeypatch.setattr(one_query, "attend", counted)
    ours = generator.generate_ids(prompts, sampling)
    assert 1 in calls
    generator.network.config._attn_implementation = "eager"
    assert generator.generate_ids(prompts, sampling) == ours


def test_the_network_is_left_as_it_was_also_after_an_error(tokenizer: Any) -> None:
    network = make_network(tokenizer)

    def fail_inside() -> None:
        with one_query.one_query_attention(network):
            assert network.config._attn_implementation == one_query.NAME
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    assert network.config._attn_implementation == "sdpa"


def test_other_attention_is_left_alone(tokenizer: Any) -> None:
    network = make_network(tokenizer)
    network.config._attn_implementation = "eager"
    with one_query.one_query_attention(network):
        assert network.config._attn_implementation == "eager"
