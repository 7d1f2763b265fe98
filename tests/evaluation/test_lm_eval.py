"""Forgetting with the real lm-eval, on local rows of our own in the four formats, and a tiny model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lm_eval", reason="needs rrr-core[eval]")
pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

from benchmark_rows import write_benchmarks

from rrr_core.cli import run_command
from rrr_core.errors import RrrError
from rrr_core.evaluation.forgetting.benchmarks import BENCHMARKS
from rrr_core.evaluation.forgetting.harness import Item, LmEval
from rrr_core.evaluation.forgetting.local_rows import read_local
from rrr_core.evaluation.forgetting.settings import ForgettingSettings
from rrr_core.generation import ModelSettings
from rrr_core.runs.files import read_json
from rrr_core.runs.layout import RunFolder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the rows in `data`, and two models, `before` and `after`."""
    from rrr_core.training.tiny import make_model, make_tokenizer
    from rrr_core.training.warmup_settings import WarmupSettings

    place = tmp_path_factory.mktemp("forgetting")
    data = write_benchmarks(place / "data")
    tokenizer = make_tokenizer([path.read_text() for path in data.rglob("*.jsonl")], 400)
    for name, seed in (("before", 0), ("after", 1)):
        settings = WarmupSettings(hidden_size=16, layers=1, heads=2, context=4096, seed=seed)
        make_model(tokenizer, settings).save_pretrained(place / name)
        tokenizer.save_pretrained(place / name)
    return place


def asked(place: Path, key: str, subtask: str, numbers: list[int], **settings: Any) -> list[Item]:
    benchmark = BENCHMARKS[key]
    chosen = ForgettingSettings(**{"max_tokens": 8, **settings})
    harness = LmEval(chosen, {key: read_local(place / "data", benchmark)})
    assert {each.size for each in harness.subtasks(benchmark)} == {6}
    return harness.ask(ModelSettings(model=str(place / "before"), device="cpu"), benchmark, subtask, numbers)


def test_four_benchmarks_on_two_models_end_in_one_comparison(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    run = tmp_path / "run"
    evaluating = [
        *("eval", "countdown", "--folder", str(run), "--model", str(place / "after"), "--device", "cpu"),
        *("--compare", str(place / "before"), "--label", "trained"),
        *("--rows", "2", "--modes", "greedy", "--controls", "no_reflection", "--max-tokens", "4"),
    ]
    measuring = [
        *("--forgetting", "--forgetting-data", str(place / "data")),
        *("--forgetting-items", "4", "--forgetting-max-tokens", "8"),
    ]
    assert run_command([*evaluating, *measuring]) == 0
    out = capsys.readouterr().out
    for title in ("MMLU-Pro", "GSM8K", "HellaSwag", "MATH"):
        assert f"{title}, 4 items" in out
    found = read_json(RunFolder(run).comparison)["forgetting"]
    assert [each["benchmark"] for each in found["pairs"]] == ["mmlu_pro", "gsm8k", "hellaswag", "math"]
    assert {each["difference"]["total"] for each in found["pairs"]} == {4}
    manifest = read_json(RunFolder(run).evaluation("trained").forgetting.manifest)
    assert manifest["identity"]["lm_eval"].startswith("0.4.13")
    assert manifest["about"]["tasks"]["gsm8k"] == "3.0"
    # Whoever runs it again asks nothing again, and gets the same.
    assert run_command([*evaluating, *measuring]) == 0
    assert capsys.readouterr().out == out


def test_an_answer_is_right_by_the_benchmarks_own_rule(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lm_eval.models.huggingface import HFLM

    says = {
        "gsm8k": "He has\n#### 102\n",
        "mmlu_pro_law": "We count. The answer is (A).\n",
        "hendrycks_math_algebra": " 102\n\n",
    }
    for key, subtask in (("gsm8k", "gsm8k"), ("mmlu_pro", "mmlu_pro_law"), ("math", "hendrycks_math_algebra")):
        monkeypatch.setattr(
            HFLM, "generate_until", lambda self, requests, said=says[subtask], **_: [said for _ in requests]
        )
        found = asked(place, key, subtask, [0, 1])
        assert [item.right for item in found] == [True, False], key
        assert [item.answer for item in found] == [says[subtask]] * 2


def test_items_keep_their_numbers_and_the_same_examples_each_time(place: Path) -> None:
    once, again = (asked(place, "gsm8k", "gsm8k", [1, 4]) for _ in range(2))
    assert [item.number for item in once] == [1, 4]
    assert once == again
    everything = asked(place, "gsm8k", "gsm8k", list(range(6)))
    assert [each.row for each in everything if each.number in (1, 4)] == [each.row for each in once]
    assert [item.prompt for item in asked(place, "gsm8k", "gsm8k", [1, 4], seed=1)] != [each.prompt for each in once]


def test_with_the_chat_template_the_prompts_are_others(place: Path) -> None:
    plain, chat = (asked(place, "gsm8k", "gsm8k", [0], chat=chat)[0] for chat in (False, True))
    assert plain.row == chat.row
    assert plain.prompt != chat.prompt


def test_a_model_whose_context_holds_less_than_it_may_write_is_refused_with_the_option(place: Path) -> None:
    with pytest.raises(RrrError, match="mmlu_pro_law lets the model write 4096 tokens, and its context holds 4096: "):
        asked(place, "mmlu_pro", "mmlu_pro_law", [0], max_tokens=4096)


def test_an_unreachable_hub_is_one_line_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets import config

    monkeypatch.setattr(config, "HF_HUB_OFFLINE", True)
    with pytest.raises(RrrError, match="GSM8K cannot be loaded from the hub .*: give its rows with --forgetting-data"):
        LmEval(ForgettingSettings(), {}).subtasks(BENCHMARKS["gsm8k"])
