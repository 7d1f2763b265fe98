"""A page is made to be shared: no place of the machine is in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rrr_core.report import write_report
from rrr_core.report.places import Places
from rrr_core.runs.files import read_json, read_lines, write_json, write_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("--model=/home/me/models/tiny", "--model=…/models/tiny"),
        ("file:///home/me/models/tiny is missing", "…/models/tiny is missing"),
        ("~/models/tiny", "…/models/tiny"),
        (r"C:\Users\me\models\tiny", "…/models/tiny"),
        ("/srv/a, /mnt/b/c/d and /home/me", "…/a, …/c/d and …/me"),
        ("Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B"),
        ("1/2/3 of https://example.org/home/page, about ~5", "1/2/3 of https://example.org/home/page, about ~5"),
    ],
)
def test_a_path_is_cut_to_its_last_two_folders_wherever_it_stands(text: str, shown: str) -> None:
    assert Places([]).without(text) == shown


def test_what_a_model_wrote_keeps_its_paths_but_for_this_machines_own(tmp_path: Path) -> None:
    places = Places([tmp_path / "runs" / "demo"])
    assert places.without_known(f"cat /home/you/x {tmp_path}/runs/demo/x") == "cat /home/you/x …/demo/x"


def test_no_place_of_this_machine_is_in_a_page(run_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run_folder, tmp_path / "runs" / "demo")
    here = str(tmp_path)
    write_json(folder / "run.json", {"kind": "run", "about": {"arguments": ["rrr", f"--folder={folder}", here]}})
    figures = read_json(folder / "eval" / "trained" / "figures.json")
    figures["model"] = {"name": f"{here}/models/tiny"}
    figures["notes"] = [f"the model is in {here}/models/tiny, or so"]
    write_json(folder / "eval" / "trained" / "figures.json", figures)
    shard = folder / "eval" / "trained" / "sampled-00000.jsonl"
    records = list(read_lines(shard))
    records[0]["segments"][1]["verdict"]["detail"] = f'File "{here}/runs/demo/verifier.py", line 3'
    write_lines(shard, records)
    (folder / "train" / "metrics.jsonl").write_text("{")
    write_report([folder], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert here not in page
    assert json.dumps(here)[1:-1] not in page
    assert "models/tiny" in page
