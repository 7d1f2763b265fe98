"""Forgetting with a stand-in for lm-eval: what is asked, kept, resumed, refused and paired. No torch."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from benchmark_rows import write_benchmarks, write_lines
from planted_world import PlantedModel
from planted_world import run as evaluate_planted
from rich.console import Console

from rrr_core.cli import run_command
from rrr_core.cli.tables import print_comparison
from rrr_core.errors import DataError, ModelError, RrrError
from rrr_core.evaluation import compare
from rrr_core.evaluation.forgetting import harness, measuring
from rrr_core.evaluation.forgetting.benchmarks import BENCHMARKS, Benchmark
from rrr_core.evaluation.forgetting.drawing import apportioned, drawn
from rrr_core.evaluation.forgetting.harness import Item, Subtask
from rrr_core.evaluation.forgetting.local_rows import Rows, digest_of_rows, read_local
from rrr_core.evaluation.forgetting.measuring import Benchmarks
from rrr_core.evaluation.forgetting.settings import ForgettingSettings
from rrr_core.evaluation.reading import read_comparison
from rrr_core.generation import ModelSettings
from rrr_core.progress import Progress
from rrr_core.runs.files import read_json, read_lines
from rrr_core.runs.layout import EvalFolder
from rrr_core.seeds import item_seed

HOSTILE = "\x1b[2J</script><b>#### 7\u2028"
SIZES = {"mmlu_pro_law": 40, "mmlu_pro_physics": 20, "gsm8k": 30, "hellaswag": 30, "hendrycks_math_algebra": 30}


@dataclass
class FakeHarness:
    """Answers by a rule: `forgets` is the share of items that the model `trained` no longer knows."""

    settings: ForgettingSettings
    rows: Mapping[str, Rows] = field(default_factory=dict)
    forgets: float = 0.0
    dies_after: int = 1000
    asked: list[tuple[str, str]] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)

    def subtasks(self, benchmark: Benchmark) -> list[Subtask]:
        self.loaded.append(benchmark.key)
        return [Subtask(name, size, "3.0") for name, size in SIZES.items() if name in benchmark.subtasks]

    def ask(self, model: ModelSettings, benchmark: Benchmark, subtask: str, numbers: Sequence[int]) -> list[Item]:
        if len(self.asked) == self.dies_after:
            raise KeyboardInterrupt
        self.asked.append((model.named, subtask))
        return [self._item(model, subtask, number) for number in numbers]

    def _item(self, model: ModelSettings, subtask: str, number: int) -> Item:
        digest = hashlib.sha256(f"{subtask} {number}".encode()).hexdigest()
        knows = digest[0] < "8" and not (model.named == "trained" and number % 10 < 10 * self.forgets)
        return Item(number, digest, f"{digest} {self.settings.seed}", knows, HOSTILE)


@pytest.fixture(autouse=True)
def lm_eval_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "installed_version", lambda: "0.4.13")


@pytest.fixture
def evaluations(tmp_path: Path) -> dict[str, EvalFolder]:
    """Two evaluated models, `vanilla` and `trained`."""
    for name in ("vanilla", "trained"):
        model = PlantedModel(first=0.1, own=0.2, other=0.2, none=0.15, name=name)
        evaluate_planted(tmp_path / "eval" / name, model, label=name, rows=20)
    return {name: EvalFolder(tmp_path / "eval" / name) for name in ("vanilla", "trained")}


def made(settings: ForgettingSettings | None = None, **rest: Any) -> tuple[Benchmarks, FakeHarness]:
    fakes: list[FakeHarness] = []

    def make(settings: ForgettingSettings, rows: Mapping[str, Rows]) -> FakeHarness:
        fakes.append(FakeHarness(settings, rows, **rest))
        return fakes[0]

    benchmarks = Benchmarks(settings or ForgettingSettings(items=20), make)
    return benchmarks, fakes[0]


def measure_all(evaluations: Mapping[str, EvalFolder], benchmarks: Benchmarks) -> None:
    for name, folder in evaluations.items():
        benchmarks.measure(ModelSettings(model=name), name, folder)


def test_the_four_benchmarks_of_the_paper_are_run(evaluations: dict[str, EvalFolder]) -> None:
    assert [each.title for each in BENCHMARKS.values()] == ["MMLU-Pro", "GSM8K", "HellaSwag", "MATH"]
    benchmarks, fake = made()
    scores = benchmarks.measure(ModelSettings(model="vanilla"), "vanilla", evaluations["vanilla"])
    assert list(scores["benchmarks"]) == fake.loaded == list(BENCHMARKS)
    assert {key: each["right"]["total"] for key, each in scores["benchmarks"].items()} == dict.fromkeys(BENCHMARKS, 20)


def test_items_are_drawn_from_each_part_by_its_size_and_by_the_seed() -> None:
    sizes = {"law": 300, "physics": 100, "tiny": 1}
    found = drawn(sizes, 40, seed=3)
    assert {name: len(numbers) for name, numbers in found.items()} == {"law": 30, "physics": 10}
    assert all(numbers == sorted(set(numbers)) for numbers in found.values())
    assert found == drawn(sizes, 40, seed=3) != drawn(sizes, 40, seed=4)
    assert drawn(sizes, 0, seed=3)["law"] == list(range(300))
    assert sum(apportioned(sizes, 7).values()) == 7
    assert item_seed(3, "law") == 7462299262581679


def test_what_lm_eval_and_its_tasks_are_stands_in_the_manifest(evaluations: dict[str, EvalFolder]) -> None:
    benchmarks, _ = made()
    measure_all(evaluations, benchmarks)
    manifest = read_json(evaluations["trained"].forgetting.manifest)
    assert manifest["identity"]["lm_eval"] == "0.4.13"
    assert manifest["about"]["tasks"] == dict.fromkeys(SIZES, "3.0")
    assert manifest["identity"]["model"] == read_json(evaluations["trained"].manifest)["identity"]["model"]


def test_a_killed_call_resumes_after_the_last_whole_task(evaluations: dict[str, EvalFolder]) -> None:
    whole, _ = made()
    expected = whole.measure(ModelSettings(model="vanilla"), "vanilla", evaluations["vanilla"])
    killed, _ = made(dies_after=3)
    with pytest.raises(KeyboardInterrupt):
        killed.measure(ModelSettings(model="vanilla"), "vanilla", evaluations["trained"])
    assert not evaluations["trained"].forgetting.scores.exists()
    resumed, fake = made()
    assert resumed.measure(ModelSettings(model="vanilla"), "vanilla", evaluations["trained"]) == expected
    assert [subtask for _, subtask in fake.asked] == list(SIZES)[3:]
    again, fake = made()
    again.measure(ModelSettings(model="vanilla"), "vanilla", evaluations["trained"])
    assert (fake.asked, fake.loaded) == ([], [])


def test_two_models_are_paired_item_by_item(evaluations: dict[str, EvalFolder], tmp_path: Path) -> None:
    benchmarks, _ = made(ForgettingSettings(items=0), forgets=0.3)
    measure_all(evaluations, benchmarks)
    out = tmp_path / "eval" / "comparison.json"
    comparison = compare([each.path for each in evaluations.values()], out)
    found = {each["benchmark"]: each for each in comparison["forgetting"]["pairs"]}
    assert list(found) == list(BENCHMARKS)
    for key, each in found.items():
        assert (each["a"], each["b"]) == ("vanilla", "trained")
        difference = each["difference"]
        shares = [comparison["forgetting"]["scores"][label][key] for label in ("vanilla", "trained")]
        assert difference["value"] < 0
        assert difference["value"] == pytest.approx(shares[1]["value"] - shares[0]["value"])
        assert difference["only_second"] == 0
        assert difference["low"] < difference["value"] < difference["high"]
    assert read_comparison(out) == comparison


def test_a_comparison_of_models_without_it_is_as_before(evaluations: dict[str, EvalFolder], tmp_path: Path) -> None:
    comparison = compare([each.path for each in evaluations.values()], tmp_path / "eval" / "comparison.json")
    assert "forgetting" not in comparison


def test_models_that_were_asked_other_items_are_not_compared(
    evaluations: dict[str, EvalFolder], tmp_path: Path
) -> None:
    for seed, (name, folder) in enumerate(evaluations.items()):
        made(ForgettingSettings(items=20, seed=seed))[0].measure(ModelSettings(model=name), name, folder)
    with pytest.raises(
        RrrError, match="vanilla/forgetting and .*trained/forgetting were asked other items of MMLU-Pro"
    ):
        compare([each.path for each in evaluations.values()], tmp_path / "eval" / "comparison.json")


def test_answers_are_written_so_that_no_line_is_split_and_never_printed(
    evaluations: dict[str, EvalFolder], tmp_path: Path
) -> None:
    benchmarks, _ = made()
    measure_all(evaluations, benchmarks)
    files = evaluations["vanilla"].forgetting
    lines = list(read_lines(files.items("gsm8k")))
    assert {line["answer"] for line in lines} == {HOSTILE}
    assert len(files.items("gsm8k").read_bytes().splitlines()) == len(lines)
    out = io.StringIO()
    comparison = compare([each.path for each in evaluations.values()], tmp_path / "eval" / "comparison.json")
    print_comparison(comparison, Console(file=out, width=40))
    text = out.getvalue()
    assert HOSTILE not in text
    row = next(line for line in text.splitlines() if "GSM8K" in line)
    assert "20 items" in row
    assert "0.0 (-" in row


def test_a_changed_answer_is_refused_with_what_to_do(evaluations: dict[str, EvalFolder], tmp_path: Path) -> None:
    benchmarks, _ = made()
    measure_all(evaluations, benchmarks)
    path = evaluations["vanilla"].forgetting.items("gsm8k")
    path.write_text(path.read_text().replace("false", "true"))
    with pytest.raises(DataError, match=r"gsm8k.jsonl was changed .*: delete it, and run the same `rrr eval"):
        compare([each.path for each in evaluations.values()], tmp_path / "eval" / "comparison.json")


@pytest.mark.parametrize(
    "changes", [{"items": 10}, {"seed": 1}, {"batch_size": 2}, {"max_tokens": 9}, {"chat": True}], ids=str
)
def test_a_folder_of_other_settings_is_refused(evaluations: dict[str, EvalFolder], changes: dict[str, Any]) -> None:
    made()[0].measure(ModelSettings(model="vanilla"), "vanilla", evaluations["vanilla"])
    benchmarks, _ = made(ForgettingSettings(**{"items": 20, **changes}))
    with pytest.raises(RrrError, match=f"was started with settings.{next(iter(changes))} = "):
        benchmarks.measure(ModelSettings(model="vanilla"), "vanilla", evaluations["vanilla"])


def test_the_model_of_an_earlier_evaluation_is_the_one_its_manifest_names(
    evaluations: dict[str, EvalFolder],
) -> None:
    benchmarks, fake = made()
    benchmarks.measure_again(ModelSettings(model="another", device="cpu"), evaluations["vanilla"], Progress())
    assert {model for model, _ in fake.asked} == {"vanilla"}


def test_a_model_behind_a_server_is_refused(evaluations: dict[str, EvalFolder]) -> None:
    benchmarks, _ = made()
    with pytest.raises(ModelError, match="needs the model's weights, which a server keeps"):
        benchmarks.measure(ModelSettings(model="x", base_url=("http://a/v1",)), "x", evaluations["vanilla"])


def test_rows_from_local_files_go_to_the_task_of_their_category(tmp_path: Path) -> None:
    write_benchmarks(tmp_path)
    found = {key: read_local(tmp_path, benchmark) for key, benchmark in BENCHMARKS.items()}
    assert {key: list(rows) for key, rows in found.items()} == {
        "mmlu_pro": ["mmlu_pro_computer_science", "mmlu_pro_law"],
        "gsm8k": ["gsm8k"],
        "hellaswag": ["hellaswag"],
        "math": ["hendrycks_math_algebra", "hendrycks_math_precalc"],
    }
    assert all(len(rows) == 6 for parts in found.values() for splits in parts.values() for rows in splits.values())
    assert found["mmlu_pro"]["mmlu_pro_law"]["test"][0]["options"][0] == "2001-03-01"
    assert digest_of_rows(found) != digest_of_rows({**found, "gsm8k": {}})


@pytest.mark.parametrize(
    ("file", "changes", "said"),
    [
        (
            "mmlu_pro/data/test.jsonl",
            {"category": "alchemy"},
            "line 1: 'category' must be 'biology', .* or 'psychology'",
        ),
        ("mmlu_pro/data/test.jsonl", {"answer": "K"}, "'answer' must be the letter of one of the 10 options"),
        ("mmlu_pro/data/test.jsonl", {"options": ["a", 2]}, "'options' must be a list of texts"),
        ("gsm8k/main/test.jsonl", {"answer": 7}, "'answer' must be a text, but is 7"),
        ("hellaswag/validation.jsonl", {"label": "4"}, "'label' must be the place of one of the endings, from 0"),
        ("math/algebra/test.jsonl", {"solution": "It is 7."}, r"'solution' must hold the answer as \\boxed"),
        ("math/algebra/test.jsonl", {"solution": r"\boxed{7"}, r"'solution' must hold the answer as \\boxed"),
    ],
)
def test_a_row_that_lm_eval_would_fail_on_is_named(
    tmp_path: Path, file: str, changes: dict[str, Any], said: str
) -> None:
    write_benchmarks(tmp_path)
    first, *rest = read_lines(tmp_path / file)
    write_lines(tmp_path / file, [{**first, **changes}, *rest])
    with pytest.raises(DataError, match=said):
        read_local(tmp_path, BENCHMARKS[file.partition("/")[0]])


def test_too_few_examples_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    write_benchmarks(tmp_path, count=3)
    with pytest.raises(DataError, match="MMLU-Pro shows 5 examples before an item, and the split 'validation' has 3"):
        read_local(tmp_path, BENCHMARKS["mmlu_pro"])
    with pytest.raises(RrrError, match="there is no folder 'gsm8k' for GSM8K: add it, or choose others"):
        read_local(tmp_path / "mmlu_pro", BENCHMARKS["gsm8k"])


def test_the_digest_of_local_rows_is_kept_and_not_their_place(
    evaluations: dict[str, EvalFolder], tmp_path: Path
) -> None:
    data = write_benchmarks(tmp_path / "data")
    benchmarks, _ = made(ForgettingSettings(items=20, data=str(data)))
    benchmarks.measure(ModelSettings(model="vanilla"), "vanilla", evaluations["vanilla"])
    moved = data.rename(tmp_path / "moved")
    benchmarks, fake = made(ForgettingSettings(items=20, data=str(moved)))
    benchmarks.measure(ModelSettings(model="vanilla"), "vanilla", evaluations["vanilla"])
    assert fake.asked == []
    write_benchmarks(moved, count=7)
    benchmarks, _ = made(ForgettingSettings(items=20, data=str(moved)))
    with pytest.raises(RrrError, match="was started with settings.data = "):
        benchmarks.measure(ModelSettings(model="vanilla"), "vanilla", evaluations["vanilla"])


def test_without_lm_eval_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness.util, "find_spec", lambda name: None)
    with pytest.raises(RrrError) as caught:
        harness.installed_version()
    assert str(caught.value) == "--forgetting needs lm-eval, which is not installed: pip install 'rrr-core[eval]'."


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["countdown", "--forgetting-items", "5"], "--forgetting-items does nothing without --forgetting."),
        (
            ["countdown", "apigen", "--forgetting"],
            "--forgetting is of a model, whatever the task: name one task alone.",
        ),
        (["countdown", "--forgetting", "--base-url", "http://127.0.0.1:1"], "--forgetting needs the model's weights"),
        (["countdown", "--forgetting", "--forgetting-benchmarks", "mnlu"], "mnlu"),
    ],
    ids=["an option of it alone", "two tasks", "a server", "an unknown benchmark"],
)
def test_what_cannot_be_measured_is_refused_before_anything_is(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run_command(["eval", *arguments, "--folder", str(tmp_path / "run")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_settings_know_their_bounds() -> None:
    with pytest.raises(RrrError, match="needs a benchmark"):
        ForgettingSettings(benchmarks=())
    with pytest.raises(RrrError, match="given twice"):
        ForgettingSettings(benchmarks=("math", "math"))
    assert json.dumps(ForgettingSettings().benchmarks) == '["mmlu_pro", "gsm8k", "hellaswag", "math"]'
