"""The contract is a promise: what plugins rely on is pinned here, and is deprecated before it is removed.

A change that fails one of these tests breaks installed plugins; docs/compatibility.md says how to make a breaking
change.
"""

from __future__ import annotations

import dataclasses
import inspect
import warnings
from collections.abc import Mapping

import pytest

import rrr_core
from rrr_core import hookspecs
from rrr_core.hookspecs import hookspec
from rrr_core.tasks import describe_task, find_tasks, load_task
from rrr_core.tasks.discovery import OVERLAYS, TASKS
from rrr_core.tasks.hooks import HOOKS, REQUIRED

SIGNATURES = {
    "rrr_load_dataset": ("task", "split", "options"),
    "rrr_data_options": ("task",),
    "rrr_row": ("task", "row"),
    "rrr_prompt": ("task", "row", "model"),
    "rrr_verify": ("task", "row", "answer"),
    "rrr_step": ("task", "row", "state", "action", "calls"),
    "rrr_reward": ("task", "row", "answer", "verdict"),
    "rrr_reflection_prompt": ("task", "row", "attempt", "model"),
    "rrr_retry_prompt": ("task", "row", "model"),
    "rrr_examples": ("task",),
    "rrr_warmup": ("task", "split", "count", "seed"),
    "rrr_gold_answer": ("task", "row"),
    "rrr_final_answer": ("task", "row", "text"),
    "rrr_worked_reflection": ("task", "row", "attempt"),
    "rrr_default_model": ("task",),
    "rrr_presets": ("task", "command"),
    "rrr_manifest": ("task",),
    "rrr_configure": ("options",),
    "rrr_judge": ("task", "pairs"),
    "rrr_combine": ("task", "row", "answer", "votes"),
}
"""Hook → its arguments. Hooks may be added, and arguments at the end; none may be removed without deprecation."""

RECORDS = {
    "Action": ("text", "calls"),
    "DataOption": ("name", "help", "kind", "default", "bounds", "choices", "sources"),
    "Example": ("row", "answer", "outcome", "category", "reason", "hostile", "actions"),
    "Call": ("name", "arguments"),
    "Manifest": ("summary", "source", "revision", "data_license", "categories", "deterministic"),
    "Model": ("name", "family", "takes_tools", "calls"),
    "Step": ("observation", "state", "answer"),
    "Verdict": ("outcome", "category", "detail", "score"),
}
"""Record that plugins make or read → its fields, in order: plugins may pass them by position."""

FUNCTIONS = {
    "failed": ("category", "detail"),
    "final": ("answer",),
    "from_reward": ("function", "threshold", "shape", "longest"),
    "observed": ("observation", "state"),
    "passed": (),
    "read_run": ("folder", "say"),
    "trusted": ("function",),
    "withheld": ("detail",),
}


def test_the_hooks_and_their_arguments_are_those_that_were_promised():
    assert SIGNATURES == HOOKS


def test_what_a_task_must_implement_is_what_was_promised():
    assert REQUIRED == ("rrr_load_dataset", "rrr_prompt", "rrr_verify")


def test_the_first_answer_of_a_hook_counts():
    options = {name: getattr(hookspecs, name).rrr_spec for name in HOOKS}
    assert all(option["firstresult"] and not option["historic"] for option in options.values())


@pytest.mark.parametrize("name", RECORDS)
def test_the_fields_of_a_record_are_those_that_were_promised(name):
    fields = dataclasses.fields(getattr(rrr_core, name))
    assert tuple(field.name for field in fields) == RECORDS[name]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_arguments_of_a_function_are_those_that_were_promised(name):
    assert tuple(inspect.signature(getattr(rrr_core, name)).parameters) == FUNCTIONS[name]


def test_all_that_a_plugin_imports_is_promised():
    others = {"Message", "Prompt", "Row", "hookimpl"}
    assert set(rrr_core.__all__) == {*RECORDS, *FUNCTIONS, *others}


def test_the_names_in_a_plugins_metadata_are_those_that_were_promised():
    assert (TASKS, OVERLAYS, hookspecs.PROJECT) == ("rrr.tasks", "rrr.overlays", "rrr")


@pytest.fixture
def aging(monkeypatch):
    """The contract with one hook, and one argument of another, deprecated."""

    @hookspec(firstresult=True, warn_on_impl=DeprecationWarning("rrr_gold_answer goes in 0.3: use rrr_examples."))
    def rrr_gold_answer(task: str, row: Mapping[str, object]) -> str | None: ...

    @hookspec(firstresult=True, warn_on_impl_args={"task": DeprecationWarning("rrr_final_answer loses task in 0.3.")})
    def rrr_final_answer(task: str, row: Mapping[str, object], text: str) -> str | None: ...

    for spec in (rrr_gold_answer, rrr_final_answer):
        monkeypatch.setattr(hookspecs, spec.__name__, spec)


OLD = {
    "a hook": ("@hookimpl\ndef rrr_gold_answer(row): ...", "rrr_gold_answer goes in 0.3: use rrr_examples."),
    "an argument": ("@hookimpl\ndef rrr_final_answer(task, text): ...", "rrr_final_answer loses task in 0.3."),
}


@pytest.mark.parametrize(("extra", "message"), OLD.values(), ids=OLD)
def test_what_is_deprecated_warns_once_at_the_plugins_own_line(site, aging, extra, message):
    site.install_task("sums", extra=extra)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_task("sums")
    (warning,) = caught
    line = (site.folder / "rrr_sums.py").read_text().splitlines()[warning.lineno - 1]
    assert warning.filename == str(site.folder / "rrr_sums.py")
    assert (warning.category, str(warning.message), line) == (DeprecationWarning, message, "@hookimpl")


def test_a_hook_that_does_not_take_the_deprecated_argument_is_silent(site, aging):
    site.install_task("sums", extra="@hookimpl\ndef rrr_final_answer(text): return 'six'")
    assert load_task("sums").final_answer({}, "6") == "six"


def test_a_plugin_that_uses_what_is_deprecated_still_works(site, aging):
    site.install_task("sums", extra="@hookimpl\ndef rrr_gold_answer(row): return str(row['a'] + row['b'])")
    with pytest.warns(DeprecationWarning, match="rrr_gold_answer goes"):
        task = load_task("sums")
    assert task.gold_answer({"a": 1, "b": 2}) == "3"


def test_listing_tasks_warns_of_nothing(site, aging):
    site.install_task("sums", extra="@hookimpl\ndef rrr_gold_answer(row): ...")
    (entry,) = [entry for entry in find_tasks() if entry.name == "sums"]
    assert describe_task(entry).state == "ok"
