"""The transformers engine: order, batches, padding, seeds, and what it leaves untouched."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from hypothesis import given
from hypothesis import strategies as st

from rrr_core.errors import ModelError
from rrr_core.generation.continuation import encode_prompt, render
from rrr_core.generation.engine import Sampling
from rrr_core.generation.transformers_engine import TransformersEngine, batches_of, cut
from rrr_core.hookspecs import Model
from tests.generation.tiny import make_network

GREEDY = Sampling(temperature=0, max_tokens=20)
SAMPLED = Sampling(temperature=1, max_tokens=20, seed=11)


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize("batch_tokens", [1, 150, 700])
def test_the_size_of_batches_changes_nothing(
    generator: Any, prompts: list[list[int]], sampling: Sampling, batch_tokens: int
) -> None:
    whole = generator.generate_ids(prompts, sampling)
    generator.batch_tokens = batch_tokens
    assert generator.generate_ids(prompts, sampling) == whole


def test_the_order_of_requests_changes_no_greedy_text(generator: Any, prompts: list[list[int]]) -> None:
    forward = generator.generate_ids(prompts, GREEDY)
    assert generator.generate_ids(prompts[::-1], GREEDY) == forward[::-1]


def test_padding_changes_no_text(generator: Any) -> None:
    short = [30, 31, 32]
    alone = generator.generate_ids([short], SAMPLED)
    beside_long = generator.generate_ids([short, list(range(40, 140))], SAMPLED)
    assert beside_long[0] == alone[0]


def test_a_seed_gives_the_same_ids_again_and_another_seed_others(generator: Any, prompts: list[list[int]]) -> None:
    first = generator.generate_ids(prompts, SAMPLED)
    assert generator.generate_ids(prompts, SAMPLED) == first
    other = generator.generate_ids(prompts, Sampling(temperature=1, max_tokens=20, seed=12))
    assert sum(a != b for a, b in zip(first, other, strict=True)) > len(prompts) / 2


def test_prompts_that_are_left_out_change_no_text_of_the_others(generator: Any, prompts: list[list[int]]) -> None:
    whole = generator.generate_ids(prompts, SAMPLED)
    kept = [place for place in range(len(prompts)) if place % 2]
    some = generator.generate_ids([prompts[place] for place in kept], SAMPLED, places=kept)
    assert some == [whole[place] for place in kept]


def test_equal_prompts_are_sampled_independently(generator: Any) -> None:
    written = generator.generate_ids([[30, 31, 32]] * 8, SAMPLED)
    assert len({tuple(ids) for ids in written}) == 8


def test_a_conversation_asked_for_several_times_is_encoded_once(
    generator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def counted(tokenizer: Any, conversation: Any) -> str:
        asked.append(conversation)
        return render(tokenizer, conversation)

    one, other, third = user("Use 3 4"), user("Use 5 6"), user("Use 7 8")
    ids = [encode_prompt(generator.tokenizer, conversation) for conversation in (one, one, other, one)]
    monkeypatch.setattr("rrr_core.generation.continuation.render", counted)
    made = generator.generate([one, one, other, user("Use 3 4")], SAMPLED)
    assert asked == [one, other]
    assert [list(each.token_ids) for each in made] == generator.generate_ids(ids, SAMPLED)
    generator.generate([other, third], SAMPLED)
    assert asked == [one, other, third]


def test_another_chat_template_shows_at_the_next_call(generator: Any) -> None:
    before = generator.encode([user("Use 3 4")])
    own = generator.tokenizer.chat_template
    try:
        generator.tokenizer.chat_template = own.replace("assistant", "user")
        assert generator.encode([user("Use 3 4")]) != before
    finally:
        generator.tokenizer.chat_template = own


def test_an_end_token_ends_a_text_and_stays_in_its_ids(generator: Any, prompts: list[list[int]]) -> None:
    written = generator.generate_ids(prompts, SAMPLED)
    ended = [ids for ids in written if generator.is_ended(ids)]
    assert ended
    assert len(ended) < len(written)
    for ids in written:
        assert not set(ids[:-1]) & set(generator.end_ids)
        assert len(ids) == 20 or generator.is_ended(ids)


def test_generations_carry_text_ids_and_why_they_finished(generator: Any) -> None:
    conversations = [user(f"Use {number}") for number in range(12)]
    generations = generator.generate(conversations, SAMPLED)
    for generation in generations:
        ids = list(generation.token_ids)
        assert generation.finish == ("stop" if ids[-1] in generator.end_ids else "length")
        assert generation.text == generator.tokenizer.decode(ids, skip_special_tokens=True)
        assert "<|im_end|>" not in generation.text
    assert {generation.finish for generation in generations} == {"stop", "length"}


def test_the_hub_models_own_sampling_defaults_do_not_leak_in(generator: Any, prompts: list[list[int]]) -> None:
    plain = [generator.generate_ids(prompts, sampling) for sampling in (GREEDY, SAMPLED)]
    own = generator.network.generation_config
    own.do_sample, own.top_k, own.top_p, own.temperature, own.repetition_penalty = True, 1, 0.1, 0.2, 5.0
    own.no_repeat_ngram_size, own.max_length, own.num_beams = 2, 5, 3
    assert [generator.generate_ids(prompts, sampling) for sampling in (GREEDY, SAMPLED)] == plain


def test_a_network_in_training_is_read_in_evaluation_mode_and_left_as_it_was(generator: Any) -> None:
    network = generator.network
    plain = generator.generate_ids([[30, 31, 32]], GREEDY)
    network.train()
    network.model.layers[0].eval()
    network.config.use_cache = False
    for layer in network.model.layers:
        layer.self_attn.attention_dropout = 0.9
    modes = [module.training for module in network.modules()]
    global_state = torch.get_rng_state()
    assert generator.generate_ids([[30, 31, 32]], GREEDY) == plain
    assert [module.training for module in network.modules()] == modes
    assert torch.equal(torch.get_rng_state(), global_state)
    assert torch.is_grad_enabled()
    assert all(parameter.grad is None for parameter in network.parameters())


def test_the_mode_is_restored_after_a_fault(generator: Any) -> None:
    generator.network.train()
    with torch.no_grad():
        generator.network.model.norm.weight.fill_(torch.nan)
    with pytest.raises(ModelError):
        generator.generate_ids([[30, 31]], GREEDY)
    assert all(module.training for module in generator.network.modules())


def test_a_change_of_the_weights_shows_at_the_next_call(generator: Any, prompts: list[list[int]]) -> None:
    before = generator.generate_ids(prompts, GREEDY)
    with torch.no_grad():
        generator.network.lm_head.weight.copy_(generator.network.lm_head.weight.flip(0))
    assert generator.generate_ids(prompts, GREEDY) != before


def test_texts_are_told_as_they_are_done(generator: Any, prompts: list[list[int]]) -> None:
    told: list[int] = []
    generator.generate_ids(prompts, SAMPLED, told.append)
    assert sum(told) == len(prompts)
    assert min(told) > 0
    assert len(told) > 3


def test_a_text_stops_where_the_context_is_full(tokenizer: Any) -> None:
    generator = TransformersEngine(make_network(tokenizer, max_position_embeddings=16), tokenizer, Model("tiny"))
    written = generator.generate_ids([[30] * 10, [30] * 4], Sampling(temperature=0, max_tokens=50))
    assert [len(ids) for ids in written] == [6, 12]
    with pytest.raises(ModelError, match="16 tokens fills the context of 16"):
        generator.generate_ids([[30] * 16], GREEDY)


def test_no_requests_give_no_texts(generator: Any) -> None:
    assert generator.generate([], SAMPLED) == []


def test_nothing_warns(generator: Any, prompts: list[list[int]]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        generator.generate_ids(prompts, Sampling(temperature=0.7, max_tokens=4, top_k=5, top_p=0.9))


def test_memory_that_runs_out_names_the_option(generator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**arguments: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(generator.network, "forward", full)
    monkeypatch.setattr("rrr_core.generation.transformers_engine.can_decode", lambda network: True)
    with pytest.raises(ModelError, match=r"batch of 1 texts: lower --batch-tokens \(now 32768\)"):
        generator.generate_ids([[30, 31]], GREEDY)


@given(lengths=st.lists(st.integers(1, 30), max_size=30), limit=st.integers(1, 20), batch_tokens=st.integers(1, 300))
def test_batches_hold_every_prompt_once_within_the_tokens_allowed(
    lengths: list[int], limit: int, batch_tokens: int
) -> None:
    prompts = [[1] * length for length in lengths]
    batches = list(batches_of(prompts, [limit] * len(prompts), batch_tokens))
    assert sorted(index for batch in batches for index in batch) == list(range(len(prompts)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * (max(lengths[index] for index in batch) + limit) <= batch_tokens
    in_order = [lengths[index] for batch in batches for index in batch]
    assert in_order == sorted(in_order, reverse=True)


@given(ids=st.lists(st.integers(0, 9)), ends=st.sets(st.integers(0, 9)))
def test_cutting_keeps_the_first_end_and_nothing_after_it(ids: list[int], ends: set[int]) -> None:
    kept = cut(ids, list(ends))
    assert kept == ids[: len(kept)]
    assert not set(kept[:-1]) & ends
    assert kept == ids or kept[-1] in ends
