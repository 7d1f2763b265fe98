"""Training whose rollouts vLLM writes: with a fake vLLM always, with the real one where it is installed (-m vllm)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from transformers import AutoModelForCausalLM, AutoTokenizer

from rrr_core.errors import RrrError
from rrr_core.generation import ModelSettings
from rrr_core.generation.vllm_backend import VllmEngine
from rrr_core.training import run as training_run
from rrr_core.training.run import train
from rrr_core.training.tiny import make_model, make_tokenizer
from rrr_core.training.trainer import ReflectionTrainer
from rrr_core.training.warmup_settings import WarmupSettings
from tests.generation import fake_vllm, served_vllm
from tests.training.conftest import CoinTask

pytestmark = pytest.mark.train

AGREEMENT = 1e-4
"""Tolerance between a token's log-probability in the engine and in the trainer, in float32."""


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.vllm)])
def vllm(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "fake":
        fake_vllm.install(monkeypatch)
    else:
        pytest.importorskip("vllm", reason="vLLM is not installed")
    return str(request.param)


@pytest.fixture(scope="session")
def model_with_wide_heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Like `tiny_model`, with head width 32, the smallest with CPU kernels in vLLM."""
    folder = tmp_path_factory.mktemp("wide") / "model"
    tokenizer = make_tokenizer(["Toss 1. Wrong. Reflect. heads tails"] * 4, 512 + 256)
    model = make_model(tokenizer, WarmupSettings(hidden_size=64, layers=2, heads=2, context=128, seed=3))
    with torch.no_grad():  # one dimension that all tokens share, and that makes the end token the likeliest
        model.get_input_embeddings().weight[:, 0] = 0.1
        model.get_input_embeddings().weight[tokenizer.eos_token_id, 0] += 1.0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def model_settings(model_with_wide_heads: Path) -> ModelSettings:
    return ModelSettings(model=str(model_with_wide_heads), backend="vllm")


@pytest.fixture
def untied_settings(model_with_wide_heads: Path, tmp_path: Path) -> ModelSettings:
    """The same model with an untied head."""
    folder = tmp_path / "untied"
    model = AutoModelForCausalLM.from_pretrained(model_with_wide_heads)
    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(model_with_wide_heads).save_pretrained(folder)
    return ModelSettings(model=str(folder), backend="vllm")


@pytest.fixture
def gaps(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """For each rollout, the largest difference between a token's log-probability in engine and trained policy."""
    kept: list[float] = []

    class Measuring(ReflectionTrainer):
        def play_batch(self, prompts: Any, trainer: Any) -> dict[str, Any]:
            played = super().play_batch(prompts, trainer)
            policy = self.accelerator.unwrap_model(self.model)
            for prompt, written, mask, drawn in zip(
                played["prompt_ids"], played["completion_ids"], played["env_mask"], played["logprobs"], strict=True
            ):
                with torch.no_grad():
                    logits = policy(torch.tensor([prompt + written])).logits[0, len(prompt) - 1 : -1]
                own = (logits / self.temperature).log_softmax(-1)[range(len(written)), written]
                kept.extend(
                    abs(ours - theirs)
                    for ours, theirs, trained in zip(own.tolist(), drawn, mask, strict=True)
                    if trained
                )
            return played

    monkeypatch.setattr(training_run, "ReflectionTrainer", Measuring)
    yield kept
    assert kept


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("lora_rank", [0, 4])
def test_after_every_update_engine_and_trainer_give_the_same_log_probabilities(
    vllm: str, gaps: list[float], failures: Any, model_settings: Any, settings: Any, lora_rank: int, tmp_path: Path
) -> None:
    settings = dataclasses.replace(settings, learning_rate=1e-2, lora_rank=lora_rank)
    train(CoinTask(), failures, model_settings, tmp_path / "t", settings)
    assert max(gaps) <= AGREEMENT


def test_an_untied_head_is_synced_as_well(
    vllm: str, gaps: list[float], failures: Any, untied_settings: Any, settings: Any, tmp_path: Path
) -> None:
    settings = dataclasses.replace(settings, steps=2, learning_rate=1e-2, warmup_ratio=0)
    train(CoinTask(), failures, untied_settings, tmp_path / "t", settings)
    assert max(gaps) <= AGREEMENT


@pytest.mark.parametrize(("credit", "rounds"), [("retry", 1), ("all", 1), ("reflection", 3), ("all", 3)])
def test_every_trained_token_has_the_log_probability_it_was_drawn_with(
    vllm: str,
    gaps: list[float],
    failures: Any,
    model_settings: Any,
    settings: Any,
    credit: str,
    rounds: int,
    tmp_path: Path,
) -> None:
    settings = dataclasses.replace(settings, steps=2, credit=credit, rounds=rounds, learning_rate=1e-2)
    train(CoinTask(), failures, model_settings, tmp_path / "t", settings)
    assert max(gaps) <= AGREEMENT


def test_a_servers_weights_are_synced_as_well(
    gaps: list[float],
    failures: Any,
    model_with_wide_heads: Path,
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a fake server; `tests/generation/test_vllm_server.py` checks the real one."""
    pytest.importorskip("httpx2", reason="the httpx2 package is not installed")
    fake_vllm.install(monkeypatch)
    with served_vllm.serving(model_with_wide_heads) as stage:
        model_settings = ModelSettings(model=stage.name, backend="vllm", base_url=stage.base_url)
        settings = dataclasses.replace(settings, steps=2, learning_rate=1e-2, warmup_ratio=0)
        train(CoinTask(), failures, model_settings, tmp_path / "t", settings)
        assert stage.llm.model.loads == 2
    assert max(gaps) <= AGREEMENT
    assert stage.base_url in (tmp_path / "t" / "manifest.json").read_text()


def test_an_engine_with_stale_weights_would_be_noticed(
    vllm: str,
    gaps: list[float],
    failures: Any,
    model_settings: Any,
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(VllmEngine, "sync_weights", lambda self, network: None)
    train(
        CoinTask(),
        failures,
        model_settings,
        tmp_path / "t",
        dataclasses.replace(settings, learning_rate=1e-2, warmup_ratio=0),
    )
    assert max(gaps) > 10 * AGREEMENT


def test_the_correction_for_the_engine_is_logged_and_next_to_one(
    vllm: str, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    train(CoinTask(), failures, model_settings, tmp_path / "t", settings)
    for line in metrics(tmp_path / "t"):
        assert line["sampling/importance_sampling_ratio/mean"] == pytest.approx(1, abs=AGREEMENT)


def test_the_correction_changes_nothing_where_engine_and_trainer_agree(
    vllm: str, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    settings = dataclasses.replace(settings, steps=2)
    without = dataclasses.replace(settings, grpo={"vllm_importance_sampling_correction": "false"})
    train(CoinTask(), failures, model_settings, tmp_path / "with", settings)
    train(CoinTask(), failures, model_settings, tmp_path / "without", without)
    for ours, theirs in zip(metrics(tmp_path / "with"), metrics(tmp_path / "without"), strict=True):
        assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-3)


def test_a_resumed_run_ends_as_an_uninterrupted_one(
    vllm: str, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    train(CoinTask(), failures, model_settings, tmp_path / "whole", settings)
    half = tmp_path / "half"
    train(CoinTask(), failures, model_settings, half, settings)
    for name in ("summary.json", "checkpoint-4", "model"):
        path = half / name
        if path.is_dir():
            for file in path.iterdir():
                file.unlink()
            path.rmdir()
        else:
            path.unlink()
    train(CoinTask(), failures, model_settings, half, settings)
    ours, theirs = (folder / "model" / "model.safetensors" for folder in (half, tmp_path / "whole"))
    assert ours.read_bytes() == theirs.read_bytes()


def test_the_manifest_names_the_engine(
    vllm: str, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    train(CoinTask(), failures, model_settings, tmp_path / "t", dataclasses.replace(settings, steps=1))
    assert '"backend": "vllm"' in (tmp_path / "t" / "manifest.json").read_text()


def test_trls_own_vllm_cannot_be_requested(failures: Any, model_settings: Any, settings: Any, tmp_path: Path) -> None:
    for name, value in {"use_vllm": "true", "vllm_mode": "server"}.items():
        with pytest.raises(RrrError, match=f"'{name}': set it with --backend"):
            train(CoinTask(), failures, model_settings, tmp_path, dataclasses.replace(settings, grpo={name: value}))
