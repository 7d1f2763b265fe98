"""Adapter-only sync to a vLLM server: a fake always, the real one where it is installed (-m vllm)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
pytest.importorskip("httpx2", reason="httpx2 is not installed")

from rrr_core.errors import ModelError
from rrr_core.generation import ModelSettings
from rrr_core.generation.transformers_backend import load_from
from rrr_core.generation.vllm_adapter import rank_of, write_adapter
from rrr_core.generation.vllm_backend import open_beside
from tests.generation import fake_vllm, served_vllm
from tests.generation.served_vllm import SAMPLED, TRAINABLE, Stage, gap
from tests.generation.tiny import make_network, make_tokenizer
from tests.generation.vllm_serving import vllm_serving

pytestmark = pytest.mark.train

TAKES_ADAPTERS = {**TRAINABLE, "lora_config": {"max_lora_rank": 8}}


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Head width 32, the smallest with CPU kernels in vLLM."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tokenizer = make_tokenizer()
    network = make_network(tokenizer, hidden_size=64, num_attention_heads=2, num_key_value_heads=1)
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["fake", pytest.param("real", marks=pytest.mark.vllm)])
def address(request: pytest.FixtureRequest, model_folder: Path) -> Iterator[str]:
    if request.param == "fake":
        with pytest.MonkeyPatch.context() as patch:
            fake_vllm.install(patch)
            with served_vllm.serving(model_folder, TAKES_ADAPTERS) as stage:
                yield stage.base_url
        return
    pytest.importorskip("vllm", reason="vLLM is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "1")
        with vllm_serving(
            model_folder,
            *("--logprobs-mode", "processed_logprobs"),
            *("--worker-extension-cls", "rrr_core.generation.vllm_worker.WeightFile"),
            *("--enable-lora", "--max-lora-rank", "8", "--no-enable-chunked-prefill"),
        ) as address:
            yield address


@pytest.fixture
def stage(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    fake_vllm.install(monkeypatch)
    with served_vllm.serving(model_folder, TAKES_ADAPTERS) as stage:
        yield stage


def settings_of(model_folder: Path, address: str) -> ModelSettings:
    return ModelSettings(model=str(model_folder), backend="vllm", base_url=address)


def adapted(settings: ModelSettings, rank: int = 4, **changes: Any) -> tuple[Any, Any]:
    """An engine of texts, and the policy beside it with an adapter that is not zero."""
    policy = load_from(dataclasses.replace(settings, backend="transformers", base_url=()))
    engine = open_beside(policy, settings)
    config = peft.LoraConfig(
        r=rank, lora_alpha=16, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM", **changes
    )
    torch.manual_seed(0)
    return engine, peft.get_peft_model(policy.network, config).eval()


def test_after_each_sync_the_server_writes_with_the_policys_adapter(
    model_folder: Path, address: str, prompts: list[list[int]]
) -> None:
    engine, network = adapted(settings_of(model_folder, address))
    for _ in range(3):
        engine.sync_weights(network)
        assert gap(engine, network, prompts) < 1e-4
        with torch.no_grad():
            for name, weight in network.named_parameters():
                if "lora_B" in name:
                    weight.mul_(-1.5)
        assert gap(engine, network, prompts) > 1e-2  # until the next sync


def test_the_adapter_alone_is_sent_and_the_one_before_it_leaves(model_folder: Path, stage: Stage) -> None:
    engine, network = adapted(settings_of(model_folder, stage.base_url))
    engine.sync_weights(network)
    engine.sync_weights(network)
    assert [*stage.adapters] == ["rrr-policy-2"]
    assert "/collective_rpc" not in stage.calls  # whole weights go that way
    assert stage.worker.count_weight_files() == "0"


def test_the_prefix_cache_is_emptied(model_folder: Path, stage: Stage, prompts: list[list[int]]) -> None:
    engine, network = adapted(settings_of(model_folder, stage.base_url))
    engine.sync_weights(network)
    engine.generate_ids([[5] * 100], SAMPLED)
    assert stage.llm.cache
    engine.sync_weights(network)
    assert not stage.llm.cache
    stage.empties_cache = False
    with pytest.raises(ModelError, match="did not empty its prefix cache"):
        engine.sync_weights(network)


@pytest.mark.parametrize(("rank", "config"), [(16, TAKES_ADAPTERS), (4, TRAINABLE)])
def test_a_server_that_cannot_take_the_adapter_gets_merged_weights(
    rank: int, config: dict[str, Any], model_folder: Path, monkeypatch: pytest.MonkeyPatch, prompts: list[list[int]]
) -> None:
    fake_vllm.install(monkeypatch)
    with served_vllm.serving(model_folder, config) as stage:
        engine, network = adapted(settings_of(model_folder, stage.base_url), rank)
        engine.sync_weights(network)
        assert stage.worker.count_weight_files() == "1"
        assert gap(engine, network, prompts) < 1e-4


def test_a_server_that_may_not_change_adapters_is_told_what_to_set(model_folder: Path, stage: Stage) -> None:
    engine, network = adapted(settings_of(model_folder, stage.base_url))
    stage.config = dict(TRAINABLE)  # as without VLLM_ALLOW_RUNTIME_LORA_UPDATING
    with pytest.raises(ModelError, match="has no /v1/load_lora_adapter: start it with `VLLM_ALLOW_RUNTIME_LORA"):
        engine.sync_weights(network)


def test_an_adapter_is_written_as_peft_writes_it(tmp_path: Path) -> None:
    network = peft.get_peft_model(
        make_network(make_tokenizer()), peft.LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    )
    write_adapter(network, tmp_path)
    assert {"adapter_config.json", "adapter_model.safetensors"} <= {path.name for path in tmp_path.iterdir()}
    assert json.loads((tmp_path / "adapter_config.json").read_text())["r"] == 2


@pytest.mark.parametrize("changes", [{"use_dora": True}, {"bias": "all"}, {"modules_to_save": ["lm_head"]}])
def test_an_adapter_with_more_than_loras_two_factors_is_merged(changes: dict[str, Any]) -> None:
    config = peft.LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM", **changes)
    assert rank_of(peft.get_peft_model(make_network(make_tokenizer()), config)) is None


def test_a_network_without_an_adapter_has_no_rank() -> None:
    assert rank_of(make_network(make_tokenizer())) is None
