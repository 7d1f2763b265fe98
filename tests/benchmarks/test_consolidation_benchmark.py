"""The consolidation benchmark trains the arms that it names, and plain GRPO for as long as reflecting samples."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl", reason="needs rrr-core[train]")
pytestmark = pytest.mark.train

from rrr_core.training.options import grpo_config
from rrr_core.training.settings import TrainSettings


def options(folder: Path, *more: str) -> Namespace:
    from consolidation import parse

    return parse([str(folder), *more])


def trained(folder: Path, sampled: float, steps: int) -> None:
    """A finished training as far as the benchmark reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"step": step + 1, "sampled_tokens": sampled}) for step in range(steps)]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")


def test_every_arm_is_a_training_that_acts(tmp_path: Path) -> None:
    from consolidation import ARMS, settings_of

    chosen = options(tmp_path, "--distill-weight", "0.5", "--consolidate-share", "0.5")
    for arm in ARMS:
        settings = TrainSettings(**settings_of(chosen, arm))
        grpo_config(settings, tmp_path, "float32", None, 1)
    placebo = TrainSettings(**settings_of(chosen, "placebo"))
    assert (placebo.credit, placebo.consolidate, placebo.distill_weight) == ("placebo", "both", 0.5)
    assert TrainSettings(**settings_of(options(tmp_path), "both")) == TrainSettings(consolidate="both")


def played(folder: Path, per_step: dict[str, float]) -> list[tuple[str, int]]:
    """Label and steps of what plain GRPO at equal compute trains; a step samples `per_step` of its label."""
    from consolidation import Timed, at_equal_compute

    asked = []
    for label, _, changes in at_equal_compute(folder, None, {"credit": "attempt"}, Timed(folder, "attempt")):  # type: ignore[arg-type]
        steps = changes["steps"]
        trained(folder / label, per_step[label], steps)
        asked.append((label, steps))
    return asked


def test_plain_grpo_samples_as_much_as_the_reflections_arm(tmp_path: Path) -> None:
    trained(tmp_path / "reflection", 9000, 20)
    assert played(tmp_path, {"attempt-trial": 4500, "attempt": 4600}) == [("attempt-trial", 4), ("attempt", 40)]
    # Called again, it needs no trial.
    assert played(tmp_path, {"attempt": 4600}) == [("attempt", 40)]


def test_plain_grpo_is_trained_again_where_the_trial_misjudged_it(tmp_path: Path) -> None:
    trained(tmp_path / "reflection", 9000, 20)
    asked = played(tmp_path, {"attempt-trial": 4500, "attempt": 3000})
    assert asked == [("attempt-trial", 4), ("attempt", 40), ("attempt", 60)]
    assert json.loads((tmp_path / "attempt-steps.json").read_text()) == {"steps": 60}


def test_an_arm_is_timed_if_one_call_trains_it_whole(tmp_path: Path) -> None:
    from consolidation import Timed

    with Timed(tmp_path, "both"):
        (tmp_path / "both").mkdir()
    assert list(Timed(tmp_path, "both").noted()) == ["both"]
    (tmp_path / "reward").mkdir()
    with Timed(tmp_path, "reward"):
        pass
    assert list(Timed(tmp_path, "reward").noted()) == ["both"]


def test_plain_grpo_without_the_arm_it_is_measured_by_is_refused(tmp_path: Path, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        options(tmp_path, "--arms", "attempt", "reflection")
    assert "as long as the arm reflection" in capsys.readouterr().err


def test_the_tables_hold_figures_differences_and_costs(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    import consolidation

    from rrr_core.evaluation.figures import WAYS

    arms = ["reflection", "both"]
    first = {"vanilla": 0.2, "reflection": 0.2, "both": 0.5}
    second = {"vanilla": 0.4, "reflection": 0.7, "both": 0.68}
    for seed in (0, 1):
        folder = tmp_path / f"seed-{seed}"
        for label in first:
            shares = {"first_try": first[label], "second_try": second[label]}
            figures = {key: {"value": shares.get(key, 0.3)} for key in (way.key for way in WAYS)}
            (folder / "eval" / label).mkdir(parents=True)
            (folder / "eval" / label / "figures.json").write_text(
                json.dumps({"rows": 100, "modes": {"greedy": figures, "sampled": figures}})
            )
        for arm in arms:
            trained(folder / arm, 1000, 3)
        (folder / "processor-seconds.json").write_text(json.dumps({"both": 12.0}))
    monkeypatch.setattr(consolidation, "make", lambda *_: None)
    consolidation.main([str(tmp_path), "--seeds", "0", "1", "--arms", *arms])
    kept = json.loads((tmp_path / "consolidation.json").read_text())
    both = next(line for line in kept["figures"] if (line["mode"], line["model"]) == ("sampled", "both"))
    expected = {
        "first_try_gain": 30, "first_try_over_vanilla_second_try": 10, "second_try_over_reflection": -2, "gain": 28,
    }  # fmt: skip
    assert {name: round(both[name]["value"], 6) for name in expected} == expected
    assert [line["sampled_tokens"] for line in kept["costs"]] == [3000, 3000]
    assert [line["processor_seconds"] for line in kept["costs"]] == [None, 12]
    assert (tmp_path / "consolidation.md").read_text() == capsys.readouterr().out
