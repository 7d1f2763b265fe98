"""What `from_reward` gives a function is what TRL's own trainer gives it, text by text and for messages."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rrr_core.rewards import SHAPES
from rrr_core.rewards.shapes import _messages

pytest.importorskip("trl", reason="TRL comes with rrr-core[train]")
pytestmark = pytest.mark.train

ROWS = {
    "text": {"prompt": "2 + 3?", "answer": "5", "level": 1},
    "messages": {"prompt": [{"role": "user", "content": "2 + 3?"}], "answer": "5", "level": 1},
}


def given_by_trl(monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], completion: object) -> dict[str, Any]:
    """What GRPOTrainer calls a reward function with, on a batch of one."""
    from trl.trainer import grpo_trainer

    seen: dict[str, Any] = {}

    def reward(**arguments: Any) -> list[float]:
        seen.update(arguments)
        return [1.0]

    trainer = SimpleNamespace(
        accelerator=SimpleNamespace(device="cpu", is_main_process=False),
        reward_funcs=[reward],
        reward_processing_classes=[None],
        reward_func_names=["reward"],
        state=SimpleNamespace(global_step=0),
        args=SimpleNamespace(report_to=[]),
        environments=None,
        _log_completion_extra=print,
        _log_metric=print,
    )
    monkeypatch.setattr(grpo_trainer, "gather", lambda rewards: rewards)
    grpo_trainer.GRPOTrainer._calculate_rewards(trainer, [row], [row["prompt"]], [completion], [[7]])
    return seen


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_the_arguments_are_those_of_trl_but_for_what_a_verdict_does_not_know(monkeypatch, row) -> None:
    completion = "5" if isinstance(row["prompt"], str) else _messages("5")
    trl = given_by_trl(monkeypatch, row, completion)
    ours = SHAPES["trl"].arguments(row, "5")
    unknown = set(trl) - set(ours)
    assert unknown == set(SHAPES["trl"].lacking) - {"environments"}
    logs = {"log_extra", "log_metric"}
    assert {key: value for key, value in ours.items() if key not in logs} == {
        key: value for key, value in trl.items() if key not in unknown | logs
    }
