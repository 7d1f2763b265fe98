"""The hits that the transformers engine reports match what its network read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from rrr_core.generation.decoding import can_decode
from rrr_core.generation.engine import Hits, Sampling

SAMPLING = Sampling(temperature=1, max_tokens=8, seed=11)


@contextmanager
def own_tokens(network: Any) -> Iterator[list[int]]:
    """The tokens, without padding, of each pass over more than one column: only prefill makes them."""
    assert can_decode(network)  # its trial reads tokens of its own
    read: list[int] = []

    def count(module: Any, positional: Any, named: dict[str, Any]) -> None:
        width = named["input_ids"].shape[1]
        if width > 1:
            read.append(int(named["attention_mask"][:, -width:].sum()))

    hook = network.register_forward_pre_hook(count, with_kwargs=True)
    try:
        yield read
    finally:
        hook.remove()


def test_a_single_prompt_is_read_as_a_whole(engine: Any) -> None:
    engine.generate_ids([[30, 31, 32]], SAMPLING)
    assert engine.prefix_cache_hits == Hits(prompt_tokens=3, cached_tokens=0)


def test_a_prompt_that_is_given_more_than_once_is_read_once(engine: Any) -> None:
    engine.generate_ids([[30, 31, 32]] * 4, SAMPLING)
    assert engine.prefix_cache_hits == Hits(prompt_tokens=12, cached_tokens=9)


@pytest.mark.parametrize("batch_tokens", [None, 200])
@pytest.mark.parametrize("beginning", [2, 100])
def test_tokens_not_read_came_from_the_cache(engine: Any, beginning: int, batch_tokens: int | None) -> None:
    engine.batch_tokens = batch_tokens
    prompts = [[*range(40, 40 + beginning), 150 + row, *range(30, 31 + row)] for row in range(12)]
    given = 0
    with engine.prefix_caching(), own_tokens(engine.network) as read:
        for _ in range(3):
            given += sum(map(len, prompts))
            texts = engine.generate_ids(prompts, SAMPLING)
            prompts = [[*prompt, *ids, 90, 91, 92] for prompt, ids in zip(prompts, texts, strict=True)]
    assert engine.prefix_cache_hits == Hits(given, given - sum(read))
    assert engine.prefix_cache_hits.rate > 0.4


def test_texts_from_the_models_own_generate_have_no_cache(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rrr_core.generation.transformers_engine.can_decode", lambda network: False)
    engine.generate_ids([[30, 31, 32]] * 2, SAMPLING)
    assert engine.prefix_cache_hits == Hits(prompt_tokens=6, cached_tokens=0)
