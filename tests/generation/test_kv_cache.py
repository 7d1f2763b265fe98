"""The cache that grows in place, against the library's own."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from transformers.cache_utils import DynamicCache, DynamicSlidingWindowLayer

from rrr_core.generation.engine import Sampling
from rrr_core.generation.kv_cache import GrowingLayer, growing_cache, is_plain
from tests.generation.test_decoding import ARCHITECTURES, model_of

SAMPLED = Sampling(temperature=1, max_tokens=60, seed=3)


def states(rows: int, columns: int, seed: int) -> Any:
    return torch.randn(rows, 2, columns, 4, generator=torch.Generator().manual_seed(seed))


def test_it_holds_what_the_librarys_holds_through_growth_and_selection(network: Any) -> None:
    ours, theirs = growing_cache(network.config), DynamicCache(config=network.config)
    rows = 6
    for step, columns in enumerate((7, 1, 1, 30, 1, 1, 1, 40)):
        for layer in range(2):
            keys, values = states(rows, columns, 10 * step + layer), states(rows, columns, 1000 + 10 * step + layer)
            for mine, stock in zip(ours.update(keys, values, layer), theirs.update(keys, values, layer), strict=True):
                assert torch.equal(mine, stock)
        if step in (2, 5):
            chosen = torch.tensor([4, 0, 0, 3] if step == 2 else [1, 3])
            ours.batch_select_indices(chosen)
            theirs.batch_select_indices(chosen)
            rows = len(chosen)
        assert ours.get_seq_length() == theirs.get_seq_length()
        assert ours.get_mask_sizes(1, 0) == theirs.get_mask_sizes(1, 0)


def test_a_column_is_written_in_place_until_the_buffer_is_full() -> None:
    layer = GrowingLayer()
    layer.update(states(3, 8, 0), states(3, 8, 1))
    places = set()
    for column in range(100):
        keys, values = layer.update(states(3, 1, column), states(3, 1, column))
        places.add((keys.data_ptr(), values.data_ptr()))
    assert layer.get_seq_length() == 108
    assert len(places) < 8


def test_layers_with_a_sliding_window_stay_the_librarys(tokenizer: Any) -> None:
    config = model_of(ARCHITECTURES["gemma2, alternating windows"], tokenizer).config
    kinds = [type(layer) for layer in growing_cache(config).layers]
    assert set(kinds) == {GrowingLayer, DynamicSlidingWindowLayer}
    assert not is_plain(config)


@pytest.mark.parametrize("name", ["llama", "qwen2", "gemma2, alternating windows", "gpt2, learned positions"])
@pytest.mark.parametrize("sampling", [SAMPLED, Sampling(temperature=0, max_tokens=60)], ids=["sampled", "greedy"])
def test_texts_are_the_same_as_with_the_librarys_cache(
    name: str, sampling: Sampling, tokenizer: Any, prompts: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rrr_core.generation.transformers_engine import TransformersEngine
    from rrr_core.hookspecs import Model

    engine = TransformersEngine(model_of(ARCHITECTURES[name], tokenizer), tokenizer, Model("tiny"))
    written = engine.generate_ids(prompts, sampling)
    monkeypatch.setattr("rrr_core.generation.reading.growing_cache", lambda config: DynamicCache(config=config))
    assert engine.generate_ids(prompts, sampling) == written
