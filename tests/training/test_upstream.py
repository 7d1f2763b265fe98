"""Patches of other libraries do their job, and no more."""

from __future__ import annotations

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
