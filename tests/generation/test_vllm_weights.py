"""The weights synced to vLLM: names and numbers as in the model's files, whatever wraps the network."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")

from rrr_core.errors import ModelError
from rrr_core.generation.vllm_weights import file_weights, take_weights
from tests.generation.tiny import make_network, make_tokenizer

pytestmark = pytest.mark.train


def adapted(network: Any, **changes: Any) -> Any:
    config = peft.LoraConfig(
        r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM", **changes
    )
    return peft.get_peft_model(network, config)


def test_names_are_those_in_the_models_files(tmp_path: Any) -> None:
    from safetensors import safe_open

    network = make_network(make_tokenizer())
    network.save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert {name for name, _ in file_weights(network)} == set(file.keys())


def test_tied_weights_are_sent_once() -> None:
    network = make_network(make_tokenizer(), tie_word_embeddings=True)
    names = [name for name, _ in file_weights(network)]
    assert "model.embed_tokens.weight" in names
    assert "lm_head.weight" not in names


def test_an_adapter_is_merged_into_the_weights_as_peft_merges_it() -> None:
    network = adapted(make_network(make_tokenizer()))
    weights = dict(file_weights(network))
    merged = dict(network.merge_and_unload().named_parameters())
    assert weights.keys() == merged.keys()
    for name, weight in weights.items():
        torch.testing.assert_close(weight, merged[name].data, rtol=0, atol=1e-6)


def test_the_networks_own_weights_are_not_touched() -> None:
    network = adapted(make_network(make_tokenizer()))
    before = {name: parameter.clone() for name, parameter in network.named_parameters()}
    list(file_weights(network))
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter, before[name])


def test_an_adapter_of_another_kind_is_refused() -> None:
    network = adapted(make_network(make_tokenizer()), use_dora=True)
    with pytest.raises(ModelError, match="is not LoRA"):
        list(file_weights(network))


def test_sharded_weights_are_refused() -> None:
    network = make_network(make_tokenizer())
    network.model.norm.weight.data = torch.empty(0)
    with pytest.raises(ModelError, match=r"model\.norm\.weight is sharded over processes"):
        list(file_weights(network))


@pytest.mark.parametrize("inner", ["", "base_layer."], ids=["vLLM 0.31", "vLLM 0.30"])
def test_with_adapters_enabled_vllm_may_name_a_layer_or_its_base_layer(inner: str) -> None:
    class Model(torch.nn.Module):
        """vLLM's, with one layer that takes adapters."""

        def __init__(self) -> None:
            super().__init__()
            self.head = torch.nn.ModuleDict({"base_layer": torch.nn.Linear(2, 2)})

        def load_weights(self, weights: Any) -> set[str]:
            return {f"head.{inner}{name}" for name, _ in weights}

    take_weights(Model(), [("weight", torch.ones(2, 2)), ("bias", torch.ones(2))])
    with pytest.raises(ModelError, match=r"kept 1 of its old weights, such as head\.bias"):
        take_weights(Model(), [("weight", torch.ones(2, 2))])
