"""The engine that writes the rollouts: the policy itself, or one beside it, which training corrects for or refuses."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from rrr_core.errors import ModelError, PluginError
from rrr_core.generation import ModelSettings, Sampling
from rrr_core.generation.transformers_backend import load_transformers
from rrr_core.training.engine import correct_for, drawn_logprobs, engine_identity, open_engine
from rrr_core.training.run import train
from tests.fakes import ScriptedGenerator
from tests.training.conftest import CoinTask

pytestmark = pytest.mark.train

BESIDE = """
    from rrr_core.generation import EngineSpec, TokenEngine

    ENGINE = EngineSpec(open="rrr_beside:no_other_way", beside="rrr_beside:open_beside", takes=["family"])

    class Beside(TokenEngine):
        off_policy = OFF_POLICY

        def __init__(self, policy):
            self.policy, self.model, self.tokenizer = policy, policy.model, policy.tokenizer

        def generate(self, *arguments):
            return self.policy.generate(*arguments)

        def generate_ids(self, *arguments):
            return self.policy.generate_ids(*arguments)

        def is_ended(self, ids):
            return self.policy.is_ended(ids)

        def sync_weights(self, network):
            self.policy.sync_weights(network)

        def describe(self):
            return {"backend": "beside"}

    def open_beside(policy, settings):
        return Beside(policy)
"""
"""An engine beside the policy that gets its texts from the policy."""


class Drawn(ScriptedGenerator):
    """The part of an engine that decides about the correction."""

    def __init__(self, off_policy: bool, keeps_logprobs: bool) -> None:
        super().__init__(name="drawn")
        self.off_policy, self.keeps_logprobs = off_policy, keeps_logprobs


def corrected(engine: Any) -> bool:
    trainer = SimpleNamespace(use_vllm=False)
    correct_for(trainer, engine)
    return trainer.use_vllm


def test_the_policys_own_texts_need_no_correction() -> None:
    assert not corrected(Drawn(off_policy=False, keeps_logprobs=False))
    assert drawn_logprobs(Drawn(off_policy=False, keeps_logprobs=False), [[5]], [[6]]) == [None]


def test_an_off_policy_engine_is_corrected_for_by_its_log_probabilities() -> None:
    assert corrected(Drawn(off_policy=True, keeps_logprobs=True))


def test_an_off_policy_engine_without_log_probabilities_is_refused() -> None:
    with pytest.raises(ModelError, match="The engine of 'drawn' cannot be trained with: it is off-policy"):
        corrected(Drawn(off_policy=True, keeps_logprobs=False))


@pytest.fixture
def beside(site: Any, model_settings: ModelSettings) -> Callable[[str], ModelSettings]:
    """Installs the engine `beside`; gives settings that select it."""

    def install(off_policy: str) -> ModelSettings:
        source = BESIDE.replace("OFF_POLICY", off_policy)
        site.install("rrr-beside", "2.1", modules={"rrr_beside": source}, engines={"beside": "rrr_beside:ENGINE"})
        return dataclasses.replace(model_settings, backend="beside")

    return install


def test_another_distributions_engine_writes_the_rollouts_and_is_named_in_the_manifest(
    beside: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    settings = dataclasses.replace(settings, steps=2)
    train(CoinTask(), failures, model_settings, tmp_path / "own", settings)
    train(CoinTask(), failures, beside("False"), tmp_path / "beside", settings)
    written = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("own", "beside")]
    assert written[0] == written[1]
    identity = json.loads((tmp_path / "beside" / "manifest.json").read_text())["identity"]
    assert identity["engine"] == {"backend": "beside", "rrr-beside": "2.1"}
    assert "engine" not in json.loads((tmp_path / "own" / "manifest.json").read_text())["identity"]


def test_an_uncorrectable_engine_of_another_distribution_is_refused_in_one_line(
    beside: Any, failures: Any, settings: Any, tmp_path: Path
) -> None:
    with pytest.raises(ModelError) as caught:
        train(CoinTask(), failures, beside("True"), tmp_path / "t", settings)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("The beside backend (rrr-beside 2.1) cannot be trained with: it is off-policy")


def test_an_engine_beside_a_policy_must_take_token_ids(site: Any, model_settings: ModelSettings) -> None:
    source = """
        from rrr_core.generation import EngineSpec

        ENGINE = EngineSpec(open="rrr_beside:ENGINE", beside="rrr_beside:open_beside")

        def open_beside(policy, settings):
            from tests.fakes import ScriptedGenerator

            return ScriptedGenerator()
    """
    site.install("rrr-beside", "2.1", modules={"rrr_beside": source}, engines={"beside": "rrr_beside:ENGINE"})
    policy = load_transformers(str(model_settings.model), device="cpu")
    with pytest.raises(PluginError, match="rrr-beside 2.1: .* gave ScriptedGenerator, which is no TokenEngine"):
        open_engine(policy, dataclasses.replace(model_settings, backend="beside"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backend": "server", "base_url": "http://127.0.0.1:9/v1"}, "server backend cannot be trained"),
        ({"backend": "transformers", "base_url": "http://127.0.0.1:9/v1"}, "base_url cannot be set"),
        ({"backend": "vllm", "device": "cpu"}, "device cannot be set"),
    ],
)
def test_an_engine_that_cannot_be_trained_with_is_refused_before_anything_is_written(
    failures: Sequence[Any], model_settings: Any, settings: Any, tmp_path: Path, change: Any, message: str
) -> None:
    refused = dataclasses.replace(model_settings, **change)
    with pytest.raises(ModelError, match=message):
        engine_identity(refused)
    with pytest.raises(ModelError, match=message):
        train(CoinTask(), failures, refused, tmp_path / "t", settings)
    assert not (tmp_path / "t" / "manifest.json").exists()


def test_the_policy_is_the_engine_by_default(model_settings: ModelSettings) -> None:
    policy = load_transformers(str(model_settings.model), device="cpu")
    assert open_engine(policy, model_settings) is policy
    assert policy.generate_ids([[5, 6]], Sampling(temperature=0, max_tokens=2))
