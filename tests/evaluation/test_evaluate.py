"""`evaluate`: what the model is asked, what is written, and what a second call does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import planted_world
import pytest
from planted_world import KILLED, PlantedModel, PlantedTask, run

from rrr_core.episode import Generation
from rrr_core.errors import DataError, RrrError, TooManyAbstentions, TooManyWithoutAnswer
from rrr_core.evaluation import EvalSettings, evaluate, figures, read_episodes
from rrr_core.evaluation.controls import CONTROL_KEYS
from rrr_core.generation.engine import Sampling
from rrr_core.progress import Progress


def results(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".jsonl"} | {
        "figures.json": (folder / "figures.json").read_bytes()
    }


def test_a_failed_row_gets_a_reflection_a_retry_and_each_control(tmp_path: Path) -> None:
    model = PlantedModel(first=0)
    run(tmp_path, model, rows=3, modes=("sampled",))
    first, reflection, retry, no_reflection, other, independent = [conversations for conversations, _ in model.requests]
    row = 1
    asked = {"role": "user", "content": "Row 1."}
    assert first[row] == [asked]
    assert reflection[row][0] == asked
    assert reflection[row][1]["role"] == "assistant"
    assert reflection[row][2] == {"role": "user", "content": "Reflect."}
    own = {"role": "assistant", "content": "A note on Row 1."}
    assert retry[row] == [*reflection[row], own, asked]
    assert no_reflection[row] == [*reflection[row][:2], asked]
    assert other[row][:3] == reflection[row]
    assert other[row][3]["content"] in {"A note on Row 0.", "A note on Row 2."}
    assert other[row][4] == asked
    assert independent[row] == [asked]


def test_only_failed_rows_get_a_second_try(tmp_path: Path) -> None:
    model = PlantedModel(first=0.5, doubtful=0.2)
    run(tmp_path, model, rows=60, modes=("greedy",), max_abstain=1.0)
    failed = [each for each in read_episodes(tmp_path, "greedy") if each.verdict.is_failed]
    assert {len(conversations) for conversations, _ in model.requests[1:]} == {len(failed)}
    assert 0 < len(failed) < 60
    for each in read_episodes(tmp_path, "greedy"):
        assert bool(each.rounds) == each.verdict.is_failed
        assert set(each.controls) == (
            {"no_reflection", "other_reflection", "independent"} if each.verdict.is_failed else set()
        )


def test_greedy_mode_uses_temperature_0_except_for_the_independent_sample(tmp_path: Path) -> None:
    model = PlantedModel()
    made = run(tmp_path, model, rows=10, temperature=0.7)
    temperatures = [sampling.temperature for _, sampling in model.requests]
    assert temperatures == [0, 0, 0, 0, 0, 0.7] + [0.7] * 6
    assert made.sampling["greedy"] == {"temperature": 0.0, "pass_at_2_temperature": 0.7}
    assert "second sample at temperature 0.7" in made.notes[0]


def test_every_stage_of_every_shard_and_mode_has_its_own_seed(tmp_path: Path) -> None:
    model = PlantedModel()
    run(tmp_path, model, rows=20, shard_rows=10)
    seeds = [sampling.seed for _, sampling in model.requests]
    assert len(set(seeds)) == len(seeds) == 2 * 2 * 6
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_leaving_a_control_out_changes_no_other_figure(tmp_path: Path) -> None:
    full = run(tmp_path / "full", PlantedModel(), rows=60, modes=("sampled",)).modes["sampled"]
    bare = run(tmp_path / "bare", PlantedModel(), rows=60, modes=("sampled",), controls=("independent",)).modes[
        "sampled"
    ]
    for name in ("first_try", "second_try", "pass_at_2"):
        assert bare.shares[name] == full.shares[name]
    assert bare.shares["no_reflection"] is None
    assert full.shares["no_reflection"] is not None


def test_an_empty_reflection_counts_as_written_and_is_retried(tmp_path: Path) -> None:
    made = run(tmp_path, PlantedModel(write_reflection=lambda prompt: ""), rows=40, modes=("greedy",)).modes["greedy"]
    retried = made.shares["second_try_of_failures"]
    assert retried is not None
    assert made.reflections["written"] == made.reflections["empty"] == retried.total > 0


def test_a_shards_only_failure_gets_no_other_reflection_control_and_is_counted(tmp_path: Path) -> None:
    made = run(tmp_path, PlantedModel(first=0), rows=3, shard_rows=2, modes=("greedy",)).modes["greedy"]
    assert made.left_out["other_reflection"] == 1
    borrowing = made.shares["other_reflection"]
    assert borrowing is not None
    assert borrowing.total == 2


def test_figures_json_is_computed_from_the_shards_alone(tmp_path: Path) -> None:
    made = run(tmp_path, PlantedModel(), rows=50, shard_rows=20)
    assert sorted(path.name for path in tmp_path.glob("*.jsonl")) == [
        f"{mode}-0000{shard}.jsonl" for mode in ("greedy", "sampled") for shard in range(3)
    ]
    for mode in ("greedy", "sampled"):
        assert figures(read_episodes(tmp_path, mode)) == made.modes[mode]
    written = json.loads((tmp_path / "figures.json").read_text())
    assert written == json.loads(json.dumps(made.to_json()))
    assert set(written) == {"label", "task", "model", "rows", "seed", "sampling", "notes", "modes"}
    assert (written["label"], written["task"], written["model"], written["rows"], written["seed"]) == (
        "m",
        "planted",
        {"name": "planted-model", "revision": "r1"},
        50,
        0,
    )


@pytest.mark.parametrize("request_number", [1, 9, 30])
def test_a_run_killed_at_any_request_resumes_to_the_bytes_of_an_uninterrupted_one(
    tmp_path: Path, request_number: int
) -> None:
    command = [sys.executable, planted_world.__file__, str(tmp_path / "killed"), str(request_number)]
    assert subprocess.run(command, check=False, timeout=60).returncode == -9
    assert not (tmp_path / "killed" / "figures.json").exists()
    resumed = PlantedModel()
    run(tmp_path / "killed", resumed, **KILLED)
    whole = PlantedModel()
    run(tmp_path / "whole", whole, **KILLED)
    assert results(tmp_path / "killed") == results(tmp_path / "whole")
    assert len(resumed.requests) == len(whole.requests) - request_number // 6 * 6


def test_a_finished_evaluation_asks_the_model_nothing(tmp_path: Path) -> None:
    run(tmp_path, PlantedModel(), rows=10)
    before, model = results(tmp_path), PlantedModel()
    run(tmp_path, model, rows=10)
    assert not model.requests
    assert results(tmp_path) == before


def test_a_missing_shard_makes_the_evaluation_unfinished_until_it_is_redone(tmp_path: Path) -> None:
    run(tmp_path, PlantedModel(), rows=20, shard_rows=10)
    before = results(tmp_path)
    (tmp_path / "sampled-00001.jsonl").unlink()

    def stop(request: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, PlantedModel(before_request=stop), rows=20, shard_rows=10)
    assert not (tmp_path / "figures.json").exists()
    run(tmp_path, PlantedModel(), rows=20, shard_rows=10)
    assert results(tmp_path) == before


def test_a_folder_of_other_settings_is_refused(tmp_path: Path) -> None:
    run(tmp_path, PlantedModel(), rows=10)
    with pytest.raises(RrrError, match=r"started with settings\.seed = 0, and this call has 1"):
        run(tmp_path, PlantedModel(), rows=10, seed=1)


def test_the_limit_on_abstentions_may_be_raised_to_resume(tmp_path: Path) -> None:
    with pytest.raises(TooManyAbstentions, match="rrr-planted 1.0"):
        run(tmp_path, PlantedModel(doubtful=0.2), rows=40, modes=("greedy",))
    made = run(tmp_path, PlantedModel(doubtful=0.2), rows=40, modes=("greedy",), max_abstain=1.0).modes["greedy"]
    assert sum(made.abstentions.values()) > 0


def test_too_many_abstentions_are_reported_again_by_the_call_that_resumes(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(TooManyAbstentions, match=r"withheld .* most often"):
            run(tmp_path, PlantedModel(doubtful=0.3), rows=12, modes=("greedy",), shard_rows=4)
        assert not (tmp_path / "figures.json").exists()


@pytest.mark.parametrize(
    "task",
    [PlantedTask(offset=1), PlantedTask(size=19), PlantedTask(size=10)],
    ids=["other", "shorter", "much shorter"],
)
def test_rows_that_changed_since_are_refused(tmp_path: Path, task: PlantedTask) -> None:
    run(tmp_path, PlantedModel(), PlantedTask(size=20), rows=30, shard_rows=10, modes=("greedy",))
    with pytest.raises(DataError, match="the data set has changed since"):
        run(tmp_path, PlantedModel(), task, rows=30, shard_rows=10, modes=("greedy",))


def test_a_corrupt_shard_is_named_with_its_line(tmp_path: Path) -> None:
    run(tmp_path, PlantedModel(), rows=10, modes=("greedy",))
    shard = tmp_path / "greedy-00000.jsonl"
    lines = shard.read_text().splitlines()
    shard.write_text("\n".join([*lines[:4], '{"row_index": 4}', *lines[5:]]) + "\n")
    with pytest.raises(DataError, match=r"greedy-00000\.jsonl:5: an episode's 'prompt' must be"):
        run(tmp_path, PlantedModel(), rows=10, modes=("greedy",))


def test_a_split_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'planted' has no rows"):
        run(tmp_path, PlantedModel(), PlantedTask(size=0))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"modes": ("greedyy",)}, "Did you mean 'greedy'"),
        ({"modes": ()}, "needs a mode"),
        ({"controls": ("independnt",)}, "EvalSettings.controls must be one of .* Did you mean 'independent'"),
        ({"controls": ("independent", "independent")}, "given twice"),
        ({"temperature": 0.0}, "EvalSettings.temperature must be at least 0.01"),
        ({"rows": 0}, "at least 1"),
    ],
)
def test_invalid_settings_are_refused_before_anything_is_written(
    tmp_path: Path, settings: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(RrrError, match=complaint):
        run(tmp_path / "new", PlantedModel(), **settings)
    assert not (tmp_path / "new").exists()


class Bar(Progress):
    """Records what is reported to it."""

    def __init__(self) -> None:
        self.total, self.done, self.lines = 0, 0, list[str]()

    @contextmanager
    def track(self, title: str, total: int, done: int = 0) -> Any:
        self.total += total

        def advance(count: int, note: str = "") -> None:
            assert count >= 0
            self.done += count

        yield advance

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.mark.parametrize("rounds", [1, 3])
@pytest.mark.parametrize("shard_rows", [3, 256])
@pytest.mark.parametrize("controls", [(), ("no_reflection",), ("no_reflection", "other_reflection", "independent")])
def test_the_bar_ends_full_on_every_path(
    tmp_path: Path, shard_rows: int, controls: tuple[str, ...], rounds: int
) -> None:
    settings = EvalSettings(rows=60, shard_rows=shard_rows, controls=controls, rounds=rounds, max_abstain=1.0)
    for _ in range(2):
        bar, model = Bar(), PlantedModel(first=0.7, own=0.5, doubtful=0.05)
        evaluate(PlantedTask(size=40), model, tmp_path, "m", settings, {}, bar)  # type: ignore[arg-type]
        assert bar.done == bar.total > 0
        assert bar.lines == ["The test split has 40 rows, fewer than the 60 asked for: all evaluated."]


def test_lengths_are_unknown_if_the_engine_counts_no_tokens(tmp_path: Path) -> None:
    made = run(tmp_path, PlantedModel(counts_tokens=False), rows=10, modes=("greedy",)).modes["greedy"]
    assert made.reflection_tokens is None


def test_hostile_text_survives_the_shards_unchanged(tmp_path: Path) -> None:
    hostile = '</script>\u2028\x00"\n{]'
    run(tmp_path, replace(PlantedModel(), write_reflection=lambda prompt: hostile + prompt), rows=10, modes=("greedy",))
    written = {one.reflection.text for each in read_episodes(tmp_path, "greedy") for one in each.rounds}
    assert written
    assert all(reflection.startswith(hostile) for reflection in written)


def test_evaluation_does_not_import_torch() -> None:
    program = "import sys, rrr_core.evaluation; sys.exit(bool({'torch', 'transformers', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0


class Silent(PlantedModel):
    """Has no answer to some requests."""

    def __init__(self, silent_at: Callable[[list[str]], bool], **chances: float) -> None:
        super().__init__(**chances)  # type: ignore[arg-type]
        self.silent_at = silent_at

    def _answer(self, conversation: Sequence[Mapping[str, str]], sampling: Sampling) -> Generation:
        if self.silent_at([message["content"] for message in conversation]):
            return Generation("", missing="content filter")
        return super()._answer(conversation, sampling)


def test_a_row_without_an_answer_is_set_aside_with_no_second_try(tmp_path: Path) -> None:
    model = Silent(lambda contents: contents == ["Row 3."], first=0.0)
    made = run(tmp_path, model, rows=8, modes=("greedy",), max_no_answer=1.0)
    third = list(read_episodes(tmp_path, "greedy"))[3]
    assert third.verdict.is_unanswered
    assert third.rounds == []
    assert made.modes["greedy"].no_answers["first_try"] == {"content filter": 1}


def test_after_a_missing_reflection_there_is_no_second_try_and_none_borrows_it(tmp_path: Path) -> None:
    def is_silent(contents: list[str]) -> bool:
        return contents[0] == "Row 3." and contents[-1] == "Reflect."

    made = run(tmp_path, Silent(is_silent, first=0.0), rows=8, modes=("greedy",), max_no_answer=1.0)
    episodes = list(read_episodes(tmp_path, "greedy"))
    (only,) = episodes[3].rounds
    assert only.retry is None
    assert only.verdict is not None
    assert only.verdict.is_unanswered
    assert set(episodes[3].controls) == {"no_reflection", "independent"}
    assert all(set(episode.controls) == set(CONTROL_KEYS) for episode in episodes if episode.row_index != 3)
    figures = made.modes["greedy"]
    assert figures.no_answers == {"second_try": {"content filter": 1}}
    assert figures.left_out["other_reflection"] == 1
    assert figures.reflections["written"] == 7
    assert figures.shares["second_try"].total == 7


def test_missing_reflections_count_towards_the_limit(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"rows": 8, "modes": ("greedy",), "controls": ("no_reflection",)}
    silent = Silent(lambda contents: contents[-1] == "Reflect.", first=0.0)
    for model in (silent, PlantedModel(first=0.0)):  # the second time from what was kept
        with pytest.raises(TooManyWithoutAnswer, match="no answer to 8 of 24 requests"):
            run(tmp_path, model, **settings)
    assert len(list(read_episodes(tmp_path, "greedy"))) == 8
