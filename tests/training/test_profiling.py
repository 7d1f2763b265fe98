"""A training run's profile: every kind of work, every computed token, and no result that depends on it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from rrr_core.generation import transformers_engine
from rrr_core.profiling.profile import Profile, read_profile
from rrr_core.profiling.spent import Spent
from rrr_core.training import profiling
from rrr_core.training import run as run_module
from rrr_core.training.profiling import Laps
from rrr_core.training.run import train
from rrr_core.training.trainer import ReflectionTrainer
from tests.training.conftest import CoinTask
from tests.training.test_resume import StopAfter, weights

pytestmark = pytest.mark.train


def spent_in(folder: Path) -> Spent:
    spent = read_profile(folder)
    assert spent is not None
    return spent


def test_each_kind_of_work_has_its_seconds(failures: Any, model_settings: Any, settings: Any, tmp_path: Path) -> None:
    train(CoinTask(), failures, model_settings, tmp_path / "t", settings)
    spent = spent_in(tmp_path / "t")
    assert set(spent.seconds) == {"generate", "judge", "forward_backward", "optimiser", "sync", "save"}
    assert all(seconds > 0 for seconds in spent.seconds.values())
    assert 0 < spent.other_seconds < spent.wall_seconds
    assert spent.verdicts > 0
    assert spent.tokens["written"] > 0
    assert spent.machine is not None
    assert spent.machine.device == "cpu"


@pytest.mark.parametrize("shared", [True, False])
def test_tokens_are_counted_that_a_forward_pass_computes(
    shared: bool, failures: Any, model_settings: Any, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = {True: 0, False: 0}
    forward = torch.nn.functional.embedding
    playing = []

    def embedding(ids: Any, *arguments: Any, **keywords: Any) -> Any:
        if not playing:
            computed[torch.is_grad_enabled()] += ids.numel()
        return forward(ids, *arguments, **keywords)

    play = ReflectionTrainer.play_batch

    def played(self: Any, *arguments: Any) -> Any:
        playing.append(True)
        try:
            return play(self, *arguments)
        finally:
            playing.pop()

    def apart(function: Any) -> Any:
        """The same, with what it computes not counted: trials."""

        def tried(*arguments: Any) -> Any:
            playing.append(True)
            try:
                return function(*arguments)
            finally:
                playing.pop()

        return tried

    monkeypatch.setattr(torch.nn.functional, "embedding", embedding)
    monkeypatch.setattr(ReflectionTrainer, "play_batch", played)
    monkeypatch.setattr(ReflectionTrainer, "_can_share", apart(ReflectionTrainer._can_share))
    monkeypatch.setattr(transformers_engine, "can_decode", apart(transformers_engine.can_decode))
    monkeypatch.setattr(run_module, "check_pass", apart(run_module.check_pass))
    train(
        CoinTask(),
        failures,
        model_settings,
        tmp_path / "t",
        dataclasses.replace(settings, shared_prompt=shared, steps=2),
    )
    spent = spent_in(tmp_path / "t")
    assert (spent.tokens["trained"], spent.tokens["scored"]) == (computed[True], computed[False])
    assert computed[True] > 0 < computed[False]


def test_under_lora_few_parameters_get_a_gradient(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    lora = dataclasses.replace(settings, lora_rank=2, steps=2)
    train(CoinTask(), failures, model_settings, tmp_path / "t", lora)
    spent = spent_in(tmp_path / "t")
    assert spent.machine is not None
    assert 0 < spent.machine.trainable < spent.machine.parameters / 4
    assert spent.tokens["trained"] > 0


def test_a_profile_changes_no_weight(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(CoinTask(), failures, model_settings, tmp_path / "with", settings)
    monkeypatch.setattr(run_module, "measured", lambda engine, profile: engine)
    monkeypatch.setattr(run_module, "count_tokens", lambda *_: None)
    monkeypatch.setattr(profiling.MeasureSteps, "on_step_begin", lambda *_, **__: None)
    train(CoinTask(), failures, model_settings, tmp_path / "without", settings)
    assert weights(tmp_path / "with") == weights(tmp_path / "without")
    assert (tmp_path / "with" / "episodes.jsonl").read_bytes() == (tmp_path / "without" / "episodes.jsonl").read_bytes()
    assert "trained" not in spent_in(tmp_path / "without").tokens


def test_an_interrupted_runs_profile_covers_both_calls(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(CoinTask(), failures, model_settings, tmp_path / "t", settings, StopAfter(3))
    first = spent_in(tmp_path / "t")
    train(CoinTask(), failures, model_settings, tmp_path / "t", settings)
    both = spent_in(tmp_path / "t")
    assert (first.calls, both.calls) == (1, 2)
    assert both.seconds["generate"] > first.seconds["generate"]
    assert both.wall_seconds > first.wall_seconds


def test_a_finished_run_asked_for_again_adds_nothing(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    train(CoinTask(), failures, model_settings, tmp_path / "t", settings)
    before = (tmp_path / "t" / "profile.json").read_bytes()
    train(CoinTask(), failures, model_settings, tmp_path / "t", settings)
    assert (tmp_path / "t" / "profile.json").read_bytes() == before


def test_each_line_of_metrics_has_the_seconds_of_its_steps(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    train(CoinTask(), failures, model_settings, tmp_path / "t", dataclasses.replace(settings, log_every=2))
    lines = [json.loads(line) for line in (tmp_path / "t" / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == 2
    spent = spent_in(tmp_path / "t")
    logged = [2 * sum(line[name] for line in lines) for name in ("generate_seconds", "judge_seconds", "train_seconds")]
    training = spent.seconds["forward_backward"] + spent.seconds["optimiser"]
    assert logged == pytest.approx([spent.seconds["generate"], spent.seconds["judge"], training], abs=0.002)
    assert all(line["written_tokens_per_second"] > 0 < line["trained_tokens_per_second"] for line in lines)


def test_a_lap_is_what_was_counted_since_the_last_one() -> None:
    clock = iter(range(0, 10_000, 10))
    profile = Profile(clock=lambda: float(next(clock)))
    laps = Laps(profile)
    for steps in (1, 3):
        with profile.during("generate"):
            profile.count(written=30 * steps)
    first = laps.metrics(4)
    assert first["generate_seconds"] == 20 / 4
    assert first["written_tokens_per_second"] == 120 / 20
    assert "trained_tokens_per_second" not in first
    assert laps.metrics(5)["generate_seconds"] == 0
