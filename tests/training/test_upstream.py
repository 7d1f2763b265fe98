"""Patches of other libraries do their job, and no more."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import accelerate.utils.environment

from rrr_core.training.run import train
from rrr_core.training.upstream import empty_environment
from tests.training.conftest import CoinTask

pytestmark = pytest.mark.train


def test_making_a_trainer_leaves_the_processs_environment_alone(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    removed: list[bytes] = []
    watching = True

    def watch(event: str, arguments: Any) -> None:
        if watching and event == "os.unsetenv":
            removed.append(arguments[0])

    sys.addaudithook(watch)
    train(CoinTask(), failures, model_settings, tmp_path / "t", settings)
    watching = False
    assert b"PATH" not in removed
    assert b"HOME" not in removed


def test_accelerate_still_calls_the_function_that_is_patched() -> None:
    assert callable(accelerate.utils.environment.clear_environment)


def test_the_environment_looks_empty_and_comes_back_after_an_error() -> None:
    before = dict(os.environ)
    with pytest.raises(KeyError), empty_environment():
        os.environ["PATH"]
    assert dict(os.environ) == before


def test_trl_still_calls_the_functions_that_are_patched() -> None:
    import inspect

    import trl.trainer.utils
    from trl import GRPOTrainer

    assert "self.ref_model = prepare_fsdp(self.ref_model, self.accelerator)" in inspect.getsource(GRPOTrainer.__init__)
    assert "maybe_gather_lm_head_ctx(weight, bias)" in inspect.getsource(trl.trainer.utils.add_fused_lm_head)


def test_a_heads_weight_that_is_not_sharded_is_not_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from rrr_core.training import upstream

    gathered: list[Any] = []

    def gather(*weights: Any) -> Any:
        gathered.extend(weights)
        return contextlib.nullcontext()

    monkeypatch.setattr(upstream, "GATHER_HEAD", gather)
    whole = torch.nn.Parameter(torch.zeros(2))
    with upstream.gathered_head(whole, None):
        assert gathered == []
    whole.ds_status = "not available"  # type: ignore[attr-defined]
    with upstream.gathered_head(whole, None):
        assert len(gathered) == 2
