"""`docs/run-folders.md` is correct: its example is a failure set, and its tables explain every key of the files."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

from rrr_core.episode import Episode, Segment
from rrr_core.mining import MineSettings, MiningSummary, mine
from rrr_core.mining.failure_set import read_failures
from rrr_core.mining.mined_row import Reflected
from rrr_core.runs.files import read_json, read_lines
from tests.fakes import ScriptedGenerator, numbers_task

PAGE = (Path(__file__).parents[2] / "docs" / "run-folders.md").read_text(encoding="utf-8")


def documented_keys(heading: str) -> list[str]:
    """The keys explained in the table under a heading."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    first_cells = re.findall(r"^\| (`[^|]*`) \|", section, re.MULTILINE)
    return [key for cell in first_cells for key in re.findall(r"`([^`]+)`", cell)]


def mined(folder: Path) -> Path:
    mine(numbers_task(1), ScriptedGenerator(lambda *_: "wrong"), folder, MineSettings(rows=1), {})
    return folder


def test_the_examples_of_a_mined_row_and_of_a_failure_can_be_read(tmp_path: Path) -> None:
    row, short = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    found = []
    for example in (row, short):
        file = tmp_path / "shard.jsonl"
        file.write_text(json.dumps(json.loads(example)))
        found += read_failures(file)
    failure, the_same = found
    assert failure.failure_id == f"{failure.row_index}-{failure.try_index}"
    assert failure.to_short_json() == the_same.to_short_json()


def test_each_key_of_an_episode_and_of_a_segment_is_explained() -> None:
    fields = [field.name for record in (Episode, Segment) for field in dataclasses.fields(record)]
    section = PAGE.split("## train/ and eval/")[1].split("\n### ")[0]
    explained = set(re.findall(r"`(\w+)`", section))
    assert set(fields) <= explained


def test_each_key_of_a_mined_row_is_explained(tmp_path: Path) -> None:
    (record,) = read_lines(mined(tmp_path) / "shard-00000.jsonl")
    of_rounds = ["reflected", *(field.name for field in dataclasses.fields(Reflected))]
    assert documented_keys("mine/shard-NNNNN.jsonl") == [*record, *of_rounds]


def test_each_key_of_the_summary_is_explained() -> None:
    fields = [field.name for field in dataclasses.fields(MiningSummary)]
    assert documented_keys("mine/summary.json") == fields


def test_each_key_of_a_profile_and_each_kind_of_work_is_explained(tmp_path: Path) -> None:
    profile = read_json(mined(tmp_path) / "profile.json")
    documented = documented_keys("profile.json")
    documented.remove("elsewhere_seconds")  # of several processes alone
    assert documented == [*profile, *profile["seconds"]]


def test_each_kind_of_tokens_is_explained(tmp_path: Path) -> None:
    (row,) = re.findall(r"^\| `tokens` \| by kind: (.*) \|$", PAGE, re.MULTILINE)
    explained = [name for name in re.findall(r"`(\w+)`", row) if name != "null"]
    assert explained == list(read_json(mined(tmp_path) / "profile.json")["tokens"])


def test_each_key_of_a_manifest_is_explained(tmp_path: Path) -> None:
    assert documented_keys("manifest.json") == list(read_json(mined(tmp_path) / "manifest.json"))
