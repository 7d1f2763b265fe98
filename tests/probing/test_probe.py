"""A probe of scripted models: the forecast is what the script allows, and the command line says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rrr_core import cli, pipeline
from rrr_core.cli.progress import PlainProgress
from rrr_core.errors import DataError
from rrr_core.probing import waves
from rrr_core.probing.probe import Probed, probe
from rrr_core.probing.sampling import Plan
from rrr_core.probing.settings import ProbeSettings
from rrr_core.tasks import load_task
from rrr_core.verification import VerifySettings
from tests.conformance.planted import Plant, install
from tests.conformance.test_learnability import SMALL_BATCH, learns
from tests.fakes import ScriptedGenerator


def probed(script: Any, rows: int = 40) -> Probed:
    settings = ProbeSettings(rows=rows)
    return probe(load_task("sums"), ScriptedGenerator(script), settings, {}, verify=VerifySettings(workers=1))


def test_a_model_whose_reflections_matter_will_learn(site: Any) -> None:
    install(site, SMALL_BATCH)
    found = probed(learns(0.6, 0.7, 0.2))
    assert found.forecast.outlook == "will learn"
    assert found.forecast.headroom is not None
    assert 0 < found.forecast.headroom.low < found.forecast.headroom.high < 0.5
    assert found.findings.batch_groups == 2
    assert found.findings.signal is not None
    assert found.findings.signal.count == found.findings.failures == 40
    assert found.findings.cut_off["reflection"].count == 40 * 8


def test_a_model_without_the_ability_will_not(site: Any) -> None:
    install(site, SMALL_BATCH)
    found = probed(learns(0.0, 0.0, 0.0))
    assert found.forecast.outlook == "will not"
    assert "nearly all fail" in found.forecast.reasons[0]
    assert found.findings.reached.value == 0


def test_where_no_retry_passes_only_what_may_still_tell_is_drawn(site: Any) -> None:
    hook = "@hookimpl\ndef rrr_worked_reflection(row, attempt):\n    return 'good' if attempt == '7' else None\n\n\n"
    install(site, Plant("", "", "@hookimpl\ndef rrr_manifest", hook + "@hookimpl\ndef rrr_manifest"))
    drawn: list[str] = []

    def script(messages: Any, *rest: Any) -> str:
        drawn.append(messages[-1]["content"])
        return "good" if "what went wrong" in messages[-1]["content"] else "7"

    found = probed(script, rows=10).findings
    tried, reflected, retried, gold_and_written = 80, 80, 80, 20
    assert len(drawn) == tried + reflected + retried + 20 + gold_and_written
    for arm in (found.plain, found.others, found.gold, found.written, found.own):
        assert arm is not None
        assert (arm.value, arm.count) == (0.0, 10), "still one of each failure"
    assert found.signal is not None
    assert found.signal.count == 10


def test_rows_that_there_is_no_time_for_are_left_out(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    install(site, SMALL_BATCH)
    now = iter((0, 0, 40, 80, 120))  # 40 s a wave
    monkeypatch.setattr(waves, "monotonic", lambda: float(next(now)))
    engine, settings = ScriptedGenerator(learns(0.6, 0.7, 0.2)), ProbeSettings(rows=40, minutes=2)
    said: list[str] = []
    shown = PlainProgress(said.append)
    found = probe(load_task("sums"), engine, settings, {}, shown, VerifySettings(workers=1))
    assert found.findings.rows == 4 + 8 + 6, "four took 40 s of 120, and twelve 80 s"
    started = [line.split(":")[0] for line in said if ": 0/" in line]
    parts = ("1 to 4", "5 to 12", "13 to 18")
    assert started == [f"Probing sums, rows {part} of 40" for part in parts], "the time left is each bar's own"
    assert found.findings.left_out == 22
    assert "22 rows were left out for want of time: a larger --minutes tries more." in found.forecast.reasons


def test_the_first_rows_are_drawn_however_long_they_take(site: Any) -> None:
    install(site, SMALL_BATCH)
    engine, settings = ScriptedGenerator(learns(0.6, 0.7, 0.2)), ProbeSettings(rows=40, minutes=0)
    found = probe(load_task("sums"), engine, settings, {}, verify=VerifySettings(workers=1))
    assert (found.findings.rows, found.findings.left_out) == (4, 36)


def test_the_rows_of_both_parts_are_drawn_with_seeds_of_their_own(site: Any) -> None:
    install(site, SMALL_BATCH)
    engine = ScriptedGenerator(learns(0.6, 0.7, 0.2))
    probe(load_task("sums"), engine, ProbeSettings(rows=8), {}, verify=VerifySettings(workers=1))
    seeds = [each.seed for _, each in engine.calls]
    assert len(seeds) == len(set(seeds))


def test_retries_that_ignore_what_they_read_will_not(site: Any) -> None:
    install(site, SMALL_BATCH)
    found = probed(learns(0.6, 0.4, 0.4), rows=60)
    assert found.forecast.outlook == "will not"
    assert "Reflections make no difference" in found.forecast.reasons[0]


def test_a_reflection_that_the_task_writes_is_tried_as_well(site: Any) -> None:
    hook = "@hookimpl\ndef rrr_worked_reflection(row, attempt):\n    return 'good' if attempt == '7' else None\n\n\n"
    install(site, Plant("", "", "@hookimpl\ndef rrr_manifest", hook + "@hookimpl\ndef rrr_manifest"))
    found = probed(learns(0.6, 0.7, 0.2)).findings
    assert found.written is not None
    assert found.written.low > 0.5
    assert found.written_over_none is not None
    assert found.written_over_none.low > 0.2


def test_settings_override_the_tasks_demo_which_overrides_the_defaults(site: Any) -> None:
    install(site, SMALL_BATCH)
    task = load_task("sums")
    plan = Plan.of(task, ProbeSettings(group_size=4, max_tokens=30, max_retry_tokens=20, temperature=0.5, tries=3))
    assert (plan.train.batch_size, plan.train.group_size, plan.train.max_retry_tokens) == (16, 4, 20)
    assert (plan.mine.max_tokens, plan.tries) == (30, 3)
    assert plan.mine.temperature == plan.train.temperature == 0.5


def test_the_progress_says_which_task_is_probed(site: Any) -> None:
    install(site, SMALL_BATCH)
    said: list[str] = []
    script, rows = ScriptedGenerator(learns(0.6, 0.7, 0.2)), ProbeSettings(rows=2)
    probe(load_task("sums"), script, rows, {}, PlainProgress(said.append), VerifySettings(workers=1))
    assert said[0].startswith("Probing sums: ")


def test_a_split_of_one_row_is_refused(site: Any) -> None:
    install(site, SMALL_BATCH)
    task = load_task("sums")
    one = ProbeSettings(rows=2)
    with pytest.raises(DataError, match="has 0 rows, and a probe needs two"):
        probe(_without_rows(task), ScriptedGenerator(lambda *_: "7"), one, {})


def _without_rows(task: Any) -> Any:
    class Empty:
        name = task.name

        def load_dataset(self, split: str, options: Any) -> Any:
            return iter(())

    return Empty()


@pytest.fixture
def scripted(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    install(site, SMALL_BATCH)
    engine = ScriptedGenerator(learns(0.6, 0.7, 0.2))
    monkeypatch.setattr(pipeline, "open_engine", lambda settings, progress: engine)


def test_the_command_prints_figures_with_intervals_and_the_forecast(
    scripted: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run_command(["probe", "sums", "--model", "m", "--rows", "40", "--verify-workers", "1"]) == 0
    out = capsys.readouterr().out
    assert "sums: 40 rows, 8 tries of each; 40 failures, 8 reflections on each" in out
    for name in (
        "first try",
        "pass@8",
        "retry without a reflection",
        "one that has worked over any",
        "of a step's groups",
    ):
        (line,) = [line for line in out.splitlines() if line.strip().startswith(name)]
        assert "[" in line
    assert "forecast: will learn" in out


def test_the_command_writes_json_and_its_exit_code_says_no(
    site: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(site, SMALL_BATCH)
    engine = ScriptedGenerator(learns(0.0, 0.0, 0.0))
    monkeypatch.setattr(pipeline, "open_engine", lambda settings, progress: engine)
    code = cli.run_command(["probe", "sums", "--model", "m", "--rows", "40", "--verify-workers", "1", "--json"])
    assert code == 1
    content = json.loads(capsys.readouterr().out)
    assert content["tasks"]["sums"]["forecast"]["outlook"] == "will not"
    assert content["tasks"]["sums"]["findings"]["reached"]["low"] == 0


def test_one_row_is_refused_by_the_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_command(["probe", "countdown", "--rows", "1"]) == 2
    assert "rows" in capsys.readouterr().err


def test_first_tries_alone_rank_the_tasks(scripted: None, site: Any, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--model", "m", "--rows", "40", "--tries", "4", "--verify-workers", "1", "--first-tries"]
    assert cli.run_command(["probe", "su?s", *given]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["task", "first", "try"]
    cells = lines[1].split()
    assert cells[0] == "sums"
    assert 20 < int(cells[1].rstrip("%")) < 40, "six of ten pass on every other row"
    assert lines[-1] == "1 of 1 tasks pass 5% to 90% of first tries: worth a whole probe."
    assert cli.run_command(["probe", "sums", *given, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["tasks"]["sums"]
    assert found.keys() == {"findings"}
    assert found["findings"]["failures"] == 0, "nothing was reflected on"
    assert found["findings"]["rows"] == 40
    assert found["findings"]["own"] is None


def test_a_task_that_cannot_be_tried_leaves_the_others_figures(
    scripted: None, site: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    site.install_task("empty", extra="\n@hookimpl\ndef rrr_load_dataset(split):\n    return []\n")
    given = ["--model", "m", "--rows", "8", "--tries", "4", "--verify-workers", "1", "--first-tries"]
    assert cli.run_command(["probe", "empty", "sums", *given]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("empty: could not be tried: The train split of task 'empty' has 0 rows")
    assert lines[2].split()[0] == "sums"
    assert lines[-1].startswith("1 of 1 tasks pass")
    assert cli.run_command(["probe", "empty", "sums", *given, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["tasks"]
    assert (list(found["sums"]), list(found["empty"])) == (["findings"], ["error"])
    assert cli.run_command(["probe", "empty", *given]) == 2, "alone it is an error as ever"


def test_rows_left_out_are_in_the_table_of_first_tries(scripted: None, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--model", "m", "--rows", "40", "--tries", "2", "--verify-workers", "1", "--minutes", "0"]
    assert cli.run_command(["probe", "sums", *given, "--first-tries"]) == 0
    assert "  4 of 40  " in capsys.readouterr().out


def test_first_tries_take_no_option_of_reflections(scripted: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_command(["probe", "sums", "--first-tries", "--group-size", "4", "--model", "m"]) == 2
    assert "--group-size is of what follows a first try: leave it out" in capsys.readouterr().err


def test_a_pattern_is_the_installed_tasks_it_fits(scripted: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_command(["probe", "nothing-*", "--model", "m"]) == 2
    assert "no installed task has a name like 'nothing-*'" in capsys.readouterr().err
    assert cli.run_command(["probe", "sums", "sums", "--model", "m"]) == 2
    assert "named twice" in capsys.readouterr().err
    assert cli.run_command(["probe", "sums", "su?s", "--model", "m", "--rows", "2", "--verify-workers", "1"]) in (0, 1)
    assert capsys.readouterr().out.count("sums: 2 rows") == 1


def test_a_pattern_in_a_settings_file_is_too(
    scripted: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "settings.toml"
    given = ["probe", "--config", str(file), "--model", "m", "--rows", "2", "--verify-workers", "1"]
    file.write_text('[task]\nname = "sums su?s"\n')
    assert cli.run_command(given) in (0, 1)
    assert capsys.readouterr().out.count("sums: 2 rows") == 1
    file.write_text('[task]\nname = "nothing-*"\n')
    assert cli.run_command(given) == 2
    assert "no installed task has a name like 'nothing-*'" in capsys.readouterr().err
    assert cli.run_command([*given, "sums"]) in (0, 1), "a task named here overrides the file's"
