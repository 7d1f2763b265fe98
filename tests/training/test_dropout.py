"""Dropout of any kind is off in training, so that log-probabilities of one text agree."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import peft
import transformers
from safetensors.torch import load_file

from rrr_core.errors import ModelError
from rrr_core.generation import ModelSettings
from rrr_core.training.dropout import check_pass, without_dropout
from rrr_core.training.run import train
from tests.training.conftest import CoinTask

pytestmark = pytest.mark.train

WIDE = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
NETWORKS = {
    "attention's own function": ("llama", {**WIDE, "attention_dropout": 0.5}),
    "attention's, written out": ("llama", {**WIDE, "attention_dropout": 0.5, "attn_implementation": "eager"}),
    "modules": (
        "gpt2",
        {"n_embd": 32, "n_layer": 2, "n_head": 2, "resid_pdrop": 0.5, "embd_pdrop": 0.5, "attn_pdrop": 0.5},
    ),
    "layers' own function, and whole layers": (
        "opt",
        {"hidden_size": 32, "ffn_dim": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "word_embed_proj_dim": 32}
        | {"dropout": 0.5, "attention_dropout": 0.5, "layerdrop": 0.5},
    ),
    "residuals": ("phi3", {**WIDE, "resid_pdrop": 0.5, "embd_pdrop": 0.5, "attention_dropout": 0.5}),
    "noise before experts": (
        "mixtral",
        {**WIDE, "num_key_value_heads": 2, "num_local_experts": 2, "router_jitter_noise": 0.5},
    ),
    "hidden states": ("gpt_neox", {**WIDE, "hidden_dropout": 0.5, "attention_dropout": 0.5}),
}


def network_of(name: str) -> Any:
    model_type, sizes = NETWORKS[name]
    implementation = sizes.get("attn_implementation")
    config = transformers.AutoConfig.for_model(
        model_type,
        vocab_size=99,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
        **{key: value for key, value in sizes.items() if key != "attn_implementation"},
    )
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(config, attn_implementation=implementation).train()


def logits(network: Any) -> Any:
    with torch.no_grad():
        return network(torch.arange(3, 40)[None]).logits


@pytest.mark.parametrize("name", NETWORKS)
def test_two_passes_of_a_model_in_training_agree_only_without_dropout(name: str) -> None:
    network = network_of(name)
    before = network.config.to_dict()
    assert not torch.equal(logits(network), logits(network))
    with without_dropout(network):
        assert torch.equal(logits(network), logits(network))
        in_training = logits(network)
    assert network.config.to_dict() == before
    assert not torch.equal(logits(network), logits(network))
    assert torch.equal(in_training, logits(network.eval()))


def test_a_model_that_draws_its_experts_at_random_in_training_is_refused_in_one_line() -> None:
    sizes = {**WIDE, "num_key_value_heads": 2, "num_local_experts": 4, "router_jitter_noise": 0.5}
    config = transformers.AutoConfig.for_model("phimoe", vocab_size=99, pad_token_id=0, **sizes)
    torch.manual_seed(0)
    network = transformers.AutoModelForCausalLM.from_config(config).eval()
    with without_dropout(network), pytest.raises(ModelError, match="PhimoeForCausalLM computes other") as caught:
        check_pass(network)
    assert "\n" not in str(caught.value)
    assert not any(module.training for module in network.modules())


@pytest.mark.parametrize("name", NETWORKS)
def test_dropout_is_all_that_a_passes_mode_changes(name: str) -> None:
    network = network_of(name)
    with pytest.raises(ModelError):
        check_pass(network)
    with without_dropout(network):
        check_pass(network)


def test_an_adapters_dropout_is_off_as_well() -> None:
    config = peft.LoraConfig(r=4, lora_dropout=0.5, target_modules="all-linear", init_lora_weights=False)
    network = peft.get_peft_model(network_of("attention's own function"), config).train()
    with without_dropout(network):
        assert torch.equal(logits(network), logits(network))
    assert not torch.equal(logits(network), logits(network))


def test_a_model_with_dropout_trains_to_the_weights_of_one_without(
    failures: Any, model_settings: Any, settings: Any, tiny_model: Path, tmp_path: Path
) -> None:
    # Texts are trained on twice, so that the old policy's log-probabilities are computed on their own.
    settings = dataclasses.replace(settings, steps=2, grpo={"num_iterations": "2", "epsilon": "0.0001"})
    dropping = tmp_path / "dropping"
    shutil.copytree(tiny_model, dropping)
    config = json.loads((dropping / "config.json").read_text())
    (dropping / "config.json").write_text(json.dumps({**config, "attention_dropout": 0.5}))
    for shared in (True, False):
        trained = []
        for model in (model_settings, ModelSettings(model=str(dropping))):
            folder = tmp_path / f"{shared}{len(trained)}"
            train(CoinTask(), failures, model, folder, dataclasses.replace(settings, shared_prompt=shared))
            trained.append(load_file(folder / "model" / "model.safetensors"))
        assert all(torch.equal(trained[0][name], weight) for name, weight in trained[1].items())
        kept = json.loads((folder / "model" / "config.json").read_text())
        assert kept["attention_dropout"] == 0.5
