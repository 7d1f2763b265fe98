"""`rrr check`: one line per check, one sentence for what is wrong, and an exit code for each outcome."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from rrr_core import cli, pipeline
from rrr_core.conformance import CHECKS
from rrr_core.verification import runner
from tests.conformance.planted import IN_STEPS, PLANTS, Plant, install
from tests.fakes import ScriptedGenerator


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `rrr check sums` on a few rows; returns exit code, output and errors."""

    def run(*options: str, task: str = "sums") -> tuple[int, str, str]:
        code = cli.run_command(["check", task, "--rows", "5", "--workers", "1", "--cpu-seconds", "1", *options])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def planted(name: str) -> Plant:
    return next(plant for plant in PLANTS if plant.id == name)


def test_a_sound_task_passes_with_one_line_per_check_and_one_with_the_counts(site: Any, check: Any) -> None:
    install(site, Plant("", "", base=IN_STEPS))
    code, output, errors = check()
    *lines, last = output.splitlines()
    assert (code, errors) == (0, "")
    assert [line.split()[:2] for line in lines] == [["passed", name] for name in CHECKS]
    assert last.startswith(f"rrr-sums 1.0: {len(CHECKS)} passed in ")
    assert last.endswith("; mutation score 100.0%")


def test_a_failed_check_is_explained_below_its_line_and_sets_the_exit_code(site: Any, check: Any) -> None:
    install(site, planted("check_gold_answers_pass"))
    code, output, _ = check("--only", "splits_load", "--only", "gold_answers_pass")
    assert code == 1
    loaded, gold, why, last = output.splitlines()
    assert loaded.startswith("passed   check_splits_load")
    assert gold.startswith("FAILED   check_gold_answers_pass")
    assert why.startswith("         rrr-sums 1.0: gold answer 0, '2002', is failed as 'wrong sum'")
    assert why.endswith("See `rrr docs checks.md#check_gold_answers_pass`.")
    assert last.startswith("rrr-sums 1.0: 1 passed, 1 failed in ")


@pytest.mark.parametrize(
    ("plant", "sentence"),
    [
        ("check_task_loads", "rrr-sums 1.0: its module rrr_sums cannot be imported: SyntaxError"),
        ("check_task_loads-misspelt", "rrr-sums 1.0, hook rrr_gold_anser at rrr_sums.py:44: there is no such hook."),
        ("check_task_loads-exits", "rrr-sums 1.0: it ended its process with status 3."),
        ("check_verdicts_are_given", "rrr-sums 1.0, hook rrr_verify: ZeroDivisionError at rrr_sums.py:"),
        ("check_verdicts_are_given-hangs", "rrr-sums 1.0, hook rrr_verify: no verdict on an answer of its own"),
        ("check_verdicts_are_given-exits", "rrr-sums 1.0, hook rrr_verify: its process exited with status 4"),
    ],
)
def test_a_broken_plugin_gets_one_sentence_and_the_other_checks_wait(
    site: Any, check: Any, plant: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "START_SECONDS", 2.0 if plant.endswith("hangs") else runner.START_SECONDS)
    install(site, planted(plant))
    code, output, _ = check()
    assert code == 1
    assert output.count("FAILED") == 1
    assert output.count("rrr-sums 1.0") == 2, "the sentence, and the last line"
    assert sentence in output


def test_the_checks_that_wait_for_another_share_one_line_at_the_end(site: Any, check: Any) -> None:
    install(site, planted("check_task_loads"))
    failed, *_, waiting, last = check()[1].splitlines()
    assert failed.startswith("FAILED   check_task_loads")
    assert waiting == f"skipped  check_import_is_light and {len(CHECKS) - 3} more wait for check_task_loads."
    assert last.startswith(f"rrr-sums 1.0: 1 passed, 1 failed, {len(CHECKS) - 2} skipped in ")


def test_the_checks_that_lack_the_same_hook_share_one_line(site: Any, check: Any) -> None:
    install(site)
    assert check()[1].splitlines()[-2] == (
        "skipped  check_courses_lead_to_their_answers and 4 more: there is no hook rrr_step."
    )


def test_two_distributions_that_claim_the_task_are_both_named_and_nothing_is_judged(site: Any, check: Any) -> None:
    install(site)
    site.install("rrr-other", "2.0", tasks={"sums": "rrr_other"})
    code, output, errors = check()
    assert (code, output) == (2, "")
    assert errors.count("\n") == 1
    assert "rrr-other 2.0" in errors
    assert "rrr-sums 1.0" in errors


def test_a_task_for_a_newer_core_is_not_judged(site: Any, check: Any) -> None:
    install(site, Plant("", "", metadata=(">=0.0.1,<99", ">=98,<99")))
    code, output, errors = check()
    assert (code, output) == (2, "")
    assert "rrr-sums 1.0 needs rrr-core" in errors


def test_a_task_that_is_not_installed_is_not_judged(check: Any) -> None:
    code, output, errors = check(task="countdwn")
    assert (code, output) == (2, "")
    assert "Did you mean 'countdown'?" in errors


def test_missing_data_has_its_own_exit_code(check: Any, tmp_path: Path) -> None:
    code, output, _ = check("--data", f"source={tmp_path}/rows.jsonl", "--only", "splits_load", task="countdown")
    assert code == 2
    assert "cannot be judged: " in output
    assert "No such file" in output


def test_a_fault_of_ours_has_its_own_exit_code(site: Any, check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    install(site)
    monkeypatch.setitem(CHECKS, "check_task_loads", lambda subject: 1 / 0)
    code, output, _ = check("--only", "task_loads")
    assert code == 3
    assert "rrr-core itself failed: ZeroDivisionError" in output


def test_an_unknown_check_is_refused_with_the_nearest_name(site: Any, check: Any) -> None:
    install(site)
    code, _, errors = check("--only", "gold_answer_pass")
    assert code == 2
    assert "Did you mean 'check_gold_answers_pass'" in errors


def test_only_the_json_object_is_written_whatever_the_plugin_prints(site: Any, check: Any) -> None:
    install(site, Plant("", "", "counter =", "print('loud')\ncounter ="))
    code, output, _ = check("--json", "--only", "splits_load")
    assert code == 0
    assert json.loads(output)["counts"]["passed"] == 1


def test_the_xml_is_written_even_if_a_check_failed(site: Any, check: Any, tmp_path: Path) -> None:
    install(site, planted("check_gold_answers_pass"))
    code, _, _ = check("--junit", str(tmp_path / "checks.xml"), "--only", "gold_answers_pass")
    assert code == 1
    (suite,) = ElementTree.parse(tmp_path / "checks.xml").getroot()
    assert suite.get("failures") == "1"


def test_an_unwritable_xml_file_is_reported_in_one_line(site: Any, check: Any, tmp_path: Path) -> None:
    install(site)
    code, _, errors = check("--junit", str(tmp_path / "nowhere" / "checks.xml"), "--only", "manifest_is_complete")
    assert code == 2
    assert "checks.xml cannot be written" in errors


def test_an_overlay_is_checked_with_the_task(site: Any, check: Any) -> None:
    install(site)
    site.install_overlay(
        "strict",
        """
        from rrr_core import failed, hookimpl

        @hookimpl
        def rrr_verify(row, answer):
            return failed("wrong sum")
        """,
    )
    code, output, _ = check("--with", "strict", "--only", "gold_answers_pass")
    assert code == 1
    assert "rrr-sums 1.0 with overlay strict: gold answer 0, '2001', is failed as 'wrong sum'" in output


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--device", "cpu"), "options of a model act only with one: name it with --model, or give --learn."),
        (("--model-rows", "4"), "--model-rows needs --model or --learn, and at most --rows rows."),
        (("--learn", "--model-rows", "6"), "--model-rows needs --model or --learn, and at most --rows rows."),
        (("--only", "groups_have_a_signal"), "check_groups_have_a_signal needs a model"),
    ],
)
def test_options_of_a_model_are_refused_where_none_is_asked_for(
    site: Any, check: Any, options: tuple[str, ...], sentence: str
) -> None:
    install(site)
    code, output, errors = check(*options)
    assert (code, output) == (2, "")
    assert sentence in errors


def test_with_a_model_four_more_checks_follow(site: Any, check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    install(site)
    monkeypatch.setattr(pipeline, "open_engine", lambda settings, progress: ScriptedGenerator(lambda *_: "7"))
    code, output, _ = check("--model", "x", "--json", "--only", "splits_load", "--only", "reward_can_be_reached")
    loaded, reached = json.loads(output)["checks"]
    assert (code, loaded["state"]) == (2, "passed")
    assert (reached["name"], reached["state"]) == ("check_reward_can_be_reached", "cannot be judged")
    assert "no try of 40 on 5 rows passed, 0% [0%, 43%]: 40 'wrong sum'." in reached["message"]


def test_a_task_without_a_model_of_its_own_cannot_be_asked_whether_it_learns(site: Any, check: Any) -> None:
    install(site)
    code, output, _ = check("--learn", "--only", "reward_can_be_reached")
    assert code == 2
    assert "cannot be judged: task 'sums' has no model of its own: name one with --model." in output
