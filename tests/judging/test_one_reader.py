"""A record has one reader: every command that reads a damaged line refuses it in the same words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rrr_core.errors import DataError
from rrr_core.evaluation.folder import read_episodes
from rrr_core.judging.kept_answers import find_stages, kept_answers, read_stage
from rrr_core.mining import MineSettings, mine
from rrr_core.mining.failure_set import read_failures
from rrr_core.report.data import read_runs
from tests.fakes import ScriptedGenerator, numbers_task

SETTINGS = MineSettings(rows=6, tries=2, shard_rows=6, seed=1)

BROKEN = {
    "no number": lambda row: row.update(tries="2"),
    "an unknown key": lambda row: row.update(watts=3),
    "a wrong verdict": lambda row: row["failures"][0]["segments"][1].update(verdict={"outcome": "maybe"}),
    "a verdict's unknown key": lambda row: row["failures"][0]["segments"][1]["verdict"].update(marks=1),
    "a verdict's score above 1": lambda row: row["failures"][0]["segments"][1]["verdict"].update(score=1.5),
    "a verdict's score that is no number": lambda row: row["failures"][0]["segments"][1]["verdict"].update(score=True),
    "a passed failure": lambda row: row["failures"][0]["segments"][1].update(verdict={"outcome": "passed"}),
    "no segments": lambda row: row["failures"][0].update(segments=[]),
    "an unknown role": lambda row: row["failures"][0]["segments"][0].update(role="king"),
    "NaN": lambda row: row.update(tokens=float("nan")),
    "too deep": lambda row: row["failures"][0]["row"].update(deep=json.loads("[" * 300 + "]" * 300)),
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with a failure set of one shard, without digests, as an older version left it."""
    folder = tmp_path / "run"
    mine(numbers_task(6), ScriptedGenerator(lambda *_: "wrong"), folder / "mine", SETTINGS, {})
    (folder / "mine" / "SHA256SUMS").unlink()
    return folder


def complaint_of(read: Callable[[], object]) -> str:
    with pytest.raises(DataError) as raised:
        read()
    return str(raised.value)


def rejudged(run: Path) -> None:
    for stage in find_stages(run):
        for path, number, record in read_stage(stage):
            kept_answers(stage, record, f"{path}:{number}")


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_damaged_mined_row_is_refused_by_all_in_the_same_words(run: Path, broken: Callable[[dict], object]) -> None:
    shard = run / "mine" / "shard-00000.jsonl"
    lines = [json.loads(line) for line in shard.read_text().splitlines()]
    broken(lines[2])
    shard.write_text("".join(json.dumps(line) + "\n" for line in lines))
    said: list[str] = []
    read_runs([run], said.append)
    complaints = [
        complaint_of(lambda: read_failures(run / "mine")),
        complaint_of(lambda: read_failures(shard)),
        complaint_of(lambda: rejudged(run)),
        complaint_of(lambda: mine(numbers_task(6), ScriptedGenerator(lambda *_: "wrong"), run / "mine", SETTINGS, {})),
    ]
    assert len(set(complaints)) == 1
    assert complaints[0].startswith(f"{shard}:3: ")
    (line,) = said
    assert complaints[0].replace(f"{run}/", "").rstrip(".") in line


def test_a_damaged_episode_is_refused_by_all_in_the_same_words(tmp_path: Path) -> None:
    from rrr_core.evaluation import EvalSettings, evaluate

    folder = tmp_path / "run" / "eval" / "vanilla"
    settings = EvalSettings(rows=4, modes=("greedy",))
    evaluate(numbers_task(4), ScriptedGenerator(), folder, "vanilla", settings, {})
    (folder / "SHA256SUMS").unlink()
    shard = folder / "greedy-00000.jsonl"
    shard.write_text(shard.read_text().replace('"outcome": "', '"outcome": "un', 1))
    said: list[str] = []
    read_runs([tmp_path / "run"], said.append)
    place = f"{shard}:1: a verdict's 'outcome' must be passed, failed or abstained"
    assert complaint_of(lambda: list(read_episodes(folder, "greedy"))).startswith(place)
    assert complaint_of(lambda: rejudged(tmp_path / "run")).startswith(place)
    assert complaint_of(
        lambda: evaluate(numbers_task(4), ScriptedGenerator(), folder, "vanilla", settings, {})
    ).startswith(place)
    assert any(place.replace(f"{tmp_path / 'run'}/", "") in line for line in said)


@pytest.mark.parametrize("change", ["an episode", "a figure"])
def test_figures_and_shards_must_agree(tmp_path: Path, change: str) -> None:
    from rrr_core.evaluation import EvalSettings, compare, evaluate

    folder = tmp_path / "run" / "eval" / "vanilla"
    evaluate(numbers_task(4), ScriptedGenerator(), folder, "vanilla", EvalSettings(rows=4, modes=("greedy",)), {})
    if change == "an episode":
        shard = folder / "greedy-00000.jsonl"
        shard.write_text("".join(shard.read_text().splitlines(keepends=True)[:-1]))
        (folder / "SHA256SUMS").unlink()
        words = r"figures\.json:1: first_try has \d of 4 right, and the shards beside it \d of 3: delete it"
    else:
        figures = json.loads((folder / "figures.json").read_text())
        figures["modes"]["greedy"]["first_try"]["passed"] += 1
        (folder / "figures.json").write_text(json.dumps(figures))
        words = r"figures\.json was changed after rrr wrote it .*: delete it, and run"
    with pytest.raises(DataError, match=words):
        compare([folder], tmp_path / "comparison.json")
