"""`rrr run` runs each stage once, in order, in one folder that records its settings and progress."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rrr_core import pipeline
from rrr_core.errors import ModelError, RrrError
from rrr_core.evaluation import EvalSettings
from rrr_core.generation import ModelSettings
from rrr_core.mining import MineSettings
from rrr_core.pipeline import RunSettings, own_model_note, run, trained_model, with_date
from rrr_core.pipeline.settings import MAY_CHANGE
from rrr_core.profiling.spent import Spent
from rrr_core.progress import Progress
from rrr_core.runs.files import write_json
from rrr_core.runs.layout import PROFILE
from rrr_core.tasks import load_task
from rrr_core.tasks.settings import TaskSettings
from rrr_core.training.settings import TrainSettings
from rrr_core.verification import VerifySettings
from tests.conftest import FakeSite
from tests.fakes import ScriptedGenerator

STAGES = ["mine", "train", "eval vanilla", "eval trained", "compare", "report"]


class Lines(Progress):
    """Records the lines that are printed."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, line: str) -> None:
        self.said.append(line)


class Rooms:
    """Fakes of the rooms: each records its call and leaves its product."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.models: list[ModelSettings] = []
        self.breaks: dict[str, BaseException] = {}
        self.limits: list[float] = []
        self.checked: list[TrainSettings] = []
        training = ModuleType("rrr_core.training.run")
        training.train = self.train  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "rrr_core.training.run", training)
        preflight = ModuleType("rrr_core.training.preflight")
        preflight.check_before_training = self.check_before_training  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "rrr_core.training.preflight", preflight)
        monkeypatch.setattr("rrr_core.generation.make_engine", self.make_engine)
        monkeypatch.setattr("rrr_core.mining.mine", self.mine)
        monkeypatch.setattr("rrr_core.mining.failure_set.read_failures", lambda folder: [folder.name])
        monkeypatch.setattr("rrr_core.evaluation.evaluate", self.evaluate)
        monkeypatch.setattr("rrr_core.evaluation.compare", self.compare)
        monkeypatch.setattr("rrr_core.report.write_report", self.write_report)

    def called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.breaks:
            raise self.breaks.pop(name)

    def check_before_training(
        self, model: ModelSettings, folder: Path, settings: TrainSettings, say: Any, has_steps: bool
    ) -> None:
        self.checked.append(settings)
        if settings.scheduler == "cosin":
            raise RrrError("transformers has no schedule 'cosin': change --scheduler. See `rrr train --scheduler X`.")
        say("a notice")

    def make_engine(self, settings: ModelSettings) -> ScriptedGenerator:
        self.models.append(settings)
        return ScriptedGenerator(name=f"engine of {settings.model}")

    def mine(
        self,
        task: Any,
        engine: Any,
        folder: Path,
        settings: Any,
        data: Any,
        progress: Any,
        verify: VerifySettings,
        *_: Any,
    ) -> None:
        self.called("mine")
        self.limits.append(verify.seconds)
        assert engine.model.name == "engine of some/model"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "summary.json").write_text("{}")

    def train(
        self,
        task: Any,
        failures: Any,
        model: Any,
        folder: Path,
        settings: Any,
        progress: Any,
        verify: VerifySettings,
        *_: Any,
    ) -> None:
        self.called("train")
        self.limits.append(verify.seconds)
        assert failures == ["mine"]
        (folder / "model").mkdir(parents=True, exist_ok=True)
        (folder / "summary.json").write_text("{}")

    def evaluate(
        self,
        task: Any,
        engine: Any,
        folder: Path,
        label: str,
        settings: Any,
        data: Any,
        progress: Any,
        verify: VerifySettings,
        *_: Any,
    ) -> None:
        self.called(f"eval {label}")
        self.limits.append(verify.seconds)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "figures.json").write_text("{}")

    def compare(self, folders: Sequence[Path], out: Path) -> None:
        self.called("compare")
        out.write_text(json.dumps({"labels": [folder.name for folder in folders]}))

    def write_report(self, runs: Sequence[Path], out: Path, say: Any) -> None:
        self.called("report")
        out.write_text("page")


@pytest.fixture
def rooms(monkeypatch: pytest.MonkeyPatch) -> Rooms:
    return Rooms(monkeypatch)


@pytest.fixture
def settings() -> RunSettings:
    return RunSettings(
        TaskSettings(name="countdown"),
        ModelSettings(model="some/model"),
        MineSettings(),
        TrainSettings(),
        EvalSettings(),
    )


def record(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return content


def states(folder: Path) -> dict[str, str]:
    return {name: stage["state"] for name, stage in record(folder)["stages"].items()}


def test_a_run_runs_each_stage_once_in_order(rooms: Rooms, settings: RunSettings, tmp_path: Path) -> None:
    result = run(settings, tmp_path / "run")
    assert rooms.calls == STAGES
    assert result.comparison == {"labels": ["vanilla", "trained"]}
    assert result.report.read_text() == "page"
    assert states(tmp_path / "run") == dict.fromkeys(STAGES, "finished")


def test_a_run_reports_the_total_spent_by_its_stages(rooms: Rooms, settings: RunSettings, tmp_path: Path) -> None:
    run(settings, tmp_path)
    for stage, seconds in {"mine": 10.0, "train": 30.0, "eval/vanilla": 5.0, "eval/trained": 5.0}.items():
        write_json(tmp_path / stage / PROFILE, Spent(1, 2 * seconds, {"generate": seconds}).to_json())
    spent = run(settings, tmp_path).spent
    assert (spent.wall_seconds, spent.seconds["generate"], spent.other_seconds) == (100, 50, 50)


def test_loading_a_model_counts_in_a_runs_time(rooms: Rooms, settings: RunSettings, tmp_path: Path) -> None:
    run(settings, tmp_path)
    for stage in ("mine", "train", "eval/vanilla", "eval/trained"):
        write_json(tmp_path / stage / PROFILE, Spent(1, 1.0, {"generate": 1.0}).to_json())
    content = record(tmp_path)
    content["stages"]["mine"]["seconds"] = 16.0
    write_json(tmp_path / "run.json", content)
    assert run(settings, tmp_path).spent.describe() == "16 s: 75% waiting and other, 25% generating"


def test_a_run_started_before_there_were_profiles_reports_only_its_time(
    rooms: Rooms, settings: RunSettings, tmp_path: Path
) -> None:
    run(settings, tmp_path)
    write_json(tmp_path / "train" / PROFILE, Spent(1, 1.0, {"generate": 1.0}).to_json())
    assert ":" not in run(settings, tmp_path).spent.describe()


def test_the_record_identifies_the_run(rooms: Rooms, settings: RunSettings, tmp_path: Path) -> None:
    run(settings, tmp_path)
    content = record(tmp_path)
    assert content["kind"] == "run"
    assert content["identity"]["task"]["task"] == "countdown"
    assert content["identity"]["model"]["model"] == "some/model"
    assert content["identity"]["train"]["group_size"] == 8
    assert content["about"]["versions"]["rrr-core"]


def test_the_trained_model_is_evaluated_after_the_one_training_started_from(
    rooms: Rooms, settings: RunSettings, tmp_path: Path
) -> None:
    run(settings, tmp_path)
    assert [model.model for model in rooms.models] == [
        "some/model",
        "some/model",
        str(tmp_path / "train" / "model"),
    ]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("out of memory")])
@pytest.mark.parametrize("place", range(len(STAGES)))
def test_a_second_call_resumes_where_the_first_one_stopped(
    rooms: Rooms, settings: RunSettings, tmp_path: Path, place: int, error: BaseException
) -> None:
    rooms.breaks[STAGES[place]] = error
    with pytest.raises(type(error)):
        run(settings, tmp_path)
    assert states(tmp_path)[STAGES[place]] == ("failed" if isinstance(error, Exception) else "interrupted")
    rooms.calls.clear()
    lines = Lines()
    run(settings, tmp_path, lines)
    again = min(place, STAGES.index("compare"))  # What follows is made again by every call.
    assert rooms.calls == STAGES[again:]
    skipped = [line for line in lines.said if line.endswith(": finished earlier")]
    assert skipped == [f"{stage}: finished earlier" for stage in STAGES[:again]]


def test_a_finished_run_only_rewrites_its_comparison_and_its_report(
    rooms: Rooms, settings: RunSettings, tmp_path: Path
) -> None:
    run(settings, tmp_path)
    rooms.calls.clear()
    run(settings, tmp_path)
    assert rooms.calls == ["compare", "report"]


def test_a_stage_whose_product_is_missing_is_run_again(rooms: Rooms, settings: RunSettings, tmp_path: Path) -> None:
    run(settings, tmp_path)
    for product, again in {
        "mine/summary.json": ["mine"],
        "train/summary.json": ["train"],
        "eval/vanilla/figures.json": ["eval vanilla"],
        "eval/comparison.json": [],
    }.items():
        (tmp_path / product).unlink()
        rooms.calls.clear()
        run(settings, tmp_path)
        assert rooms.calls == [*again, "compare", "report"]


def test_other_settings_for_the_same_folder_are_refused_naming_the_first_difference(
    rooms: Rooms, settings: RunSettings, tmp_path: Path
) -> None:
    run(settings, tmp_path)
    before = (tmp_path / "run.json").read_bytes()
    other = dataclasses.replace(settings, train=TrainSettings(group_size=4, steps=7))
    with pytest.raises(RrrError, match=r"started with train\.steps = 1750, and this call has 7"):
        run(other, tmp_path)
    assert (tmp_path / "run.json").read_bytes() == before


def with_train(settings: RunSettings, **changes: Any) -> RunSettings:
    return dataclasses.replace(settings, train=dataclasses.replace(settings.train, **changes))


def test_what_training_would_refuse_is_refused_before_anything_is_mined_under_the_runs_own_names(
    rooms: Rooms, settings: RunSettings, tmp_path: Path
) -> None:
    with pytest.raises(RrrError, match=r"change --train-scheduler\. See `rrr train --scheduler X`\."):
        run(with_train(settings, scheduler="cosin"), tmp_path)
    assert rooms.calls == []
    run(settings, tmp_path)
    assert rooms.calls == STAGES


def test_a_scheduler_that_an_earlier_version_mined_with_is_corrected_and_the_run_goes_on(
    rooms: Rooms, settings: RunSettings, tmp_path: Path
) -> None:
    rooms.breaks["train"] = RrrError("transformers has no schedule 'linar'")
    with pytest.raises(RrrError, match="linar"):
        run(with_train(settings, scheduler="linar"), tmp_path)
    (tmp_path / "mine" / "shard-00000.jsonl").write_text("work\n")
    rooms.calls.clear()
    run(with_train(settings, scheduler="linear"), tmp_path)
    assert rooms.calls == STAGES[1:]
    assert record(tmp_path)["identity"]["train"]["scheduler"] == "linear"


def test_a_stage_that_has_results_keeps_its_settings(rooms: Rooms, settings: RunSettings, tmp_path: Path) -> None:
    rooms.breaks["train"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(settings, tmp_path)
    (tmp_path / "mine" / "shard-00000.jsonl").write_text("work\n")
    with pytest.raises(RrrError, match=r"mine\.tries = 64, and this call has 8"):
        run(dataclasses.replace(settings, mine=MineSettings(tries=8)), tmp_path)
    (tmp_path / "train").mkdir(exist_ok=True)
    (tmp_path / "train" / "metrics.jsonl").write_text("work\n")
    with pytest.raises(RrrError, match=r"train\.steps = 1750, and this call has 7"):
        run(with_train(settings, steps=7), tmp_path)
    run(dataclasses.replace(settings, eval=EvalSettings(rows=9)), tmp_path)
    assert record(tmp_path)["identity"]["eval"]["rows"] == 9


def test_training_is_not_checked_again_once_it_is_finished(rooms: Rooms, settings: RunSettings, tmp_path: Path) -> None:
    lines = Lines()
    run(settings, tmp_path, lines)
    run(settings, tmp_path)
    assert rooms.checked == [settings.train]
    assert "a notice" in lines.said


@pytest.mark.parametrize("stage", ["mine", "train", "eval"])
def test_a_stages_error_names_the_runs_own_options(
    rooms: Rooms, settings: RunSettings, tmp_path: Path, stage: str
) -> None:
    rooms.breaks["eval vanilla" if stage == "eval" else stage] = RrrError("raise --max-abstain, not --model")
    with pytest.raises(RrrError, match=rf"^raise --{stage}-max-abstain, not --model$"):
        run(settings, tmp_path)
    assert f"--{stage}-max-abstain" in json.dumps(record(tmp_path))


def test_settings_that_only_affect_speed_may_change(rooms: Rooms, settings: RunSettings, tmp_path: Path) -> None:
    run(settings, tmp_path)
    faster = dataclasses.replace(settings, model=dataclasses.replace(settings.model, concurrency=99))
    run(faster, tmp_path)
    patient = dataclasses.replace(faster, train=dataclasses.replace(faster.train, max_abstain=0.5))
    run(patient, tmp_path)


def test_limits_of_verifiers_reach_every_stage_and_may_change(
    rooms: Rooms, settings: RunSettings, tmp_path: Path
) -> None:
    run(settings, tmp_path)
    run(dataclasses.replace(settings, verify=VerifySettings(seconds=3)), tmp_path)
    run(dataclasses.replace(settings, verify=VerifySettings(seconds=3)), tmp_path / "other")
    assert rooms.limits == [10.0] * 4 + [3] * 4


def test_all_settings_that_may_change_exist() -> None:
    fields = {field.name for kind in (ModelSettings, MineSettings, TrainSettings) for field in dataclasses.fields(kind)}
    assert fields >= MAY_CHANGE


def test_a_folder_that_holds_something_else_under_the_records_name_is_refused(
    rooms: Rooms, settings: RunSettings, tmp_path: Path
) -> None:
    (tmp_path / "run.json").write_text('{"kind": "bicycle"}')
    with pytest.raises(
        RrrError, match=re.escape(f"{tmp_path / 'run.json'}:1: the record of a run's 'kind' must be 'run', found")
    ):
        run(settings, tmp_path)
    assert rooms.calls == []


def test_without_a_model_the_tasks_own_is_used(
    rooms: Rooms, settings: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rrr_core.tasks.Task.default_model", lambda self: "some/model")
    run(dataclasses.replace(settings, model=ModelSettings()), tmp_path)
    assert record(tmp_path)["identity"]["model"]["model"] == "some/model"


LONG = (
    "No --model was given: the small model that comes with 'countdown' is trained, for 1,750 steps."
    " `rrr demo countdown` is the short run made for it; --model names another."
)


@pytest.mark.parametrize(
    ("model", "steps", "said"),
    [
        ("", 1_750, LONG),
        ("", 20, ""),
        ("some/model", 1_750, ""),
    ],
)
def test_a_long_training_of_the_tasks_own_model_is_announced_once(
    rooms: Rooms,
    settings: RunSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    steps: int,
    said: str,
) -> None:
    monkeypatch.setattr("rrr_core.tasks.Task.default_model", lambda self: "some/model")
    lines = Lines()
    chosen = dataclasses.replace(settings, model=ModelSettings(model=model or None), train=TrainSettings(steps=steps))
    run(chosen, tmp_path, lines)
    assert [line for line in lines.said if "--model" in line] == [said] * bool(said)


def test_the_note_on_a_tasks_own_model_names_no_demo_where_there_is_none(site: FakeSite) -> None:
    site.install_task("sums")
    assert own_model_note([load_task("sums")], 20) == (
        "No --model was given: the model that comes with 'sums' is trained; --model names another."
    )


def test_without_any_model_the_user_is_asked_to_name_one(
    rooms: Rooms, settings: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rrr_core.tasks.Task.default_model", lambda self: None)
    with pytest.raises(ModelError, match="'countdown' has no model of its own: name one with --model"):
        run(dataclasses.replace(settings, model=ModelSettings()), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("change", [{"backend": "server"}, {"base_url": "http://127.0.0.1:1/v1"}])
def test_a_model_behind_a_server_is_refused_before_anything_is_mined(
    rooms: Rooms, settings: RunSettings, tmp_path: Path, change: Mapping[str, str]
) -> None:
    served = dataclasses.replace(settings, model=dataclasses.replace(settings.model, **change))
    with pytest.raises(ModelError, match="cannot be trained") as refused:
        run(served, tmp_path / "run")
    assert "without --backend" not in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_an_engine_without_adapters_is_refused_for_lora_before_anything_is_mined(
    rooms: Rooms, settings: RunSettings, tmp_path: Path, site: Any
) -> None:
    source = """
        from rrr_core.generation import EngineSpec
        ENGINE = EngineSpec(open="rrr_bare:open", beside="rrr_bare:open")
    """
    site.install("rrr-bare", modules={"rrr_bare": source}, engines={"bare": "rrr_bare:ENGINE"})
    bare = dataclasses.replace(settings, model=dataclasses.replace(settings.model, backend="bare"))
    lora = dataclasses.replace(bare, train=dataclasses.replace(settings.train, lora_rank=4))
    with pytest.raises(ModelError, match="bare backend .* takes no adapter, but LoRA training produces one"):
        run(lora, tmp_path / "lora")
    assert not (tmp_path / "lora").exists()
    run(bare, tmp_path / "whole")


def test_lora_weights_are_an_adapter_for_the_model_they_were_trained_on(settings: RunSettings, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "adapter_config.json").write_text("{}")
    model = trained_model(dataclasses.replace(settings.model, revision="abc"), tmp_path)
    assert (model.model, model.revision, model.adapter) == ("some/model", "abc", str(tmp_path / "model"))


def test_full_weights_replace_the_model(settings: RunSettings, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    model = trained_model(dataclasses.replace(settings.model, revision="abc"), tmp_path)
    assert (model.model, model.revision, model.adapter) == (str(tmp_path / "model"), None, None)


def test_the_notice_of_an_engine_is_printed_when_it_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    progress = Lines()

    class Slow(ScriptedGenerator):
        notice = "slow here"

    for engine in (Slow(), ScriptedGenerator()):
        monkeypatch.setattr("rrr_core.generation.make_engine", lambda settings, engine=engine: engine)
        assert pipeline.open_engine(ModelSettings(model="m"), progress) is engine
    assert progress.said == ["Loading m", "slow here", "Loading m"]


def test_a_runs_first_stage_dates_the_chat_template_for_all(tmp_path: Path) -> None:
    settings = ModelSettings(model="m")
    assert with_date(settings, tmp_path) == settings
    identity = {"model": {"name": "m", "template_date": "2026-11-28"}}
    write_json(tmp_path / "mine" / "manifest.json", {"kind": "mine", "identity": identity})
    assert with_date(settings, tmp_path).template_date == "2026-11-28"
    assert with_date(ModelSettings(model="m", template_date="2027-01-01"), tmp_path).template_date == "2027-01-01"


def test_rewards_that_a_task_does_not_give_are_refused_before_anything_is_mined(
    rooms: Rooms, settings: RunSettings, tmp_path: Path
) -> None:
    asked = dataclasses.replace(settings, train=dataclasses.replace(settings.train, reward="task"))
    with pytest.raises(
        RrrError, match="--train-reward task: the task 'countdown' gives no rewards.* --train-reward verdict"
    ):
        run(asked, tmp_path / "run")
    assert not (tmp_path / "run" / "mine").exists()
