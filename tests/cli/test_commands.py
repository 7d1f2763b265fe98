"""Each command reads settings, calls its room with the right folder, and prints the result."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from rrr_core import cli
from rrr_core.cli.eval import label_of
from rrr_core.generation import ModelSettings
from rrr_core.profiling.spent import Spent
from rrr_core.runs.layout import RunFolder
from tests.conftest import FakeSite
from tests.fakes import ScriptedGenerator

FIGURE = {"value": 0.5, "low": 0.4, "high": 0.6, "passed": 1, "total": 2}


@pytest.fixture
def rrr(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs one command line in an empty folder; returns exit code and stdout."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        code = cli.run_command(arguments)
        captured = capsys.readouterr()
        return code, captured.out if code == 0 else captured.err

    return run


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path]]:
    """Replaces the evaluation; lists the engine and the folder of each call."""
    calls: list[tuple[str, Path]] = []

    def evaluate(task: Any, engine: Any, folder: Path, label: str, settings: Any, *_: Any) -> None:
        calls.append((engine.model.name, folder))
        assert folder.name == label
        folder.mkdir(parents=True)
        figures = {"label": label, "rows": settings.rows, "modes": {"greedy": {"first_try": FIGURE}}}
        (folder / "figures.json").write_text(json.dumps(figures))

    def compare(folders: Sequence[Path], out: Path) -> dict[str, Any]:
        figures = {folder.name: json.loads((folder / "figures.json").read_text()) for folder in folders}
        return {"labels": list(figures), "figures": figures, "pairs": []}

    def make_engine(settings: ModelSettings) -> ScriptedGenerator:
        return ScriptedGenerator(name=f"{settings.model} by {settings.backend}")

    monkeypatch.setattr("rrr_core.evaluation.evaluate", evaluate)
    monkeypatch.setattr("rrr_core.evaluation.compare", compare)
    monkeypatch.setattr("rrr_core.generation.make_engine", make_engine)
    return calls


def test_mine_writes_into_the_tasks_run_folder(rrr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def mine(
        task: Any, engine: Any, folder: Path, settings: Any, data: Any, progress: Any, verify: Any, executor: Any
    ) -> Any:
        assert (task.name, engine.model.name, folder, settings.tries, data) == (
            "countdown",
            "x",
            Path("runs/countdown/mine"),
            3,
            {"numbers": "3"},
        )
        return SimpleNamespace(describe=lambda: "7 failures")

    monkeypatch.setattr("rrr_core.mining.mine", mine)
    monkeypatch.setattr("rrr_core.generation.make_engine", lambda settings: ScriptedGenerator(name=settings.model))
    outcome = rrr("mine", "countdown", "--model", "x", "--tries", "3", "--data", "numbers=3")
    assert outcome == (0, "runs/countdown/mine: 7 failures\n")


def test_train_starts_from_the_run_folders_failures_and_leaves_its_processes_after_it(
    rrr: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def train(
        task: Any, failures: Any, model: Any, folder: Path, settings: Any, progress: Any, verify: Any, executor: Any
    ) -> Any:
        assert (failures, model.model, folder) == ("those of r/mine", "x", Path("r/train"))
        assert settings.grpo == {"beta2": "0.9"}
        calls.append("train")
        return SimpleNamespace(model="r/train/model", steps=settings.steps, failures=5)

    room = ModuleType("rrr_core.training.run")
    room.train = train  # type: ignore[attr-defined]
    room.leave_processes = lambda: calls.append("leave")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rrr_core.training.run", room)
    monkeypatch.setattr("rrr_core.mining.failure_set.read_failures", lambda folder: f"those of {folder}")
    outcome = rrr("train", "countdown", "--model", "x", "--folder", "r", "--steps", "2", "--grpo", "beta2=0.9")
    assert outcome == (0, "r/train/model: trained for 2 steps on 5 failures\n")
    assert calls == ["train", "leave"]


def test_train_announces_a_long_training_of_the_tasks_own_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    room = ModuleType("rrr_core.training.run")
    room.train = lambda *_: SimpleNamespace(model="m", steps=1, failures=5)  # type: ignore[attr-defined]
    room.leave_processes = lambda: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rrr_core.training.run", room)
    monkeypatch.setattr("rrr_core.mining.failure_set.read_failures", lambda folder: [])
    assert cli.run_command(["train", "countdown", "--folder", str(tmp_path)]) == 0
    assert capsys.readouterr().err.count("the small model that comes with 'countdown' is trained, for 1,750 steps") == 1


def test_train_without_a_failure_set_says_so_before_torch_is_loaded(rrr: Any) -> None:
    code, text = rrr("train", "countdown", "--model", "x", "--folder", "nowhere")
    assert code == 2
    assert text == (
        "rrr: nowhere/mine holds no failure set: run `rrr mine countdown --model x --folder nowhere` first, or name one"
        " with --failures.\n"
    )
    code, text = rrr("train", "countdown", "--model", "x", "--failures", "elsewhere")
    assert (code, text) == (2, "rrr: elsewhere: no such file.\n")


def test_eval_prints_the_figures_of_one_model(rrr: Any, evaluated: list[tuple[str, Path]]) -> None:
    code, text = rrr("eval", "countdown", "--model", "org/Some-Model", "--rows", "50")
    assert code == 0
    assert evaluated == [("org/Some-Model by auto", Path("runs/countdown/eval/Some-Model"))]
    assert "greedy, 50 rows" in text
    assert "50.0 (40.0-60.0)" in text


def test_eval_compares_with_finished_evaluations_and_with_further_models(
    rrr: Any, evaluated: list[tuple[str, Path]], tmp_path: Path
) -> None:
    assert rrr("eval", "countdown", "--model", "m", "--folder", "old", "--label", "big")[0] == 0
    arguments = ["--model", "a", "--compare", "old/eval/big", "--compare", "org/b", "--backend", "transformers"]
    code, text = rrr("eval", "countdown", "--folder", "new", *arguments)
    assert code == 0, text
    assert evaluated[1:] == [
        ("org/b by transformers", Path("new/eval/b")),
        ("a by transformers", Path("new/eval/a")),
    ]
    headings = next(line for line in text.splitlines() if "big" in line)
    # The requested model comes last: a difference is its figure minus another's.
    assert re.findall(r"\w+", headings) == ["big", "b", "a"]


def test_eval_compares_with_a_label_of_the_same_run_folder_without_loading_a_model(
    rrr: Any, evaluated: list[tuple[str, Path]]
) -> None:
    assert rrr("eval", "countdown", "--model", "m", "--folder", "run", "--label", "vanilla")[0] == 0
    code, text = rrr("eval", "countdown", "--folder", "run", "--model", "a", "--compare", "vanilla")
    assert code == 0, text
    assert evaluated[1:] == [("a by auto", Path("run/eval/a"))]
    assert "vanilla" in text


def test_two_models_that_would_share_a_label_are_refused_before_the_work(
    rrr: Any, evaluated: list[tuple[str, Path]]
) -> None:
    code, text = rrr("eval", "countdown", "--model", "one/m", "--compare", "two/m")
    assert (code, text) == (2, "rrr: --compare two/m: two models would be called 'm': set --label.\n")
    assert evaluated == []


def test_an_unknown_decider_is_refused_before_any_model_is_loaded(
    rrr: Any, evaluated: list[tuple[str, Path]], site: FakeSite
) -> None:
    site.install_task("sums")
    code, shown = rrr("eval", "sums", "--model", "m", "--decide", "modle")
    assert (code, shown.count("\n")) == (2, 1)
    assert "--decide modle: there is no such decider. Did you mean 'model'?" in shown
    code, shown = rrr("run", "sums", "--model", "m", "--eval-decide", "noisyy")
    assert (code, shown.count("\n")) == (2, 1)
    assert "--eval-decide noisyy: there is no such decider. Did you mean 'noisy'?" in shown
    Path("wrong.toml").write_text('[eval]\ndecide = ["agreement:need=3"]\n')
    code, shown = rrr("eval", "sums", "--model", "m", "--config", "wrong.toml")
    assert (code, shown.count("\n")) == (2, 1)
    assert "agreement, option need: must be at most 1, not 3" in shown
    code, shown = rrr("eval", "sums", "--model", "m", "--known-false-pass", "0.5", "--known-false-fail", "0.5")
    assert (code, shown.count("\n")) == (2, 1)
    assert "must stay below 1" in shown
    assert evaluated == []


def test_a_label_is_safe_as_a_folders_name() -> None:
    run = RunFolder(Path("runs/x"))
    names = [None, "runs/x/train/model", "org/Model-7B", "../..", "a b/c d", "/"]
    assert [label_of(name, run) for name in names] == [
        "vanilla",
        "trained",
        "Model-7B",
        "model",
        "c-d",
        "model",
    ]


def test_report_names_the_page_it_wrote(rrr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[list[Path], Path, str]] = []

    def write(runs: Sequence[Path], out: Path, say: object, form: str) -> None:
        written.append((list(runs), out, form))

    monkeypatch.setattr("rrr_core.report.write_report", write)
    assert rrr("report", "a") == (0, "a/report.html\n")
    assert rrr("report", "a", "b") == (0, "report.html\n")
    assert rrr("report", "a", "--out", "x.html") == (0, "x.html\n")
    assert rrr("report", "a", "--format", "csv") == (0, "a/report.csv\n")
    assert written == [
        ([Path("a")], Path("a/report.html"), "html"),
        ([Path("a"), Path("b")], Path("report.html"), "html"),
        ([Path("a")], Path("x.html"), "html"),
        ([Path("a")], Path("a/report.csv"), "csv"),
    ]


def test_warmup_learns_the_tasks_worked_conversations(rrr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[list[str], int, Sequence[str]]] = []

    def warm_up(tasks: Any, folder: Path, settings: Any, model: str | None, progress: Any) -> Path:
        asked.append(([task.name for task in tasks], settings.conversations, settings.tags))
        assert (settings.layers, model) == (2, None)
        return folder / "model"

    room = ModuleType("rrr_core.training.warmup")
    room.warm_up = warm_up  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rrr_core.training.warmup", room)
    few = ("--conversations", "3", "--layers", "2")
    assert rrr("warmup", "countdown", *few) == (0, "runs/countdown/warmup/model\n")
    assert rrr("warmup", "countdown", "apigen", *few) == (0, "runs/countdown,apigen/warmup/model\n")
    calls = ("[{", "}}]")
    assert [(names, count, [tag for tag in tags if tag.startswith(calls)]) for names, count, tags in asked] == [
        (["countdown"], 3, []),
        (["countdown", "apigen"], 3, ['[{"name": "', "}}]"]),
    ]


@pytest.mark.parametrize(
    ("arguments", "folder", "name"),
    [
        (["run", "countdown", "--mine-tries", "5"], "runs/countdown", "countdown"),
        (["run", "countdown", "--mine-tries", "5", "--folder", "here"], "here", "countdown"),
        (["demo", "--mine-tries", "5"], "runs/demo", "countdown"),
    ],
)
def test_run_and_demo_print_the_table_the_time_and_the_reports_path(
    rrr: Any, monkeypatch: pytest.MonkeyPatch, arguments: list[str], folder: str, name: str
) -> None:
    def run(settings: Any, target: Path, progress: Any, executor: Any) -> Any:
        assert (settings.task.name, settings.mine.tries, target) == (name, 5, Path(folder))
        figures = {"rows": 9, "modes": {"greedy": {"first_try": FIGURE}}}
        return SimpleNamespace(
            comparisons={"countdown": {"figures": {"vanilla": figures, "trained": figures}, "pairs": []}},
            report=target / "report.html",
            spent=Spent(1, 130.0, {"generate": 104.0, "judge": 26.0}),
        )

    monkeypatch.setattr("rrr_core.pipeline.run", run)
    code, text = rrr(*arguments)
    assert code == 0
    assert "vanilla" in text
    assert "trained" in text
    assert text.endswith(f"time: 2 min 10 s: 80% generating, 20% judging\nreport: {folder}/report.html\n")


def test_one_file_sets_the_task_the_model_and_every_stage(
    rrr: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[Any] = []

    def run(settings: Any, target: Path, progress: Any, executor: Any) -> Any:
        seen.append(settings)
        return SimpleNamespace(comparisons={"countdown": {"figures": {}, "pairs": []}}, report=target, spent=Spent())

    monkeypatch.setattr("rrr_core.pipeline.run", run)
    (tmp_path / "run.toml").write_text(
        '[task]\nname = "countdown"\ndata = {numbers = 3}\n[model]\nmodel = "m"\n[mine]\ntries = 2\n'
        "[train]\nsteps = 3\n[train.grpo]\nepsilon = 0.3\n[eval]\nrows = 4\n[warmup]\nlayers = 5\n"
    )
    assert rrr("run", "--config", "run.toml", "--train-steps", "9", "--train-grpo", "top_k=5")[0] == 0
    settings = seen[0]
    assert settings.task.name == "countdown"
    assert settings.task.data == {"numbers": "3"}
    assert (settings.model.model, settings.mine.tries, settings.eval.rows) == ("m", 2, 4)
    assert (settings.train.steps, settings.train.grpo) == (9, {"epsilon": "0.3", "top_k": "5"})


def test_a_demo_without_countdown_says_what_to_install(rrr: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rrr_core.tasks.loading.find_tasks", list)
    code, output = rrr("demo")
    assert code == 2
    assert "No task 'countdown' is installed." in output
    assert "`pip install rrr-countdown` adds it" in output
