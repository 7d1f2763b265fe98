"""Training with vLLM servers on other machines: fake ones, whose workers run the real extension in other processes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
pytest.importorskip("httpx2", reason="httpx2 is not installed")

from rrr_core.errors import ModelError
from rrr_core.generation import ModelSettings, Sampling, make_engine
from rrr_core.generation.transformers_backend import load_from
from rrr_core.generation.vllm_backend import open_beside
from tests.generation import fake_vllm, served_vllm
from tests.generation.remote_vllm import Machine, other_machine, remote
from tests.generation.served_vllm import TRAINABLE
from tests.generation.test_vllm_adapter import TAKES_ADAPTERS, gap
from tests.generation.tiny import make_network, make_tokenizer
from tests.generation.vllm_serving import vllm_serving

pytestmark = pytest.mark.train

SAMPLED = Sampling(temperature=0.9, max_tokens=12, seed=3)


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with other_machine() as machine:
        yield machine


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


def beside(model_folder: Path, *addresses: str, **settings: Any) -> tuple[Any, Any]:
    """An engine at these servers, and the policy beside it."""
    model = ModelSettings(model=str(model_folder), backend="vllm", base_url=addresses, **settings)
    policy = load_from(dataclasses.replace(model, backend="transformers", base_url=(), sync_address=None))
    return open_beside(policy, model), policy


def changed(network: Any, factor: float = 1.5) -> Any:
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(factor)
    return network


@pytest.fixture(scope="module")
def address(machine: Machine, model_folder: Path) -> Iterator[str]:
    with remote(machine, model_folder, TAKES_ADAPTERS) as address:
        yield address


def test_after_each_sync_both_workers_of_a_server_elsewhere_have_the_networks_weights(
    machine: Machine, address: str, model_folder: Path, prompts: list[list[int]]
) -> None:
    engine, policy = beside(model_folder, address, sync_address=machine.sync_address)
    for number in (1, 2):
        changed(policy.network)
        assert gap(engine, policy.network, prompts[:6]) > 1e-3
        engine.sync_weights(policy.network)
        assert engine.calls[0].weight_counts() == [str(number)] * 2
        assert gap(engine, policy.network, prompts[:6]) < 1e-4


def test_an_adapter_alone_reaches_a_server_elsewhere(
    machine: Machine, address: str, model_folder: Path, prompts: list[list[int]]
) -> None:
    engine, policy = beside(model_folder, address, sync_address=machine.sync_address)
    engine.sync_weights(policy.network)
    counts = engine.calls[0].weight_counts()
    config = peft.LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    network = peft.get_peft_model(policy.network, config).eval()
    engine.sync_weights(network)
    engine.sync_weights(network)
    assert gap(engine, network, prompts[:6]) < 1e-4
    assert engine.adapters.current == "rrr-policy-2"
    assert engine.calls[0].weight_counts() == counts
    assert not list(Path("/tmp").glob("rrr-adapter-*"))  # the server's


def test_a_server_that_cannot_reach_the_trainer_says_what_to_do(
    machine: Machine, address: str, model_folder: Path
) -> None:
    if machine.sync_address is not None:
        pytest.skip("no network namespaces here, so every address of this machine can be reached")
    engine, policy = beside(model_folder, address, sync_address="127.0.0.1")
    with pytest.raises(ModelError, match=r"cannot reach the trainer at 127\.0\.0\.1 .*with --sync-address HOST:PORT"):
        engine.sync_weights(policy.network)


def test_a_damaged_transfer_ends_the_sync(
    machine: Machine, address: str, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, policy = beside(model_folder, address, sync_address=machine.sync_address)
    counts = engine.calls[0].weight_counts()
    monkeypatch.setattr("rrr_core.generation.weight_offer._Writer.parcel", _damaged)
    with pytest.raises(ModelError, match="did not take the weights: it got damaged weights"):
        engine.sync_weights(policy.network)
    assert engine.calls[0].weight_counts() == counts


def _damaged(writer: Any) -> Any:
    from rrr_core.generation.weight_offer import Parcel

    writer.file.seek(writer.size - 1)
    writer.file.write(b"\x7f")
    return Parcel(writer.file, writer.digest.hexdigest(), writer.size)


def test_all_servers_have_the_weights_before_any_is_asked(
    machine: Machine, address: str, model_folder: Path, prompts: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_vllm.install(monkeypatch)
    with served_vllm.serving(model_folder) as stage:
        engine, policy = beside(model_folder, stage.base_url, address, sync_address=machine.sync_address)
        engine.sync_weights(changed(policy.network))
        assert stage.worker.count_weight_files() == "1"
        assert gap(engine, policy.network, prompts) < 1e-4
        assert 0 < len(stage.requests) < len(prompts)


def test_two_servers_of_this_machine_load_one_file(
    model_folder: Path, prompts: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_vllm.install(monkeypatch)
    with served_vllm.serving(model_folder) as one, served_vllm.serving(model_folder) as other:
        engine, policy = beside(model_folder, one.base_url, other.base_url)
        engine.sync_weights(changed(policy.network))
        assert gap(engine, policy.network, prompts) < 1e-4
        assert one.requests
        assert other.requests


def test_a_server_that_lost_its_weights_is_not_written_with(
    model_folder: Path, prompts: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_vllm.install(monkeypatch)
    with served_vllm.serving(model_folder) as stage:
        engine, policy = beside(model_folder, stage.base_url)
        engine.sync_weights(policy.network)
        stage.worker.weight_files_taken = 0  # as after a restart
        with pytest.raises(ModelError, match="no longer has the weights it was given"):
            engine.generate_ids(prompts[:2], SAMPLED)


def test_an_address_where_nothing_is_trained_is_refused(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_vllm.install(monkeypatch)
    with served_vllm.serving(model_folder, TRAINABLE) as stage:
        settings = ModelSettings(
            model=str(model_folder), backend="vllm", base_url=stage.base_url, sync_address="127.0.0.1"
        )
        with pytest.raises(ModelError, match="--sync-address is where training offers its weights"):
            make_engine(settings)
        with pytest.raises(ModelError, match="--sync-address is for vLLM servers"):
            make_engine(dataclasses.replace(settings, base_url=()))


@pytest.mark.vllm
def test_real_vllm_fetches_whole_weights_and_adapters(tmp_path: Path, prompts: list[list[int]]) -> None:
    """Head width 32 is the smallest with CPU kernels in vLLM."""
    pytest.importorskip("vllm", reason="vLLM is not installed")
    tokenizer = make_tokenizer()
    sizes = {"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1}
    make_network(tokenizer, **sizes).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "1")
        with vllm_serving(
            tmp_path,
            *("--logprobs-mode", "processed_logprobs"),
            *("--worker-extension-cls", "rrr_core.generation.vllm_worker.WeightFile"),
            *("--enable-lora", "--max-lora-rank", "8", "--no-enable-chunked-prefill"),
        ) as address:
            engine, policy = beside(tmp_path, address, sync_address="127.0.0.1")
            engine.sync_weights(changed(policy.network))
            assert gap(engine, policy.network, prompts[:6]) < 1e-4
            config = peft.LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
            network = peft.get_peft_model(policy.network, config).eval()
            engine.sync_weights(network)
            assert engine.adapters.current == "rrr-policy-1"
            assert gap(engine, network, prompts[:6]) < 1e-4
