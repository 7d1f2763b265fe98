"""Each check finds its own kind of fault and no other; a sound plugin passes all checks."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from rrr_core.cli import pages
from rrr_core.conformance import CHECKS, CheckSettings, Result, checks_of, observation, step_checks
from rrr_core.conformance.checks import chosen, wants
from rrr_core.conformance.data_checks import HASHED_SPLITS
from rrr_core.errors import RrrError
from rrr_core.verification import VerifySettings, runner
from tests.conformance.planted import IN_STEPS, PLANTS, SOUND, STEP, VERIFY, WITH_CALLS, Plant, install

FEW = CheckSettings(rows=10, compared=60, first_row_seconds=0.5, first_row_megabytes=100)
OF_STEPS = {name for name, function in CHECKS.items() if function.__module__ == step_checks.__name__}
QUICK = VerifySettings(cpu_seconds=1.0, workers=1)


def check(name: str = "sums", only: tuple[str, ...] = (), **options: Any) -> list[Result]:
    checks = checks_of(name, verify=QUICK, settings=FEW, only=only, **options)
    with checks[0].subject:
        return [each.run() for each in checks]


def test_a_sound_plugin_passes_every_check(site: Any) -> None:
    install(site)
    others = [(each.name, each.message) for each in check() if each.state != "passed"]
    assert {message for _, message in others} == {"there is no hook rrr_step."}
    assert {name for name, _ in others} == OF_STEPS


def test_a_sound_plugin_that_acts_in_steps_passes_every_check(site: Any) -> None:
    install(site, Plant("", "", base=IN_STEPS))
    assert [(each.name, each.message) for each in check() if each.state != "passed"] == []


def test_a_sound_plugin_whose_examples_call_tools_passes_every_check(site: Any) -> None:
    install(site, Plant("", "", base=WITH_CALLS))
    assert [(each.name, each.message) for each in check() if each.state != "passed"] == []


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.id)
def test_a_planted_fault_is_found_by_its_own_check_alone(
    site: Any, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    if plant.id == "check_verdicts_are_given-hangs":
        monkeypatch.setattr(runner, "START_SECONDS", 2.0)
    install(site, plant)
    results = check()
    failed = {each.name: each.message for each in results if each.state not in ("passed", "skipped")}
    assert list(failed) == [plant.check], failed
    message = failed[plant.check]
    assert plant.says in message
    assert "rrr-sums 1.0" in message
    assert message.endswith(f"See `rrr docs checks.md#{plant.check}`.")


def test_a_check_does_not_wait_for_one_that_does_not_run(site: Any) -> None:
    install(site, next(plant for plant in PLANTS if plant.id == "check_splits_load-raises"))
    (result,) = check(only=("gold_answers_pass",))
    assert result.state == "failed"
    assert "KeyError" in result.message


def test_a_check_waits_for_the_one_that_reports_the_cause(site: Any) -> None:
    install(site, next(plant for plant in PLANTS if plant.id == "check_splits_load-raises"))
    waiting = next(result for result in check() if result.name == "check_gold_answers_pass")
    assert (waiting.state, waiting.message) == ("skipped", "waits for check_splits_load.")


def test_a_plugin_whose_examples_are_wrong_is_not_blamed_for_how_its_hooks_are_defined(site: Any) -> None:
    install(site, Plant("", "", '"5", "passed"', '"5", "pass"'))
    waiting = next(result for result in check() if result.name == "check_plugin_is_picklable")
    assert (waiting.state, waiting.waits_for) == ("skipped", "check_examples_get_their_verdicts")


def test_one_error_class_is_a_class_and_not_classes(site: Any) -> None:
    install(
        site,
        Plant(
            "",
            "",
            SOUND,
            SOUND.replace('"not a number", "wrong sum"))', '"wrong sum",))')
            .replace('failed("not a number"', 'failed("wrong sum"')
            .replace('"failed", "not a number"', '"failed", "wrong sum"'),
        ),
    )
    (result,) = check(only=("failures_name_their_class",))
    assert (result.state, result.note) == ("passed", "1 class")


def test_with_missing_data_the_check_cannot_be_judged(site: Any) -> None:
    raises = (
        "    from rrr_core.errors import DataError\n    raise DataError('rows.jsonl: no such file.')\n    first = {"
    )
    install(site, Plant("check_splits_load", "", "    first = {", raises))
    results = {each.name: each for each in check()}
    assert results["check_splits_load"].state == "cannot be judged"
    assert results["check_splits_load"].message == "rows.jsonl: no such file."
    assert results["check_gold_answers_pass"].state == "skipped"


def test_a_data_option_reaches_the_rows(site: Any) -> None:
    source = "rrr_load_dataset(split, options):\n    assert options == {'size': '3'}, options"
    install(site, Plant("", "", "rrr_load_dataset(split):", source))
    (result,) = check(only=("splits_load",), data={"size": "3"})
    assert result.state == "passed"


def test_a_hook_that_hangs_is_ended_and_named(site: Any) -> None:
    install(site, Plant("", "", "    first = {", "    time.sleep(600)\n    first = {"))
    checks = checks_of("sums", verify=QUICK, settings=CheckSettings(silence_seconds=1.0), only=["splits_load"])
    result = checks[0].run()
    assert result.state == "failed"
    assert "rrr-sums 1.0, hook rrr_load_dataset: no output for 1 seconds" in result.message


def test_an_import_that_the_sandbox_denies_is_not_blamed_on_an_answer(site: Any) -> None:
    install(site, Plant("", "", VERIFY, f"    import no_such_module\n{VERIFY}"))
    (result,) = check(only=("verdicts_are_given",))
    assert "the sandbox denied the import of it: import it at the top of the module)." in result.message
    assert "answer" not in result.message


def test_a_long_mutated_answer_is_shown_where_it_was_changed(site: Any) -> None:
    strict, lenient = 'fullmatch(r"\\s*([1-9]', 'search(r"=\\s*([1-9]'
    install(site, Plant("", "", strict, lenient))
    words = "first both numbers are added, " * 9
    module = site.folder / "rrr_sums.py"
    source = module.read_text().replace(
        'return str(row["a"] + row["b"])', f"return f\"{words}= {{row['a'] + row['b']}}\""
    )
    module.write_text(source)
    (result,) = check(only=("mutated_answers_fail",))
    shown = re.findall(r"\d+×, …?(['\"])(.*?)\1…? \(\d+ characters\)", result.message)
    assert len(shown) == 3, result.message
    assert all(text not in words for _, text in shown)


def test_without_gold_answers_the_checks_that_need_them_are_skipped(site: Any) -> None:
    install(site, Plant("", "", "@hookimpl\ndef rrr_gold_answer", "def gold_answer"))
    results = check()
    assert {each.name for each in results if each.state == "skipped"} == {
        "check_gold_answers_pass",
        "check_other_rows_answers_fail",
        "check_mutated_answers_fail",
        *OF_STEPS,
    }
    assert {each.state for each in results} == {"passed", "skipped"}


def test_verdicts_that_the_manifest_calls_not_deterministic_need_not_be_pure(site: Any) -> None:
    plant = next(plant for plant in PLANTS if plant.id == "check_verdicts_are_pure")
    impure = SOUND.replace(plant.old, plant.new).replace('"wrong sum"))', '"wrong sum"), False)')
    install(site, Plant("", "", SOUND, impure))
    (result,) = check(only=("verdicts_are_pure",))
    assert result.state == "skipped"


def test_a_state_that_makes_no_difference_is_reported(site: Any) -> None:
    install(site, Plant("", "", STEP, "    state = None\n" + STEP, base=IN_STEPS))
    (result,) = check(only=("steps_are_pure",))
    assert result.state == "passed"
    assert "no state made a difference here: is rrr_step to ignore it?" in result.note


def test_steps_of_a_task_that_says_it_is_not_deterministic_need_not_be_pure(site: Any) -> None:
    counting = IN_STEPS.replace('f"{name} is', 'f"{next(counter)}: {name} is')
    install(site, Plant("", "", base=counting.replace('"wrong sum"))', '"wrong sum"), False)')))
    (result,) = check(only=("steps_are_pure",))
    assert result.state == "skipped"


def test_the_mutation_score_is_reported(site: Any) -> None:
    install(site)
    (result,) = check(only=("mutated_answers_fail",))
    assert result.figures["mutation_score"] == 1
    assert result.note.startswith("mutation score 100.0%: ")


INT = """
    try:
        return passed() if int(answer) == row["a"] + row["b"] else failed("wrong sum")
    except ValueError:
        return failed("not a number")
"""


def test_what_int_accepts_besides_plain_digits_is_reported(site: Any) -> None:
    install(site, Plant("", "", VERIFY, INT + VERIFY))
    (result,) = check(only=("mutated_answers_fail",))
    assert result.state == "passed"
    reported = result.note.partition("most often passed: ")[2]
    assert reported.startswith("a full-width character (")
    assert "a digit of another script (" in reported
    assert reported.endswith(", and 2 more ways")


@pytest.mark.parametrize(
    ("fold", "word", "survivor"),
    [("upper", "i", r"'\u0131 "), ("lower", "Kelvin", r"'\u212aelvin "), ("casefold", "is", r"'i\u017f ")],
)
def test_letters_that_fold_into_those_of_the_answer_are_reported(
    site: Any, fold: str, word: str, survivor: str
) -> None:
    right = f"f\"{word} {{row['a'] + row['b']}}\""
    verify = f"    if answer.strip().{fold}() == {right}.{fold}():\n        return passed()\n"
    install(
        site,
        Plant("", "", SOUND, SOUND.replace(VERIFY, verify + VERIFY).replace('str(row["a"] + row["b"])', right)),
    )
    (result,) = check(only=("mutated_answers_fail",))
    assert result.state == "passed"
    assert "most often passed: a letter that folds into ASCII (" in result.note
    assert survivor in result.note


def test_a_fault_of_rrr_is_reported_as_one(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    install(site)

    def broken(subject: object) -> None:
        raise ZeroDivisionError("in rrr")

    monkeypatch.setitem(CHECKS, "check_task_loads", broken)
    (result,) = check(only=("task_loads",))
    assert result.state == "fault"
    assert "rrr-core itself failed: ZeroDivisionError: in rrr" in result.message


def test_an_unknown_check_is_an_error_that_suggests_the_nearest() -> None:
    with pytest.raises(RrrError, match="Did you mean 'check_gold_answers_pass'"):
        checks_of("sums", only=["gold_answer_pass"])


def test_a_check_can_be_named_with_or_without_its_prefix() -> None:
    assert chosen(["check_splits_load"]) == chosen(["splits_load"]) == ["check_splits_load"]


def test_there_is_a_plant_for_every_check() -> None:
    assert {plant.check for plant in PLANTS} == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_says_what_it_wants_in_one_sentence(name: str) -> None:
    assert wants(name).endswith(".")


def test_a_verifier_that_only_breaks_the_tight_limits_fails_the_hostile_check_alone(site: Any) -> None:
    late = "    global ready\n    if not ready:\n        ready = bytearray(80 << 20)\n"
    install(
        site, Plant("", "", SOUND, SOUND.replace(VERIFY, late + VERIFY).replace("counter =", "ready = b''\ncounter ="))
    )
    tight = CheckSettings(rows=2, compared=60, hostile_memory_mb=40)
    checks = checks_of("sums", verify=QUICK, settings=tight, only=["verdicts_are_given", "hostile_answers_do_no_harm"])
    with checks[0].subject:
        given, hostile = (each.run() for each in checks)
    assert given.state == "passed"
    assert hostile.state == "failed"
    assert "memory" in hostile.message


def test_the_recipe_that_a_message_names_is_in_the_docs() -> None:
    assert "bucket_of" in pages.find(HASHED_SPLITS)


@pytest.mark.parametrize("base", [SOUND, IN_STEPS], ids=["at once", "in steps"])
def test_a_check_that_takes_too_long_stops_and_cannot_be_judged(site: Any, base: str) -> None:
    slow = "    time.sleep(0.05)\n"
    install(site, Plant("", "", VERIFY, slow + VERIFY, base=base.replace(STEP, slow + STEP)))
    only = ("hostile_actions_do_no_harm",) if base is IN_STEPS else ("hostile_answers_do_no_harm",)
    checks = checks_of("sums", verify=VerifySettings(workers=1), settings=CheckSettings(check_seconds=0.5), only=only)
    began = time.monotonic()
    with checks[0].subject:
        (result,) = [each.run() for each in checks]
    assert result.state == "cannot be judged"
    assert "the check has taken 0.5 seconds, and is not done. Make the hook faster, check fewer rows (--rows)" in (
        result.message
    )
    assert time.monotonic() - began < 60


def test_a_probe_that_is_slow_to_end_is_ended_and_what_it_said_counts(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observation, "STATUS_SECONDS", 0.0)
    install(site)
    results = check(only=("task_loads", "rows_are_json"))
    assert [each.state for each in results] == ["passed", "passed"]
