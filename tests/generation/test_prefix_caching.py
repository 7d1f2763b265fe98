"""The prefix cache while weights do not change: less is read, and no text changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from hypothesis import given
from hypothesis import strategies as st

from rrr_core.errors import ModelError
from rrr_core.generation.engine import Sampling
from rrr_core.generation.prefix_cache import PrefixCache, common_length
from rrr_core.generation.transformers_engine import TransformersEngine
from rrr_core.hookspecs import Model
from tests.fakes import ScriptedGenerator
from tests.generation.test_decoding import ARCHITECTURES, model_of

SAMPLED = Sampling(temperature=1, max_tokens=24, seed=11)
GREEDY = Sampling(temperature=0, max_tokens=24)
PLAIN = ["llama", "qwen2", "qwen3", "phi3", "gpt2, learned positions", "gpt-neox"]
WINDOWED = ["mistral, sliding window", "gemma2, alternating windows"]


@contextmanager
def counted(network: Any) -> Iterator[list[int]]:
    """The tokens, padding included, of each prefill pass."""
    read: list[int] = []

    def count(module: Any, positional: Any, named: dict[str, Any]) -> None:
        if named["input_ids"].shape[1] > 1:
            read.append(named["input_ids"].numel())

    hook = network.register_forward_pre_hook(count, with_kwargs=True)
    try:
        yield read
    finally:
        hook.remove()


def stages(engine: Any, prompts: list[list[int]], sampling: Sampling) -> list[list[list[int]]]:
    """Attempts, reflections on them, retries after these, a control, and the attempts drawn again."""
    attempts = engine.generate_ids(prompts, sampling)
    requests = [[*prompt, *ids, 90, 91, 92] for prompt, ids in zip(prompts, attempts, strict=True)]
    reflections = engine.generate_ids(requests, replace(sampling, seed=1))
    retries = [[*request, *ids, 93, 94] for request, ids in zip(requests, reflections, strict=True)]
    others = [
        [*request, *ids, 93, 94] for request, ids in zip(requests, reflections[1:] + reflections[:1], strict=True)
    ]
    return [
        attempts,
        reflections,
        engine.generate_ids(retries, replace(sampling, seed=2)),
        engine.generate_ids(others, replace(sampling, seed=3)),
        engine.generate_ids([prompt for prompt in prompts for _ in range(3)], replace(sampling, seed=4)),
    ]


@pytest.mark.parametrize("name", [*PLAIN, *WINDOWED])
@pytest.mark.parametrize("sampling", [SAMPLED, GREEDY], ids=["sampled", "greedy"])
def test_every_stages_texts_are_the_same_with_and_without_the_cache(
    name: str, sampling: Sampling, tokenizer: Any, prompts: list[list[int]]
) -> None:
    engine = TransformersEngine(model_of(ARCHITECTURES[name], tokenizer), tokenizer, Model("tiny"))
    plain = stages(engine, prompts, sampling)
    with engine.prefix_caching():
        assert stages(engine, prompts, sampling) == plain


@pytest.mark.parametrize("batch_tokens", [1, 400, 2000])
def test_the_size_of_batches_changes_nothing(engine: Any, prompts: list[list[int]], batch_tokens: int) -> None:
    plain = stages(engine, prompts, SAMPLED)
    engine.batch_tokens = batch_tokens
    with engine.prefix_caching():
        assert stages(engine, prompts, SAMPLED) == plain


def test_only_what_is_new_is_read(engine: Any) -> None:
    prompts = [[30 + row, *range(40, 90)] for row in range(8)]
    attempts = engine.generate_ids(prompts, SAMPLED)
    longer = [[*prompt, *ids, 90, 91, 92] for prompt, ids in zip(prompts, attempts, strict=True)]
    with engine.prefix_caching():
        engine.generate_ids(prompts, SAMPLED)
        with counted(engine.network) as read:
            engine.generate_ids(longer, SAMPLED)
    # The last sampled token of the row that ends last is never read.
    assert sum(read) <= 8 * 4


def test_a_prompt_that_was_read_before_is_read_from_its_last_token(engine: Any) -> None:
    prompts = [[30 + row, *range(40, 90)] for row in range(8)]
    with engine.prefix_caching():
        first = engine.generate_ids(prompts, SAMPLED)
        with counted(engine.network) as read:
            assert engine.generate_ids(prompts, SAMPLED) == first
    assert read == []


def test_a_prompt_reuses_the_prefix_it_shares_with_another(engine: Any) -> None:
    known, asked = list(range(30, 80)), [*range(30, 70), *range(130, 140)]
    plain = engine.generate_ids([asked], SAMPLED)
    with engine.prefix_caching():
        engine.generate_ids([known], SAMPLED)
        with counted(engine.network) as read:
            assert engine.generate_ids([asked], SAMPLED) == plain
    assert read == [10]


def test_prompts_with_little_in_the_cache_are_read_apart_from_the_others(engine: Any) -> None:
    known = [[30 + row, *range(40, 120)] for row in range(6)]
    mixed = [*known, [*range(140, 240)], [50, 51]]
    plain = engine.generate_ids(mixed, SAMPLED)
    with engine.prefix_caching():
        engine.generate_ids(known, SAMPLED)
        with counted(engine.network) as read:
            assert engine.generate_ids(mixed, SAMPLED) == plain
    assert sum(read) <= 7 * 2 + 100


def test_the_common_prefix_of_all_prompts_is_read_once(engine: Any) -> None:
    prompts = [[*range(40, 140), 150 + row, 30, 31] for row in range(16)]
    plain = [engine.generate_ids([prompt], GREEDY)[0] for prompt in prompts]
    with counted(engine.network) as read:
        assert engine.generate_ids(prompts, GREEDY) == plain
    assert read == [100, 16 * 3]


def test_nothing_is_kept_outside(engine: Any) -> None:
    prompts = [[30, *range(40, 90)]]
    with engine.prefix_caching():
        engine.generate_ids(prompts, SAMPLED)
        assert engine.prefix_cache.size > 0
    assert engine.prefix_cache is None
    with counted(engine.network) as read:
        engine.generate_ids(prompts, SAMPLED)
        engine.generate_ids(prompts, SAMPLED)
    assert read == [51, 51]


def test_everything_is_forgotten_after_a_fault(engine: Any) -> None:
    with torch.no_grad():
        engine.network.model.norm.weight.fill_(torch.nan)
    with pytest.raises(ModelError, match="not finite"), engine.prefix_caching():
        engine.generate_ids([[30, 31, 32]], SAMPLED)
    assert engine.prefix_cache is None


def test_a_change_of_the_weights_shows_in_the_next_context(engine: Any, prompts: list[list[int]]) -> None:
    with engine.prefix_caching():
        before = engine.generate_ids(prompts, GREEDY)
    with torch.no_grad():
        engine.network.model.layers[0].self_attn.k_proj.weight.mul_(-1)
    after = engine.generate_ids(prompts, GREEDY)
    with engine.prefix_caching():
        assert engine.generate_ids(prompts, GREEDY) == after != before


def test_synced_weights_empty_it(engine: Any, tokenizer: Any, prompts: list[list[int]]) -> None:
    other = model_of(ARCHITECTURES["qwen2"], tokenizer)
    expected = TransformersEngine(other, tokenizer, Model("tiny")).generate_ids(prompts, GREEDY)
    with engine.prefix_caching():
        engine.generate_ids(prompts, GREEDY)
        engine.sync_weights(other)
        ended_otherwise = engine.end_ids
        engine.end_ids = TransformersEngine(other, tokenizer, Model("tiny")).end_ids
        assert engine.generate_ids(prompts, GREEDY) == expected
        engine.end_ids = ended_otherwise


def test_a_nested_context_ends_with_the_outer_one(engine: Any) -> None:
    with engine.prefix_caching():
        with engine.prefix_caching():
            engine.generate_ids([[30, *range(40, 90)]], SAMPLED)
        assert engine.prefix_cache.size > 0


def test_it_stays_within_its_bytes_and_drops_the_oldest_first(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 100_000
    monkeypatch.setattr("rrr_core.generation.transformers_engine.PREFIX_CACHE_BYTES", limit)
    prompts = [[30 + row, *range(40, 90)] for row in range(12)]
    engine.batch_tokens = 2 * 75
    plain = engine.generate_ids(prompts, SAMPLED)
    with engine.prefix_caching():
        assert engine.generate_ids(prompts, SAMPLED) == plain
        held = {
            states.untyped_storage().data_ptr(): states.untyped_storage().nbytes()
            for block in engine.prefix_cache._blocks
            for layer in block.layers
            for states in layer
        }
        assert 0.5 * limit < sum(held.values()) <= engine.prefix_cache.size <= limit
        assert engine.prefix_cache.longest((*prompts[-1], 3)).length >= 51
        # The oldest is gone: only the prompts' first tokens could be shared, and they are not.
        assert engine.prefix_cache.longest((*prompts[0], 3)) is None


def test_windowed_models_keep_nothing(tokenizer: Any, prompts: list[list[int]]) -> None:
    engine = TransformersEngine(model_of(ARCHITECTURES[WINDOWED[0]], tokenizer), tokenizer, Model("tiny"))
    with engine.prefix_caching():
        engine.generate_ids(prompts, SAMPLED)
        assert engine.prefix_cache.size == 0


def test_if_memory_runs_out_it_is_cleared_and_decoding_goes_on(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [[30 + row, *range(40, 90)] for row in range(8)]
    plain, forward, calls, finished = engine.generate_ids(prompts, SAMPLED), engine.network.forward, [], []

    def full_at_the_third(**arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(**arguments)

    with engine.prefix_caching():
        engine.generate_ids(prompts, SAMPLED)
        monkeypatch.setattr(engine.network, "forward", full_at_the_third)
        monkeypatch.setattr("rrr_core.generation.transformers_engine.can_decode", lambda network: True)
        assert engine.generate_ids(prompts, SAMPLED, finished.append) == plain
        assert sum(finished) == len(prompts)


def test_if_memory_still_runs_out_it_is_one_error(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**arguments: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with engine.prefix_caching():
        engine.generate_ids([[30, 31, 32]], SAMPLED)
        monkeypatch.setattr(engine.network, "forward", full)
        monkeypatch.setattr("rrr_core.generation.transformers_engine.can_decode", lambda network: True)
        with pytest.raises(ModelError, match="batch of 1 texts: lower --batch-tokens"):
            engine.generate_ids([[30, 31, 33]], SAMPLED)


def test_prefix_caching_is_allowed_on_an_engine_that_keeps_nothing() -> None:
    with ScriptedGenerator(lambda conversation, chance: "").prefix_caching():
        pass


@given(
    kept=st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6).map(tuple), max_size=12),
    prompt=st.lists(st.integers(0, 2), min_size=1, max_size=6).map(tuple),
)
def test_the_row_with_the_most_in_common_is_found(kept: list[tuple[int, ...]], prompt: tuple[int, ...]) -> None:
    memory = PrefixCache(1 << 20)
    for ids in kept:
        memory.keep(_cache(len(ids)), torch.tensor([0]), [0], [ids])
    best = max((min(common_length(ids, prompt), len(prompt) - 1) for ids in kept), default=0)
    found = memory.longest(prompt)
    assert (found.length if found else 0) == best


def _cache(columns: int) -> Any:
    from rrr_core.generation.kv_cache import GrowingLayer

    class OneLayer:
        def __init__(self) -> None:
            self.layers = [GrowingLayer()]
            self.layers[0].update(torch.zeros(1, 1, columns, 2), torch.zeros(1, 1, columns, 2))

        def get_seq_length(self) -> int:
            return columns

    return OneLayer()
