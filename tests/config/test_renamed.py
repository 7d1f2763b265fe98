"""Renamed settings: old names and values still work."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from rrr_core.cli import app
from rrr_core.config.files import read_config
from rrr_core.config.renamed import SETTINGS, former_keys, former_values, identity_of_today, with_new_names
from rrr_core.config.sections import section_class
from rrr_core.config.settings import settings_of
from rrr_core.errors import RrrError
from rrr_core.runs.files import read_json
from rrr_core.runs.stage import open_stage

OLD = {"alike": "refill", "refill_rounds": 2, "live": True, "steps": 5}
NEW = {"zero_variance": "resample", "resample_rounds": 2, "on_policy_attempts": True, "steps": 5}


@pytest.mark.parametrize("section", SETTINGS)
def test_every_new_name_and_value_exists_and_no_old_one_does(section: str) -> None:
    settings = {setting.key: setting for setting in settings_of(section_class(section))}
    for old, renamed in SETTINGS[section].items():
        assert old not in settings
        assert renamed.key in settings
        assert set(renamed.values.values()) <= set(settings[renamed.key].choices or ())
        assert old in former_keys(section, renamed.key)


def test_old_names_and_values_are_replaced_with_a_note() -> None:
    said: list[str] = []
    assert with_new_names("train", OLD, said.append) == NEW
    assert said == [
        "[train] alike is called zero_variance now.",
        "[train] zero_variance: 'refill' is called 'resample' now.",
        "[train] refill_rounds is called resample_rounds now.",
        "[train] live is called on_policy_attempts now.",
    ]
    assert with_new_names("train", NEW) == NEW
    assert former_values("train", "zero_variance") == {"leave-out": "drop", "refill": "resample"}


def test_a_file_with_old_names_is_read_with_a_note_of_the_new_ones(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('[train]\nalike = "leave-out"\n')
    said: list[str] = []
    assert read_config(file, say=said.append) == {"train": {"zero_variance": "drop"}}
    assert all(line.startswith(f"{file}: [train] ") for line in said)
    assert len(said) == 2


def test_old_options_work_and_print_their_new_name() -> None:
    done = CliRunner().invoke(app, ["train", "none", "--alike", "refill", "--refill-rounds", "2", "--live"])
    assert "note: refill is called resample now." in done.stderr
    assert "note: --alike is called --zero-variance now." in done.stderr
    assert "note: --live is called --on-policy-attempts now." in done.stderr
    assert "No task 'none'" in str(done.exception)
    assert "--alike" not in CliRunner().invoke(app, ["train", "--help"]).stdout


def test_an_option_given_by_both_its_names_is_refused() -> None:
    done = CliRunner().invoke(app, ["train", "none", "--zero-variance", "drop", "--alike", "keep"])
    assert done.exit_code == 2
    assert "zero_variance is given twice, once by its former name alike" in done.output


def test_a_stage_started_by_an_older_version_is_resumed_under_the_new_names(tmp_path: Path) -> None:
    open_stage(tmp_path, "train", {"settings": OLD}, {})
    (tmp_path / "metrics.jsonl").write_text("work\n")
    open_stage(tmp_path, "train", {"settings": NEW}, {})
    assert read_json(tmp_path / "manifest.json")["identity"] == {"settings": OLD}
    with pytest.raises(RrrError, match='started with settings.zero_variance = "resample", and this call has "keep"'):
        open_stage(tmp_path, "train", {"settings": {**NEW, "zero_variance": "keep"}}, {})


def test_a_setting_newer_than_the_record_of_a_stage_had_its_default(tmp_path: Path) -> None:
    older = {"settings": {"tries": 4}}
    open_stage(tmp_path, "mine", older, {})
    (tmp_path / "shard-00000.jsonl").write_text("work\n")
    open_stage(tmp_path, "mine", {"settings": {"tries": 4, "top_k": 0, "repetition_penalty": 1.0}}, {})
    assert read_json(tmp_path / "manifest.json")["identity"] == older
    with pytest.raises(RrrError, match="started with settings.top_k = 0, and this call has 5"):
        open_stage(tmp_path, "mine", {"settings": {"tries": 4, "top_k": 5}}, {})


def test_a_setting_newer_than_the_record_of_a_run_had_its_default() -> None:
    before = {"mine": {"tries": 4}, "train": {"alike": "refill"}, "task": {"task": "countdown"}}
    now = {
        "mine": {"tries": 4, "min_p": 0.0},
        "train": {"zero_variance": "resample", "lora_targets": ["all-linear"], "grpo": {}},
        "task": {"task": "countdown"},
    }
    assert identity_of_today("run", before, now) == now
