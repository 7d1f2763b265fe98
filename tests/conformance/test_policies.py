"""Policies without skill: what they write to a prompt, and how they act in a task with steps."""

from __future__ import annotations

from typing import Any

from rrr_core.conformance import CheckSettings, Result, checks_of
from rrr_core.conformance.policy_checks import POLICIES
from rrr_core.tasks import load_task
from rrr_core.verification import VerifySettings
from tests.conformance.planted import Plant, install

STEPPING = """
from rrr_core.hookspecs import final, observed


@hookimpl
def rrr_step(row, state, action):
    {body}


@hookimpl
def rrr_manifest"""


def written(name: str, text: str) -> list[str]:
    (policy,) = (each for each in POLICIES if each.name == name)
    return list(policy.answers([{"role": "user", "content": text}]))


def check(site: Any, body: str) -> Result:
    install(site, Plant("", "", "\n@hookimpl\ndef rrr_manifest", STEPPING.format(body=body)))
    settings, verify = CheckSettings(rows=10, compared=20), VerifySettings(workers=1)
    checks = checks_of("sums", verify=verify, settings=settings, only=["bad_policies_score_nothing"])
    with checks[0].subject:
        assert load_task("sums").has_steps
        return checks[0].run()


def test_a_guess_is_tried_bare_and_where_verifiers_look_for_an_answer() -> None:
    assert written("the prompt's last number", "From 3 to -4.5, say.") == [
        "-4.5",
        "<answer>-4.5</answer>",
        "```\n-4.5\n```",
        "\\boxed{-4.5}",
    ]
    assert written("the prompt's last number", "No number.") == []


def test_the_longest_quotation_is_found_in_quotes_backticks_and_tags() -> None:
    name = "the longest quotation in the prompt"
    assert written(name, 'Say "a" or `bc`, as in <answer>1 + 2</answer>.')[0] == "1 + 2"
    assert written(name, "«oui» or “no”, it's")[0] == "oui"


def test_in_a_task_with_steps_a_policy_repeats_its_text_to_the_end_of_the_course(site: Any) -> None:
    result = check(
        site, "return final(str(row['a'] + row['b'])) if state else observed('Once more.', 1)  # whatever is written"
    )
    assert result.state == "failed"
    assert "the empty answer, or blanks passes for 100%" in result.message


def test_steps_that_lead_nowhere_score_nothing(site: Any) -> None:
    assert check(site, "return observed('Once more.', 1)").state == "passed"


def test_a_fault_of_a_step_is_named_with_the_action(site: Any) -> None:
    result = check(site, "raise KeyError(action)")
    assert result.state == "failed"
    assert "hook rrr_step: KeyError" in result.message
    assert "on the action ''" in result.message
