"""What training will need is checked without weights, before anything is mined."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from rrr_core.errors import ModelError, RrrError
from rrr_core.generation import ModelSettings
from rrr_core.generation.transformers_backend import load_from
from rrr_core.training.preflight import (
    COPIES,
    check_before_training,
    lora_config,
    size_of,
    trained_weights,
    without_weights,
)
from rrr_core.training.run import train
from rrr_core.training.settings import TrainSettings
from tests.training.conftest import CoinTask

pytestmark = pytest.mark.train


@pytest.fixture
def check(model_settings: ModelSettings, settings: TrainSettings, tmp_path: Path) -> Callable[..., list[str]]:
    """Checks changed settings; gives the notices."""

    def run(model: ModelSettings = model_settings, **changes: Any) -> list[str]:
        said: list[str] = []
        check_before_training(model, tmp_path / "run" / "train", dataclasses.replace(settings, **changes), said.append)
        return said

    return run


def test_sound_settings_pass_and_nothing_is_written(check: Any, tmp_path: Path) -> None:
    assert check() == []
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scheduler": "cosin"}, "Did you mean 'cosine'"),
        ({"batch_size": 20}, "--micro-batch-size"),
        ({"batch_size": 24, "group_size": 5}, "--batch-size|change one"),
        ({"save_every": 3, "grpo": {"num_iterations": "2"}}, "--save-every"),
        ({"report_to": ("tensorbord",)}, "tensorboard"),
        ({"report_to": ("neptune",)}, "--report-to neptune needs its package"),
        ({"grpo": {"epsilom": "0.1"}}, "Did you mean 'epsilon'"),
        ({"grpo": {"optim": "adamw_8bit"}}, "'optim' cannot be"),
        ({"grpo": {"router_aux_loss_coef": "0.1"}}, "no experts"),
        ({"lora_rank": 4, "lora_targets": ("q_prj",)}, "--lora-targets q_prj: .* Did you mean 'q_proj'"),
        (
            {"lora_rank": 4, "lora_targets": ("q_proj", "w_proj")},
            "--lora-targets w_proj: .* It has .*q_proj",
        ),
        ({"lora_rank": 4, "lora_targets": ("self_attn",)}, "cannot adapt a LlamaAttention: name modules in it"),
        ({"lora_rank": 4, "lora_targets": ("lm_head",)}, "the head cannot have an adapter"),
    ],
)
def test_what_training_would_refuse_is_refused_in_one_line(check: Any, changes: Any, said: str) -> None:
    with pytest.raises(RrrError, match=said) as caught:
        check(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("targets", [("q_prj",), ("q_proj", "w_proj"), ("lm_head",)])
def test_training_alone_refuses_a_lora_target_that_is_in_no_module_in_one_line(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path, targets: tuple[str, ...]
) -> None:
    with pytest.raises(RrrError, match=f"--lora-targets {targets[-1]}") as caught:
        train(
            CoinTask(),
            failures,
            model_settings,
            tmp_path / "t",
            dataclasses.replace(settings, lora_rank=4, lora_targets=targets),
        )
    assert "\n" not in str(caught.value)
    train(CoinTask(), failures, model_settings, tmp_path / "t", dataclasses.replace(settings, steps=2))


def test_an_adapter_and_a_model_that_is_not_there_are_refused(check: Any, model_settings: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is an adapter, and training starts from whole weights"):
        check(dataclasses.replace(model_settings, adapter="some/adapter"))
    with pytest.raises(ModelError, match="There is no model folder"):
        check(ModelSettings(model=str(tmp_path / "none")))


def test_a_model_that_cannot_share_prompts_is_a_notice(check: Any, tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bloom"
    shutil.copytree(tiny_model, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    size = json.loads((tiny_model / "config.json").read_text())["vocab_size"]
    config = {"model_type": "bloom", "vocab_size": size, "hidden_size": 32, "n_layer": 2, "n_head": 2}
    (folder / "config.json").write_text(json.dumps(config))
    (notice,) = check(ModelSettings(model=str(folder)))
    assert notice.startswith(
        "Training will compute each prompt once per reflection, since this model cannot share it: "
    )
    assert check(ModelSettings(model=str(folder)), shared_prompt=False) == []


def test_a_disk_without_room_for_the_checkpoints_is_refused_with_the_figures(
    check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rrr_core.training.preflight.shutil.disk_usage", lambda _: SimpleNamespace(free=100_000))
    with pytest.raises(RrrError, match=r"2 checkpoints and the trained model take about .* lower --keep-checkpoints"):
        check()
    check(lora_rank=1, lora_targets=("q_proj",))


@pytest.mark.parametrize("rank", [0, 4])
def test_the_room_that_is_asked_for_is_what_a_run_takes(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path, rank: int
) -> None:
    settings = dataclasses.replace(settings, lora_rank=rank, kl=0.0)
    train(CoinTask(), failures, model_settings, tmp_path / "t", settings)
    weights = 4 * trained_weights(settings, without_weights(model_settings)[0])
    (size,) = {path.stat().st_size for path in (tmp_path / "t" / "model").glob("*model.safetensors")}
    assert weights <= size < 1.2 * weights + 10_000
    tensors = (path for path in (tmp_path / "t" / "checkpoint-4").iterdir() if path.suffix in (".safetensors", ".pt"))
    checkpoint = sum(path.stat().st_size for path in tensors if path.name != "scheduler.pt")
    assert COPIES * weights <= checkpoint < 1.2 * COPIES * weights + 60_000
    assert size_of(tmp_path / "t" / "checkpoint-4") >= checkpoint


def test_lora_adapts_the_modules_that_were_counted(model_settings: ModelSettings) -> None:
    from peft import get_peft_model

    for targets in (("all-linear",), ("q_proj", "down_proj")):
        settings = TrainSettings(lora_rank=4, lora_targets=targets)
        adapted = get_peft_model(load_from(model_settings).network, lora_config(settings))
        counted = sum(each.numel() for each in adapted.parameters() if each.requires_grad)
        assert trained_weights(settings, without_weights(model_settings)[0]) == counted


def test_a_device_that_the_trainer_would_not_use_is_refused(check: Any, model_settings: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(
        "rrr_core.training.options.torch.accelerator.current_accelerator", lambda **_: torch.device("cuda")
    )
    with pytest.raises(RrrError, match="choose that with CUDA_VISIBLE_DEVICES"):
        check(dataclasses.replace(model_settings, device="cuda:1"))
    check(dataclasses.replace(model_settings, device="cpu"))
