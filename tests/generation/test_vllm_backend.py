"""The vllm backend, with a fake vLLM: its requests, the use of its answers, and which settings choose which engine."""

from __future__ import annotations

import dataclasses
import random
import weakref
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from rrr_core.errors import ModelError
from rrr_core.generation import ModelSettings, Sampling, chosen_backend, make_engine
from rrr_core.generation.engine import Hits
from rrr_core.generation.transformers_backend import load_from
from rrr_core.generation.vllm_backend import VllmEngine, open_beside
from rrr_core.generation.vllm_start import engine_arguments
from rrr_core.seeds import request_seed
from tests.generation import fake_vllm
from tests.generation.fake_vllm import Played

pytestmark = pytest.mark.train

GREEDY = Sampling(temperature=0, max_tokens=12)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    return fake_vllm.install(monkeypatch)


@pytest.fixture
def settings(model_folder: Path) -> ModelSettings:
    return ModelSettings(model=str(model_folder), backend="vllm")


@pytest.fixture
def engine(played: Played, settings: ModelSettings) -> VllmEngine:
    made = make_engine(settings)
    assert isinstance(made, VllmEngine)
    return made


def changed(network: Any) -> Any:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def test_auto_is_transformers_on_a_cpu_even_with_vllm(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert chosen_backend(ModelSettings(model="m")) == "transformers"


def test_auto_is_vllm_where_vllm_and_a_gpu_are_available(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert chosen_backend(ModelSettings(model="m")) == "vllm"


@pytest.mark.parametrize("option", [{"device": "cuda:1"}, {"batch_tokens": 4096}])
def test_auto_is_transformers_where_one_of_its_options_is_set(
    played: Played, monkeypatch: pytest.MonkeyPatch, option: dict[str, Any]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert chosen_backend(ModelSettings(model="m", **option)) == "transformers"


def test_auto_is_a_server_where_its_address_is_given(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert chosen_backend(ModelSettings(model="m", base_url="http://127.0.0.1:8000/v1")) == "server"


def test_without_vllm_the_message_says_how_to_install_it(
    settings: ModelSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rrr_core.generation.vllm_start.is_installed", lambda: False)
    with pytest.raises(ModelError, match=r"pip install 'rrr-core\[vllm\]'"):
        make_engine(settings)


def test_a_model_that_vllm_refuses_is_one_line_that_names_both(played: Played, settings: ModelSettings) -> None:
    played.refuses = ValueError("Model architectures ['FooForCausalLM']\nare not supported for now.")
    with pytest.raises(ModelError, match=r"^vLLM .* refuses the model .*FooForCausalLM.*--backend transformers\.$"):
        make_engine(settings)


def test_too_little_memory_names_the_option_for_it(played: Played, settings: ModelSettings) -> None:
    played.refuses = ValueError("No available memory for the cache blocks.")
    with pytest.raises(ModelError, match="--gpu-share"):
        make_engine(settings)


@pytest.mark.parametrize("option", [{"device": "cpu"}, {"batch_tokens": 4096}])
def test_options_of_the_transformers_backend_are_refused(
    played: Played, settings: ModelSettings, option: dict[str, Any]
) -> None:
    with pytest.raises(ModelError, match=f"{next(iter(option))} cannot be set .*or use --backend transformers"):
        make_engine(dataclasses.replace(settings, **option))


def test_on_a_cpu_weights_are_float32_and_the_cache_is_a_share_of_the_memory() -> None:
    arguments = _arguments(cuda=False, machine_bytes=64 << 30)
    assert arguments["dtype"] == "float32"
    assert arguments["kv_cache_memory_bytes"] == 2 << 30
    assert arguments["enforce_eager"]
    assert arguments["block_size"] == 32


def test_on_a_gpu_vllm_takes_less_beside_training() -> None:
    assert _arguments(cuda=True)["gpu_memory_utilization"] == 0.9
    assert _arguments(cuda=True, beside_training=True)["gpu_memory_utilization"] == 0.3
    assert _arguments(cuda=True, beside_training=True, gpu_share=0.5)["gpu_memory_utilization"] == 0.5


def test_each_process_of_a_distributed_run_has_an_engine_of_its_own() -> None:
    assert _arguments(processes=2)["distributed_executor_backend"] == "external_launcher"
    assert "distributed_executor_backend" not in _arguments(processes=1)


def _arguments(**changes: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "dtype": "auto",
        "revision": None,
        "gpu_share": None,
        "beside_training": False,
        "cuda": False,
        "machine_bytes": 8 << 30,
        "processes": 1,
    }
    return engine_arguments(**{**usual, **changes})


def test_starting_an_engine_leaves_the_random_states_as_they_were(played: Played, settings: ModelSettings) -> None:
    torch.manual_seed(5)
    random.seed(5)
    expected = torch.rand(3), random.random()
    torch.manual_seed(5)
    random.seed(5)
    make_engine(settings)
    assert torch.equal(torch.rand(3), expected[0])
    assert random.random() == expected[1]


def test_an_engine_without_references_frees_its_memory(played: Played, settings: ModelSettings) -> None:
    engine = make_engine(settings)
    assert isinstance(engine, VllmEngine)
    held = weakref.ref(engine.engine)
    del engine
    assert played.shut_down == [settings.model]
    assert held() is None


def test_greedy_ids_are_the_transformers_engines(
    engine: VllmEngine, settings: ModelSettings, prompts: list[list[int]]
) -> None:
    assert engine.generate_ids(prompts, GREEDY) == load_from(settings).generate_ids(prompts, GREEDY)


def test_vllm_is_asked_for_ids_with_our_end_ids_and_nothing_of_the_models_own(
    engine: VllmEngine, played: Played, prompts: list[list[int]]
) -> None:
    sampling = Sampling(temperature=0.7, top_p=0.9, top_k=5, min_p=0.2, repetition_penalty=1.3, max_tokens=3, seed=11)
    engine.generate_ids(prompts, sampling)
    asked = played.parameters[0]
    assert (asked.min_p, asked.repetition_penalty) == (0.2, 1.3)
    assert (asked.temperature, asked.top_p, asked.top_k, asked.max_tokens) == (0.7, 0.9, 5, 3)
    assert asked.stop_token_ids == list(engine.end_ids)
    assert not asked.detokenize
    assert played.arguments[0]["generation_config"] == "vllm"
    assert played.arguments[0]["skip_tokenizer_init"]


def test_a_texts_seed_is_a_function_of_sampling_seed_and_place(
    engine: VllmEngine, played: Played, prompts: list[list[int]]
) -> None:
    engine.generate_ids(prompts, Sampling(seed=11, max_tokens=1))
    found = {tuple(prompt): set() for prompt in prompts}
    for prompt, asked in zip(played.prompts, played.parameters, strict=True):
        found[tuple(prompt)].add(asked.seed)
    for place, prompt in enumerate(prompts):
        assert request_seed(11, place) in found[tuple(prompt)]


def test_dropping_prompts_changes_no_other_text_if_places_are_given(
    engine: VllmEngine, prompts: list[list[int]]
) -> None:
    sampling = Sampling(seed=4, max_tokens=6)
    whole = engine.generate_ids(prompts, sampling)
    places = [3, 17, 30]
    assert engine.generate_ids([prompts[place] for place in places], sampling, places=places) == [
        whole[place] for place in places
    ]


def test_prompts_with_a_common_prefix_are_requested_side_by_side(engine: VllmEngine, played: Played) -> None:
    engine.generate_ids([[9, 1], [8, 1], [9, 2], [8, 2]], GREEDY)
    assert played.prompts == [[8, 1], [8, 2], [9, 1], [9, 2]]


def test_the_end_id_is_part_of_a_text(engine: VllmEngine, prompts: list[list[int]]) -> None:
    engine.end_ids = (*engine.end_ids, *range(100, 250))
    written = engine.generate_ids(prompts, Sampling(max_tokens=40, temperature=1.0))
    ended = [ids for ids in written if engine.is_ended(ids)]
    assert ended
    assert all(not engine.is_ended(ids[:-1]) for ids in ended)


def test_hits_are_counted_over_all_prompts(engine: VllmEngine) -> None:
    long = [20 + place % 200 for place in range(100)]
    engine.generate_ids([long], GREEDY)
    assert engine.prefix_cache_hits == Hits(prompt_tokens=100, cached_tokens=0)
    engine.generate_ids([[*long, 5, 6]], GREEDY)
    assert engine.prefix_cache_hits == Hits(prompt_tokens=202, cached_tokens=96)
    assert engine.prefix_cache_hits.rate == pytest.approx(96 / 202)


def test_the_description_is_the_models_identity_and_does_not_change_with_use(
    engine: VllmEngine, prompts: list[list[int]]
) -> None:
    before = engine.describe()
    engine.generate_ids(prompts, GREEDY)
    assert engine.describe() == before
    assert before["backend"] == "vllm"
    assert before["dtype"] == "float32"
    assert before["weights_sha256"]


def test_a_prompt_that_fills_the_context_is_refused(played: Played, settings: ModelSettings) -> None:
    played.context = 8
    engine = make_engine(settings)
    assert isinstance(engine, VllmEngine)
    assert len(engine.generate_ids([[20, 21, 22, 23, 24, 25]], GREEDY)[0]) <= 2
    with pytest.raises(ModelError, match="fills the context of 8"):
        engine.generate_ids([[20] * 8], GREEDY)


def test_progress_counts_every_text(engine: VllmEngine, prompts: list[list[int]]) -> None:
    finished: list[int] = []
    engine.generate_ids(prompts, GREEDY, finished.append)
    assert sum(finished) == len(prompts)


def test_a_failure_of_the_engine_is_one_line(engine: VllmEngine, played: Played) -> None:
    played.fails = RuntimeError("EngineCore\nencountered an issue")
    with pytest.raises(ModelError, match="failed on 1 prompts: EngineCore encountered an issue"):
        engine.generate_ids([[20]], GREEDY)


def test_conversations_are_encoded_as_the_transformers_engine_encodes_them(
    engine: VllmEngine, settings: ModelSettings
) -> None:
    conversation = [{"role": "user", "content": "use 3 4 5 <|im_end|> and reach 12"}]
    ours, theirs = engine.generate([conversation], GREEDY), load_from(settings).generate([conversation], GREEDY)
    assert ours == theirs


def test_syncing_weights_gives_the_networks_texts(
    played: Played, settings: ModelSettings, prompts: list[list[int]]
) -> None:
    policy = load_from(settings)
    engine = open_beside(policy, settings)
    before = engine.generate_ids(prompts, GREEDY)
    changed(policy.network)
    assert engine.generate_ids(prompts, GREEDY) == before
    engine.sync_weights(policy.network)
    after = engine.generate_ids(prompts, GREEDY)
    assert after == policy.generate_ids(prompts, GREEDY) != before


def test_syncing_weights_empties_the_prefix_cache(played: Played, settings: ModelSettings) -> None:
    policy = load_from(settings)
    engine = open_beside(policy, settings)
    engine.generate_ids([[20] * 70], GREEDY)
    engine.sync_weights(policy.network)
    engine.generate_ids([[20] * 70], GREEDY)
    assert engine.prefix_cache_hits.cached_tokens == 0


def test_a_prefix_cache_that_is_not_emptied_is_an_error(played: Played, settings: ModelSettings) -> None:
    played.keeps_cache = True
    policy = load_from(settings)
    with pytest.raises(ModelError, match="prefix cache"):
        open_beside(policy, settings).sync_weights(policy.network)


def test_a_weight_that_vllm_does_not_load_is_an_error(played: Played, settings: ModelSettings) -> None:
    played.forgets = "model.norm.weight"
    policy = load_from(settings)
    with pytest.raises(ModelError, match=r"kept 1 of its old weights, such as model\.norm\.weight"):
        open_beside(policy, settings).sync_weights(policy.network)


def test_log_probabilities_are_those_of_the_network_that_was_synced(
    played: Played, settings: ModelSettings, prompts: list[list[int]]
) -> None:
    policy = load_from(settings)
    engine = open_beside(policy, settings)
    engine.sync_weights(changed(policy.network))
    for prompt, written in zip(
        prompts, engine.generate_ids(prompts, Sampling(temperature=0.8, max_tokens=6)), strict=True
    ):
        with torch.no_grad():
            logits = policy.network(torch.tensor([prompt + written])).logits[0, len(prompt) - 1 : -1]
        expected = (logits / 0.8).log_softmax(-1)[range(len(written)), written]
        assert engine.logprobs_of(prompt, written) == pytest.approx(expected.tolist(), abs=1e-4)


def test_log_probabilities_are_forgotten_when_the_weights_change(played: Played, settings: ModelSettings) -> None:
    policy = load_from(settings)
    engine = open_beside(policy, settings)
    written = engine.generate_ids([[20, 21]], GREEDY)[0]
    assert engine.logprobs_of([20, 21], written)
    engine.sync_weights(policy.network)
    with pytest.raises(KeyError):
        engine.logprobs_of([20, 21], written)


def test_weights_that_have_diverged_are_an_error(played: Played, settings: ModelSettings) -> None:
    policy = load_from(settings)
    engine = open_beside(policy, settings)
    network = policy.network
    with torch.no_grad():
        network.lm_head.weight[0] = torch.nan
    engine.sync_weights(network)
    with pytest.raises(ModelError, match="not finite"):
        engine.generate_ids([[20, 21]], GREEDY)


def test_an_adapter_is_merged_on_the_way_into_the_engine(
    played: Played, settings: ModelSettings, prompts: list[list[int]], tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft")
    adapted = peft.get_peft_model(
        load_from(settings).network,
        peft.LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM"),
    )
    adapted.save_pretrained(tmp_path / "adapter")
    settings = dataclasses.replace(settings, adapter=str(tmp_path / "adapter"))
    expected = load_from(settings).generate_ids(prompts, GREEDY)
    engine = make_engine(settings)
    assert isinstance(engine, VllmEngine)
    assert engine.generate_ids(prompts, GREEDY) == expected
    assert engine.describe()["adapter"]
