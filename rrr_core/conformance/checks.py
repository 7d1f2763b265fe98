"""The checks in the order they run, and how one is run."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rrr_core.conformance import (
    data_checks,
    learnability_checks,
    package_checks,
    policy_checks,
    prompt_checks,
    reward_checks,
    step_checks,
    verdict_checks,
)
from rrr_core.conformance.results import PAGE, Faulty, NotApplicable, Result, Seen, State, Violation
from rrr_core.conformance.settings import CheckSettings
from rrr_core.conformance.subject import Subject, Trainee
from rrr_core.errors import PluginError, RrrError, nearest
from rrr_core.tasks import find_overlays, find_tasks, load_task
from rrr_core.tasks.requests import read_request
from rrr_core.text import one_line
from rrr_core.verification import VerifySettings

Function: TypeAlias = Callable[[Subject], Seen]

CHECKS: dict[str, Function] = {
    function.__name__: function
    for function in (
        package_checks.check_task_loads,
        package_checks.check_import_is_light,
        package_checks.check_metadata_are_complete,
        package_checks.check_manifest_is_complete,
        package_checks.check_plugin_is_picklable,
        data_checks.check_splits_load,
        data_checks.check_rows_are_json,
        data_checks.check_splits_load_lazily,
        data_checks.check_rows_are_deterministic,
        data_checks.check_data_options_are_known,
        data_checks.check_own_rows_are_kept,
        prompt_checks.check_prompts_are_sound,
        data_checks.check_splits_are_disjoint,
        prompt_checks.check_prompts_are_deterministic,
        verdict_checks.check_verdicts_are_given,
        prompt_checks.check_prompts_leak_no_answer,
        verdict_checks.check_examples_get_their_verdicts,
        verdict_checks.check_gold_answers_pass,
        verdict_checks.check_malformed_answers_fail,
        verdict_checks.check_other_rows_answers_fail,
        verdict_checks.check_mutated_answers_fail,
        verdict_checks.check_failures_name_their_class,
        policy_checks.check_bad_policies_score_nothing,
        verdict_checks.check_verdicts_are_pure,
        verdict_checks.check_hostile_answers_do_no_harm,
        reward_checks.check_rewards_are_sound,
        step_checks.check_courses_lead_to_their_answers,
        step_checks.check_steps_are_pure,
        step_checks.check_courses_stay_bounded,
        step_checks.check_observations_leak_no_answer,
        step_checks.check_hostile_actions_do_no_harm,
    )
}
"""Name → check."""
MODEL_CHECKS: dict[str, Function] = {
    function.__name__: function
    for function in (
        learnability_checks.check_reward_can_be_reached,
        learnability_checks.check_rows_differ_in_difficulty,
        learnability_checks.check_groups_have_a_signal,
        learnability_checks.check_reflections_make_a_difference,
    )
}
"""Name → check of whether a model can learn on the task. They run after the others, and only with a model."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check of one task."""

    name: str
    subject: Subject

    @property
    def wants(self) -> str:
        """What the check wants, in one line."""
        return wants(self.name)

    def run(self) -> Result:
        """The result. Never raises for a fault of the plugin, the user or rrr."""
        return run_check(self.name, self.subject)


def checks_of(
    name: str,
    overlays: Sequence[str] = (),
    data: Mapping[str, str] | None = None,
    verify: VerifySettings | None = None,
    settings: CheckSettings | None = None,
    only: Sequence[str] = (),
    trainee: Trainee | None = None,
) -> list[Check]:
    """The checks of an installed task, in order. What several of them need is computed once, by the first.

    They share one `subject`: close it when they are done. With a `trainee`, the checks of whether it can learn follow.
    Raises RrrError if the task or an overlay is not
    installed, claimed twice or made for another core, or if `only` names an unknown check.
    """
    names = chosen(only, with_model=trainee is not None)
    require_usable(name, overlays)
    verify, settings = verify or VerifySettings(), settings or CheckSettings()
    subject = Subject(name, tuple(overlays), dict(data or {}), verify, settings, frozenset(names), trainee)
    return [Check(each, subject) for each in names]


def chosen(only: Sequence[str], with_model: bool = False) -> list[str]:
    """The names of the checks to run, in the order they run; all of them if `only` is empty.

    Raises RrrError for an unknown check, or one that needs a model.
    """
    known = [*CHECKS, *(MODEL_CHECKS if with_model else ())]
    wanted = [each if each.startswith("check_") else f"check_{each}" for each in (text.strip() for text in only)]
    for each in wanted:
        if each in MODEL_CHECKS and not with_model:
            raise RrrError(f"{each} needs a model: give `rrr check` one with --model, or --learn for the task's own.")
        if each not in known:
            raise RrrError(f"There is no check {each!r}.{nearest(each, known)} `{PAGE}` lists them.")
    return [name for name in known if not wanted or name in wanted]


def require_usable(name: str, overlays: Sequence[str] = ()) -> None:
    """Raise PluginError if there is nothing to check: not installed, claimed twice, or made for another core."""
    usable = {entry.name for entry in find_tasks() if not entry.error}
    known = {entry.name for entry in find_overlays() if not entry.error} if overlays else set()
    if name not in usable or not {read_request(each)[0] for each in overlays} <= known:
        load_task(name, overlays)


def run_check(name: str, subject: Subject) -> Result:
    """The result of running one check."""
    started = time.perf_counter()
    state: State
    message, seen, waits_for = "", Seen(), ""
    try:
        seen = _function(name)(subject)
        state = "passed"
    except Violation as violation:
        state, seen = "failed", Seen(figures=violation.figures)
        message = f"{subject.who}: {violation}"
    except NotApplicable as reason:
        state, message = "skipped", str(reason)
    except Faulty as fault:
        owned = fault.owner == name or fault.owner not in subject.asked
        state = fault.state if owned else "skipped"
        waits_for = "" if owned else fault.owner
        message = str(fault) if owned else f"waits for {waits_for}."
    except PluginError as error:
        state, message = "failed", str(error)
    except RrrError as error:
        state, message = "cannot be judged", str(error)
    except Exception as error:  # noqa: BLE001 - anything else is our own fault, and is reported as one
        state = "fault"
        message = f"rrr-core itself failed: {type(error).__name__}: {error}. Please report this."
    if state == "failed":
        message += f" See `{PAGE}#{name}`."
    seconds = time.perf_counter() - started
    return Result(name, state, one_line(message, 1000), seen.note, seconds, seen.figures, waits_for)


def wants(name: str) -> str:
    """What a check wants, in one line: the first line of its docstring."""
    return (inspect.getdoc(_function(name)) or "").partition("\n")[0]


def _function(name: str) -> Function:
    return CHECKS[name] if name in CHECKS else MODEL_CHECKS[name]
