"""`benchmarks/real_model.py` from the probe to its table, with a tiny model; and resumed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import pytest

pytest.importorskip("trl", reason="needs rrr-core[train]")
pytestmark = pytest.mark.train

from rrr_core.cli import run_command

SMALL = {
    "warmup": {"conversations": 32, "batch_size": 16},
    "mine": {"rows": 8, "tries": 2, "max_tokens": 8},
    "train": {"steps": 1, "batch_size": 8, "micro_batch_size": 8, "group_size": 4, "max_reflection_tokens": 4},
    "eval": {"rows": 6, "max_tokens": 4},
    "probe": {"rows": 2, "tries": 2},
}


def settings() -> list[str]:
    pairs = [f"{section}.{key}={value}" for section, values in SMALL.items() for key, value in values.items()]
    return [part for pair in pairs for part in ("--set", pair)]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    from rrr_core.training.tiny import make_model, make_tokenizer
    from rrr_core.training.warmup_settings import WarmupSettings

    tokenizer = make_tokenizer(["Use 3, 4 and 5 to reach 12."], 320)
    made = make_model(tokenizer, WarmupSettings(hidden_size=16, layers=1, heads=2))
    made.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_every_stage_is_done_once_and_ends_in_the_table(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import real_model

    called: list[str] = []

    def in_this_process(arguments: Sequence[str]) -> tuple[int, str]:
        called.append(arguments[0])
        with redirect_stdout(io.StringIO()) as printed:
            status = run_command(list(arguments))
        return status, printed.getvalue()

    monkeypatch.setattr(real_model, "call", in_this_process)
    folder = tmp_path / "job"
    given = [str(folder), "--model", str(model), "--warmup", "always", "--forgetting", "no"]
    chosen = real_model.options_of([*given, *settings()])
    real_model.work(real_model.Job(folder, chosen))
    stages = ["plan", "probe", "warmup", "probe", "mine", "train", "train", *["eval"] * 3, "report"]
    assert called == stages
    table = (folder / "table.md").read_text()
    for words in (
        "warmed up on countdown: 1 steps of 8 reflections in groups of 4",
        "**greedy**, seed 0, n = 6 rows",
        "**sampled**, seed 0, n = 6 rows",
        "| vanilla |",
        "| trained |",
        "| placebo |",
        "own reflection over no reflection",
        "Trained − placebo, second try:",
        "Reflections on the first 5 rows that both failed, seed 0, sampled:",
        "    row 0, vanilla, retry wrong: ",
    ):
        assert words in table
    again = real_model.options_of(given)
    real_model.work(real_model.Job(folder, again))
    assert called == stages
    assert (folder / "table.md").read_text() == table


def test_the_dtype_is_of_what_writes_and_not_of_what_is_trained(tmp_path: Path) -> None:
    import real_model

    chosen = real_model.options_of([str(tmp_path), "--model", str(tmp_path), "--dtype", "bfloat16", "--device", "cpu"])
    job = real_model.Job(tmp_path, chosen)
    assert job.model() == ["--model", str(tmp_path), "--dtype", "bfloat16", "--device", "cpu"]
    assert job.model(trained=True) == ["--model", str(tmp_path), "--device", "cpu"]


def test_a_setting_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    import real_model

    chosen = real_model.options_of([str(tmp_path), "--set", "train.setps=3"])
    with pytest.raises(SystemExit, match="there is no setting 'setps' in"):
        real_model.write_settings(real_model.Job(tmp_path / "job", chosen))


def test_a_value_that_a_setting_does_not_take_is_refused(tmp_path: Path) -> None:
    import real_model

    for pair, words in (("train.steps=many", "expected a whole number"), ("task.data=numbers", "expected KEY=VALUE")):
        chosen = real_model.options_of([str(tmp_path), "--set", pair])
        with pytest.raises(SystemExit, match=f"--set {pair}: {words}"):
            real_model.write_settings(real_model.Job(tmp_path / "job", chosen))


def test_tables_and_lists_grow_with_each_set(tmp_path: Path) -> None:
    import real_model

    from rrr_core.config.files import read_config

    pairs = (
        "task.data=numbers=3",
        "task.data=seed=4",
        "train.grpo=bf16=true",
        "eval.modes=greedy",
        "eval.modes=sampled",
    )
    chosen = real_model.options_of([str(tmp_path), *(part for pair in pairs for part in ("--set", pair))])
    job = real_model.Job(tmp_path / "job", chosen)
    real_model.write_settings(job)
    written = read_config(job.settings_file)
    assert written["task"]["data"] == {"numbers": "3", "seed": "4"}
    assert written["train"]["grpo"] == {"bf16": "true"}
    assert list(written["eval"]["modes"]) == ["greedy", "sampled"]


def test_both_profiles_fit_the_commands_they_are_for(tmp_path: Path) -> None:
    import real_model

    from rrr_core.config.files import read_config

    for name in real_model.PROFILES:
        job = real_model.Job(tmp_path / name, real_model.options_of([str(tmp_path / name), "--profile", name]))
        real_model.write_settings(job)
        written = read_config(job.settings_file)
        assert set(written) == {*real_model.PROFILES[name], "probe"}
        train = real_model.build(real_model.section_class("train"), written.get("train", {}))
        assert written["probe"]["max_reflection_tokens"] == train.max_reflection_tokens, "probed as it is trained"
