"""Our settings and the fields of TRL's configuration: what does not fit is one clear error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from trl import GRPOConfig

from rrr_core.errors import RrrError
from rrr_core.training.options import grpo_config, parse_fields
from rrr_core.training.settings import TrainSettings

pytestmark = pytest.mark.train


def config(folder: Path, **changes: Any) -> GRPOConfig:
    return grpo_config(TrainSettings(**changes), folder, "float32", None, 1)


def test_the_defaults_are_the_papers(tmp_path: Path) -> None:
    made = config(tmp_path)
    assert made.learning_rate == 5e-7
    assert made.lr_scheduler_type == "cosine"
    assert made.warmup_steps == round(0.03 * 1750)
    assert made.beta == 0.001
    assert made.generation_batch_size == 256
    assert made.num_generations == 8
    assert made.temperature == 0.9
    assert made.max_steps == 1750


def test_a_field_without_an_option_of_its_own_reaches_trl(tmp_path: Path) -> None:
    made = config(tmp_path, grpo={"weight_decay": "0.3", "loss_type": "dr_grpo", "max_grad_norm": 1})
    assert (made.weight_decay, made.loss_type, made.max_grad_norm) == (0.3, "dr_grpo", 1.0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"epsilom": "0.3"}, "epsilon"),
        ({"epsilon": "wide"}, "takes float"),
        ({"num_iterations": "1.5"}, "takes int"),
        ({"bf16": "maybe"}, "bf16"),
        ({"beta": "0.1"}, "--kl"),
        ({"trust_remote_code": "true"}, "never run"),
    ],
)
def test_a_wrong_field_is_one_clear_line(given: dict[str, str], said: str) -> None:
    with pytest.raises(RrrError, match=said) as raised:
        parse_fields(given)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batch_size": 250}, "micro-batch"),
        ({"batch_size": 16, "group_size": 5, "micro_batch_size": 8}, "group size"),
        ({"scheduler": "cosin"}, "cosine"),
        ({"grpo": {"loss_type": "grpoo"}}, "loss"),
        ({"report_to": ("tensorbord",)}, "tensorboard"),
        ({"report_to": ("neptune",)}, "pip install neptune"),
        ({"save_every": 3, "grpo": {"num_iterations": "2"}}, "--save-every"),
    ],
)
def test_options_that_do_not_fit_are_one_clear_line(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(RrrError, match=said) as raised:
        config(tmp_path, **changes)
    assert "\n" not in str(raised.value)


class TestTokenLimits:
    @pytest.mark.parametrize(
        ("given", "field", "texts"),
        [
            ({"credit": "attempt"}, "max_reflection_tokens", "reflections"),
            ({"credit": "attempt"}, "max_retry_tokens", "retries"),
            ({}, "max_attempt_tokens", "attempts"),
            ({"credit": "all", "consolidate": "distill"}, "max_attempt_tokens", "attempts"),
        ],
    )
    def test_of_texts_that_are_never_sampled_are_refused(self, given: dict[str, Any], field: str, texts: str) -> None:
        settings = TrainSettings(**given, **{field: 99})
        with pytest.raises(
            RrrError, match=f"^--{field.replace('_', '-')} limits {texts}, and --credit .* samples none"
        ):
            settings.check_given({field})

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({}, "max_reflection_tokens"),
            ({"credit": "placebo"}, "max_retry_tokens"),
            ({"credit": "attempt"}, "max_attempt_tokens"),
            ({"refresh_every": 2}, "max_attempt_tokens"),
            ({"on_policy_attempts": True}, "max_attempt_tokens"),
            ({"consolidate": "reward"}, "max_attempt_tokens"),
        ],
    )
    def test_of_texts_that_are_sampled_are_taken(self, given: dict[str, Any], field: str) -> None:
        TrainSettings(**given, **{field: 99}).check_given({field})
