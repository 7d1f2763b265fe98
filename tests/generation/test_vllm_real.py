"""Real vLLM in this process, which `fake_vllm.py` imitates. Run with `tox -e vllm`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("vllm", reason="vLLM is not installed")

from rrr_core import cli
from rrr_core.generation import ModelSettings, Sampling, make_engine
from rrr_core.generation.engine import Hits
from rrr_core.generation.transformers_backend import load_from
from rrr_core.generation.transformers_engine import TransformersEngine
from rrr_core.generation.vllm_backend import VllmEngine, open_beside
from rrr_core.hookspecs import Model
from tests.generation.tiny import make_network, make_tokenizer

pytestmark = [pytest.mark.train, pytest.mark.vllm]

GREEDY = Sampling(temperature=0, max_tokens=24)
SAMPLED = Sampling(temperature=0.9, max_tokens=24, seed=5)

SIZES = {"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1}
"""Head width 32, the smallest with CPU kernels in vLLM."""


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stops at thirty ids besides its end token."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tokenizer = make_tokenizer()
    network = make_network(tokenizer, **SIZES, max_position_embeddings=4096)
    network.generation_config.eos_token_id = [tokenizer.eos_token_id, *range(100, 130)]
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def settings(model_folder: Path) -> ModelSettings:
    return ModelSettings(model=str(model_folder), backend="vllm")


@pytest.fixture(scope="module")
def engine(settings: ModelSettings) -> VllmEngine:
    return vllm_of(settings)


def vllm_of(settings: ModelSettings) -> VllmEngine:
    made = make_engine(settings)
    assert isinstance(made, VllmEngine)
    return made


def test_greedy_ids_are_the_transformers_engines(
    engine: VllmEngine, settings: ModelSettings, prompts: list[list[int]]
) -> None:
    expected = load_from(settings).generate_ids(prompts, GREEDY)
    assert engine.generate_ids(prompts, GREEDY) == expected
    lengths = {len(ids) for ids in expected}
    assert len(lengths) > 3
    assert max(lengths) == 24


def test_sampled_ids_are_repeated_by_the_same_seed(engine: VllmEngine, prompts: list[list[int]]) -> None:
    first = engine.generate_ids(prompts, SAMPLED)
    assert engine.generate_ids(prompts, SAMPLED) == first
    assert engine.generate_ids(prompts, dataclasses.replace(SAMPLED, seed=6)) != first


def test_a_text_depends_on_its_place_and_not_on_what_is_beside_it(engine: VllmEngine, prompts: list[list[int]]) -> None:
    whole = engine.generate_ids(prompts, SAMPLED)
    places = [2, 11, 30]
    assert engine.generate_ids([prompts[place] for place in places], SAMPLED, places=places) == [
        whole[place] for place in places
    ]


def test_texts_end_with_an_end_id_or_at_the_limit(engine: VllmEngine, prompts: list[list[int]]) -> None:
    for ids in engine.generate_ids(prompts, SAMPLED):
        assert engine.is_ended(ids) or len(ids) == SAMPLED.max_tokens
        assert not any(engine.is_ended([token]) for token in ids[:-1])


def test_a_sampled_text_is_in_the_cache_for_prompts_that_extend_it(settings: ModelSettings) -> None:
    engine = vllm_of(settings)
    prompt = [20 + place % 70 for place in range(200)]
    reflection = engine.generate_ids([prompt], dataclasses.replace(GREEDY, max_tokens=60))[0]
    before = engine.prefix_cache_hits
    engine.generate_ids([[*prompt, *reflection, 30, 31, 32]], GREEDY)
    assert before == Hits(200, 0)
    read = 200 + len(reflection) - 1  # the last token was sampled, and nothing after it
    assert engine.prefix_cache_hits.cached_tokens == read // 32 * 32


def test_prompts_too_long_to_be_read_at_once_are_sampled_by_their_seeds(tmp_path: Path) -> None:
    """Prefilling a prompt in parts would have to undo a seeded draw, which generators on a CPU cannot do."""
    tokenizer = make_tokenizer()
    make_network(tokenizer, **SIZES, max_position_embeddings=8192).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    engine = vllm_of(ModelSettings(model=str(tmp_path), backend="vllm"))
    assert engine.context == 8192
    prompts = [[20 + (place * (number + 3)) % 200 for place in range(6000)] for number in range(4)]
    first = engine.generate_ids(prompts, SAMPLED)
    assert engine.generate_ids(prompts, SAMPLED) == first


def test_the_context_is_what_the_memory_holds(engine: VllmEngine) -> None:
    assert engine.context == 4096


@pytest.mark.parametrize("architecture", ["llama", "tied llama", "qwen2", "qwen3"])
def test_after_each_update_the_engine_gives_the_networks_log_probabilities(
    architecture: str, prompts: list[list[int]], tmp_path: Path
) -> None:
    tokenizer = make_tokenizer()
    network = _of(architecture, len(tokenizer))
    network.save_pretrained(tmp_path)
    policy = TransformersEngine(network.eval(), tokenizer, Model(architecture))
    engine = open_beside(policy, ModelSettings(model=str(tmp_path)))
    optimiser = torch.optim.AdamW(policy.network.parameters(), lr=1e-2)
    for _ in range(2):
        stale = _gap(engine, policy.network, prompts)
        batch = torch.tensor([prompts[-1]])
        policy.network(batch, labels=batch).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        assert stale <= 1e-4 < _gap(engine, policy.network, prompts)
        engine.sync_weights(policy.network)
    assert _gap(engine, policy.network, prompts) <= 1e-4


def _of(architecture: str, vocabulary: int) -> Any:
    from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config, Qwen3Config

    kind = {"qwen2": Qwen2Config, "qwen3": Qwen3Config}.get(architecture, LlamaConfig)
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(
        kind(
            vocab_size=vocabulary,
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=32,
            max_position_embeddings=256,
            initializer_range=0.2,
            tie_word_embeddings=architecture != "llama",
            bos_token_id=None,
            eos_token_id=2,
        )
    )


def _gap(engine: VllmEngine, network: Any, prompts: list[list[int]]) -> float:
    """The largest difference between a sampled token's log-probability in the engine and in the network."""
    gaps = [0.0]
    for prompt, written in zip(prompts, engine.generate_ids(prompts, SAMPLED), strict=True):
        with torch.no_grad():
            logits = network(torch.tensor([prompt + written])).logits[0, len(prompt) - 1 : -1]
        own = (logits / SAMPLED.temperature).log_softmax(-1)[range(len(written)), written]
        gaps.append((own - torch.tensor(engine.logprobs_of(prompt, written))).abs().max().item())
    return max(gaps)


def test_an_adapter_is_part_of_the_engines_model(
    settings: ModelSettings, prompts: list[list[int]], tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft")
    adapted = peft.get_peft_model(
        load_from(settings).network,
        peft.LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM"),
    )
    adapted.save_pretrained(tmp_path)
    settings = dataclasses.replace(settings, adapter=str(tmp_path))
    assert vllm_of(settings).generate_ids(prompts, GREEDY) == load_from(settings).generate_ids(prompts, GREEDY)


def test_mining_and_evaluation_take_the_backend(model_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("rrr_countdown", reason="rrr-countdown is not installed")
    common = ["countdown", "--model", str(model_folder), "--backend", "vllm", "--folder", str(tmp_path)]
    assert cli.run_command(["mine", *common, "--max-tokens", "24", "--rows", "4"]) == 0
    assert json.loads((tmp_path / "mine" / "manifest.json").read_text())["identity"]["model"]["backend"] == "vllm"
    assert cli.run_command(["eval", *common, "--max-tokens", "24", "--rows", "4"]) == 0
