"""The transformers engine: order, batches, padding, seeds, and what it leaves unchanged."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from hypothesis import given
from hypothesis import strategies as st

from rrr_core.chat.format import ChatFormat
from rrr_core.chat.rendering import Template
from rrr_core.errors import ModelError
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
    engine: Any, prompts: list[list[int]], sampling: Sampling, batch_tokens: int
) -> None:
    whole = engine.generate_ids(prompts, sampling)
    engine.batch_tokens = batch_tokens
    assert engine.generate_ids(prompts, sampling) == whole


def test_the_order_of_requests_changes_no_greedy_text(engine: Any, prompts: list[list[int]]) -> None:
    forward = engine.generate_ids(prompts, GREEDY)
    assert engine.generate_ids(prompts[::-1], GREEDY) == forward[::-1]


def test_padding_changes_no_text(engine: Any) -> None:
    short = [30, 31, 32]
    alone = engine.generate_ids([short], SAMPLED)
    beside_long = engine.generate_ids([short, list(range(40, 140))], SAMPLED)
    assert beside_long[0] == alone[0]


def test_the_same_seed_gives_the_same_ids_and_another_seed_others(engine: Any, prompts: list[list[int]]) -> None:
    first = engine.generate_ids(prompts, SAMPLED)
    assert engine.generate_ids(prompts, SAMPLED) == first
    other = engine.generate_ids(prompts, Sampling(temperature=1, max_tokens=20, seed=12))
    assert sum(a != b for a, b in zip(first, other, strict=True)) > len(prompts) / 2


def test_dropped_prompts_change_no_text_of_the_others(engine: Any, prompts: list[list[int]]) -> None:
    whole = engine.generate_ids(prompts, SAMPLED)
    kept = [place for place in range(len(prompts)) if place % 2]
    some = engine.generate_ids([prompts[place] for place in kept], SAMPLED, places=kept)
    assert some == [whole[place] for place in kept]


def test_equal_prompts_are_sampled_independently(engine: Any) -> None:
    written = engine.generate_ids([[30, 31, 32]] * 8, SAMPLED)
    assert len({tuple(ids) for ids in written}) == 8


def test_a_conversation_asked_for_several_times_is_encoded_once(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def counted(template: Any, conversation: Any) -> str:
        asked.append(conversation)
        return render(template, conversation)

    render = Template.render

    one, other, third = user("Use 3 4"), user("Use 5 6"), user("Use 7 8")
    ids = [ChatFormat(engine.tokenizer).encode_prompt(conversation) for conversation in (one, one, other, one)]
    monkeypatch.setattr(Template, "render", counted)
    made = engine.generate([one, one, other, user("Use 3 4")], SAMPLED)
    assert asked == [one, other]
    assert [list(each.token_ids) for each in made] == engine.generate_ids(ids, SAMPLED)
    engine.generate([other, third], SAMPLED)
    assert asked == [one, other, third]


def test_an_engine_opened_after_a_change_of_the_chat_template_uses_the_new_one(engine: Any) -> None:
    before = engine.encode([user("Use 3 4")])
    own = engine.tokenizer.chat_template
    try:
        engine.tokenizer.chat_template = own.replace("assistant", "user")
        assert TransformersEngine(engine.network, engine.tokenizer, engine.model).encode([user("Use 3 4")]) != before
    finally:
        engine.tokenizer.chat_template = own


def test_an_end_token_ends_a_text_and_stays_in_its_ids(engine: Any, prompts: list[list[int]]) -> None:
    written = engine.generate_ids(prompts, SAMPLED)
    ended = [ids for ids in written if engine.is_ended(ids)]
    assert ended
    assert len(ended) < len(written)
    for ids in written:
        assert not set(ids[:-1]) & set(engine.end_ids)
        assert len(ids) == 20 or engine.is_ended(ids)


def test_generations_carry_text_ids_and_why_they_finished(engine: Any) -> None:
    conversations = [user(f"Use {number}") for number in range(12)]
    generations = engine.generate(conversations, SAMPLED)
    for generation in generations:
        ids = list(generation.token_ids)
        assert generation.finish == ("stop" if ids[-1] in engine.end_ids else "length")
        assert generation.text == engine.tokenizer.decode(ids, skip_special_tokens=True)
        assert "<|im_end|>" not in generation.text
    assert {generation.finish for generation in generations} == {"stop", "length"}


def test_the_hub_models_own_sampling_defaults_do_not_leak_in(engine: Any, prompts: list[list[int]]) -> None:
    plain = [engine.generate_ids(prompts, sampling) for sampling in (GREEDY, SAMPLED)]
    own = engine.network.generation_config
    own.do_sample, own.top_k, own.top_p, own.temperature, own.repetition_penalty = True, 1, 0.1, 0.2, 5.0
    own.no_repeat_ngram_size, own.max_length, own.num_beams = 2, 5, 3
    assert [engine.generate_ids(prompts, sampling) for sampling in (GREEDY, SAMPLED)] == plain


def test_a_network_in_training_is_used_in_evaluation_mode_and_left_as_it_was(engine: Any) -> None:
    network = engine.network
    plain = engine.generate_ids([[30, 31, 32]], GREEDY)
    network.train()
    network.model.layers[0].eval()
    network.config.use_cache = False
    for layer in network.model.layers:
        layer.self_attn.attention_dropout = 0.9
    modes = [module.training for module in network.modules()]
    global_state = torch.get_rng_state()
    assert engine.generate_ids([[30, 31, 32]], GREEDY) == plain
    assert [module.training for module in network.modules()] == modes
    assert torch.equal(torch.get_rng_state(), global_state)
    assert torch.is_grad_enabled()
    assert all(parameter.grad is None for parameter in network.parameters())


def test_the_mode_is_restored_after_a_fault(engine: Any) -> None:
    engine.network.train()
    with torch.no_grad():
        engine.network.model.norm.weight.fill_(torch.nan)
    with pytest.raises(ModelError):
        engine.generate_ids([[30, 31]], GREEDY)
    assert all(module.training for module in engine.network.modules())


def test_a_change_of_the_weights_shows_at_the_next_call(engine: Any, prompts: list[list[int]]) -> None:
    before = engine.generate_ids(prompts, GREEDY)
    with torch.no_grad():
        engine.network.lm_head.weight.copy_(engine.network.lm_head.weight.flip(0))
    assert engine.generate_ids(prompts, GREEDY) != before


def test_texts_are_reported_as_they_finish(engine: Any, prompts: list[list[int]]) -> None:
    finished: list[int] = []
    engine.generate_ids(prompts, SAMPLED, finished.append)
    assert sum(finished) == len(prompts)
    assert min(finished) > 0
    assert len(finished) > 3


def test_a_text_stops_where_the_context_is_full(tokenizer: Any) -> None:
    engine = TransformersEngine(make_network(tokenizer, max_position_embeddings=16), tokenizer, Model("tiny"))
    written = engine.generate_ids([[30] * 10, [30] * 4], Sampling(temperature=0, max_tokens=50))
    assert [len(ids) for ids in written] == [6, 12]
    with pytest.raises(ModelError, match="16 tokens fills the context of 16"):
        engine.generate_ids([[30] * 16], GREEDY)


def test_no_requests_give_no_texts(engine: Any) -> None:
    assert engine.generate([], SAMPLED) == []


def test_nothing_warns(engine: Any, prompts: list[list[int]]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        engine.generate_ids(prompts, Sampling(temperature=0.7, max_tokens=4, top_k=5, top_p=0.9))


def test_memory_that_runs_out_names_the_option(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**arguments: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(engine.network, "forward", full)
    monkeypatch.setattr("rrr_core.generation.transformers_engine.can_decode", lambda network: True)
    with pytest.raises(ModelError, match=r"batch of 1 texts: lower --batch-tokens \(now 32768\)"):
        engine.generate_ids([[30, 31]], GREEDY)


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
