"""A vLLM server as an engine of ids: a fake always, the real one where it is installed (-m vllm)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("httpx2", reason="httpx2 is not installed")

from rrr_core.errors import ModelError
from rrr_core.generation import ModelSettings, Sampling, make_engine
from rrr_core.generation.engine import Hits
from rrr_core.generation.transformers_backend import load_from
from rrr_core.generation.vllm_backend import open_beside
from rrr_core.generation.vllm_server import VllmServerEngine
from rrr_core.seeds import request_seed
from tests.generation import fake_vllm, served_vllm
from tests.generation.served_vllm import SAMPLED, TRAINABLE, Stage, gap
from tests.generation.tiny import make_network, make_tokenizer
from tests.generation.vllm_serving import vllm_serving

pytestmark = pytest.mark.train

GREEDY = Sampling(temperature=0, max_tokens=12)


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Head width 32, the smallest with CPU kernels in vLLM."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tokenizer = make_tokenizer()
    network = make_network(tokenizer, hidden_size=64, num_attention_heads=2, num_key_value_heads=1)
    network.generation_config.eos_token_id = [tokenizer.eos_token_id, *range(100, 130)]
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["fake", pytest.param("real", marks=pytest.mark.vllm)])
def address(request: pytest.FixtureRequest, model_folder: Path) -> Iterator[str]:
    if request.param == "fake":
        with pytest.MonkeyPatch.context() as patch:
            fake_vllm.install(patch)
            with served_vllm.serving(model_folder) as stage:
                yield stage.base_url
        return
    pytest.importorskip("vllm", reason="vLLM is not installed")
    with vllm_serving(
        model_folder,
        *("--logprobs-mode", "processed_logprobs"),
        *("--worker-extension-cls", "rrr_core.generation.vllm_worker.WeightFile"),
        *("--enable-prompt-tokens-details", "--no-enable-chunked-prefill"),
    ) as address:
        yield address


@pytest.fixture
def settings(model_folder: Path, address: str) -> ModelSettings:
    return ModelSettings(model=str(model_folder), backend="vllm", base_url=address)


@pytest.fixture
def local(model_folder: Path) -> ModelSettings:
    return ModelSettings(model=str(model_folder))


@pytest.fixture
def stage(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    fake_vllm.install(monkeypatch)
    with served_vllm.serving(model_folder) as stage:
        yield stage


def of_stage(stage: Stage) -> ModelSettings:
    return ModelSettings(model=stage.name, backend="vllm", base_url=stage.base_url)


def server_of(settings: ModelSettings) -> VllmServerEngine:
    made = make_engine(settings)
    assert isinstance(made, VllmServerEngine)
    return made


def test_greedy_ids_are_the_transformers_engines(
    settings: ModelSettings, local: ModelSettings, prompts: list[list[int]]
) -> None:
    assert server_of(settings).generate_ids(prompts, GREEDY) == load_from(local).generate_ids(prompts, GREEDY)


def test_sampled_ids_are_repeated_by_seed_and_place(settings: ModelSettings, prompts: list[list[int]]) -> None:
    engine = server_of(settings)
    whole = engine.generate_ids(prompts, SAMPLED)
    assert engine.generate_ids(prompts, SAMPLED) == whole
    places = [2, 11, 30]
    assert engine.generate_ids([prompts[place] for place in places], SAMPLED, places=places) == [
        whole[place] for place in places
    ]


def test_hits_are_counted_if_the_server_reports_them(settings: ModelSettings) -> None:
    engine = server_of(settings)
    long = [20 + 3 * place % 71 for place in range(100)]
    engine.generate_ids([long], GREEDY)
    engine.generate_ids([[*long, 5, 6]], GREEDY)
    assert engine.prefix_cache_hits == Hits(prompt_tokens=202, cached_tokens=96)


def test_after_each_update_the_server_gives_the_networks_log_probabilities(
    settings: ModelSettings, local: ModelSettings, prompts: list[list[int]]
) -> None:
    policy = load_from(local)
    engine = open_beside(policy, settings)
    engine.sync_weights(policy.network)
    optimiser = torch.optim.AdamW(policy.network.parameters(), lr=1e-2)
    for _ in range(2):
        stale = gap(engine, policy.network, prompts[:10])
        batch = torch.tensor([prompts[-1]])
        policy.network(batch, labels=batch).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        assert stale <= 1e-4 < gap(engine, policy.network, prompts[:10])
        engine.sync_weights(policy.network)
    assert gap(engine, policy.network, prompts[:10]) <= 1e-4


def test_a_server_that_reports_no_hits_has_none_counted(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_vllm.install(monkeypatch)
    with served_vllm.serving(model_folder, tells_hits=False) as stage:
        engine = server_of(of_stage(stage))
        engine.generate_ids([[20, 21]], GREEDY)
    assert engine.prefix_cache_hits == Hits()


def test_a_request_overrides_every_default_of_the_models_own_configuration(stage: Stage) -> None:
    server_of(of_stage(stage)).generate_ids([[20, 21]], Sampling(seed=7, top_k=5, top_p=0.9, max_tokens=2))
    asked = stage.requests[0]
    assert asked["prompt"] == [20, 21]
    assert asked["seed"] == request_seed(7, 0)
    assert (asked["top_k"], asked["top_p"], asked["min_p"], asked["repetition_penalty"]) == (5, 0.9, 0, 1)
    assert (asked["presence_penalty"], asked["frequency_penalty"]) == (0, 0)


def test_a_request_holds_the_whole_sampling(stage: Stage) -> None:
    server_of(of_stage(stage)).generate_ids([[20, 21]], Sampling(min_p=0.2, repetition_penalty=1.3, max_tokens=2))
    asked = stage.requests[0]
    assert (asked["min_p"], asked["repetition_penalty"]) == (0.2, 1.3)


def test_a_server_with_trained_weights_is_not_taken_for_the_model_it_is_named_after(
    stage: Stage, local: ModelSettings
) -> None:
    policy = load_from(local)
    open_beside(policy, of_stage(stage)).sync_weights(policy.network)
    with pytest.raises(ModelError, match="has the weights of a training run"):
        make_engine(of_stage(stage))


def test_an_unknown_model_is_answered_with_the_models_served(stage: Stage, model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").symlink_to(model_folder)
    settings = ModelSettings(model=str(tmp_path / "other"), backend="vllm", base_url=stage.base_url)
    with pytest.raises(ModelError, match=rf"serves no model .*other'?, but {stage.name}"):
        make_engine(settings)


def test_a_missing_server_is_one_line(model_folder: Path) -> None:
    settings = ModelSettings(model=str(model_folder), backend="vllm", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(ModelError, match="is it running"):
        make_engine(settings)


@pytest.mark.parametrize(
    "config",
    [
        None,
        {},
        TRAINABLE | {"model_config": {"logprobs_mode": "raw_logprobs"}},
        TRAINABLE | {"parallel_config": {"worker_extension_cls": ""}},
    ],
)
def test_a_server_that_cannot_be_trained_with_is_answered_with_the_command_to_start_one(
    config: dict[str, Any] | None, model_folder: Path, local: ModelSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_vllm.install(monkeypatch)
    with served_vllm.serving(model_folder, config) as stage:
        policy = load_from(local)
        with pytest.raises(ModelError, match="VLLM_SERVER_DEV_MODE=1 vllm serve MODEL --worker-extension-cls"):
            open_beside(policy, of_stage(stage))
        assert make_engine(of_stage(stage))


def test_a_cache_that_is_not_emptied_is_an_error(stage: Stage, local: ModelSettings) -> None:
    stage.empties_cache = False
    policy = load_from(local)
    with pytest.raises(ModelError, match="prefix cache"):
        open_beside(policy, of_stage(stage)).sync_weights(policy.network)


def test_no_file_of_weights_is_left_behind(
    stage: Stage, local: ModelSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rrr_core.generation.vllm_sync.MEMORY_FOLDER", tmp_path)
    policy = load_from(local)
    open_beside(policy, of_stage(stage)).sync_weights(policy.network)
    assert stage.llm.model.loads == 1
    assert list(tmp_path.iterdir()) == []


def test_an_adapter_is_refused(stage: Stage, tmp_path: Path) -> None:
    settings = ModelSettings(model=stage.name, adapter=str(tmp_path), backend="vllm", base_url=stage.base_url)
    with pytest.raises(ModelError, match="serve the merged model"):
        make_engine(settings)


def test_what_is_described_has_the_servers_address_without_credentials(stage: Stage) -> None:
    described = server_of(of_stage(stage)).describe()
    assert described["backend"] == "vllm"
    assert described["base_url"] == stage.base_url
    assert described["weights_sha256"]
