"""Overlays that take options: how options are written, passed to the overlay, refused and recorded."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrr_core.errors import PluginError, RrrError
from rrr_core.hookspecs import Model
from rrr_core.tasks import describe_task, find_overlays, load_task, requests
from rrr_core.tasks.requests import read_request, write_request
from rrr_core.verification import Judge, VerifySettings

MODEL = Model("gpt2")
TERSE = """
    from rrr_core import hookimpl
    from rrr_core.errors import RrrError

    @hookimpl
    def rrr_retry_prompt():
        return "Once more."

    @hookimpl
    def rrr_configure(options):
        if set(options) - {"words"}:
            raise RrrError("--with terse has the option words alone.")
        words = options.get("words", "50")

        @hookimpl
        def rrr_prompt(row):
            return f"{row['a']} + {row['b']} in {words} words"

        return [rrr_prompt]
"""
"""An overlay with one hook in its module and one bound to its option."""


@pytest.fixture
def terse(site):
    site.install_task("sums")
    site.install_overlay("terse", TERSE)
    return site


def prompt_of(*overlays):
    return load_task("sums", overlays).prompt({"a": 1, "b": 2}, MODEL)[0]["content"]


def configured(body):
    return f"from rrr_core import hookimpl, passed\n@hookimpl\ndef rrr_configure(options):\n    {body}\n"


def test_the_examples_of_the_requests_are_true():
    assert doctest.testmod(requests).failed == 0


@given(st.dictionaries(st.text("abc_", min_size=1), st.text("ab,=: ")))
def test_a_request_is_read_as_it_was_written(options):
    assert read_request(write_request("terse", options)) == ("terse", options)


@pytest.mark.parametrize("text", ["terse:", "terse:words", "terse:=1", "terse:words=1,", "terse:a=1,a=2"])
def test_a_malformed_request_is_refused_with_the_text_that_was_given(text):
    with pytest.raises(RrrError, match=f"--with {text}: "):
        read_request(text)


def test_an_overlay_gets_its_options(terse):
    assert prompt_of("terse:words=20") == "1 + 2 in 20 words"


def test_an_overlay_is_configured_without_options_too(terse):
    assert prompt_of("terse") == "1 + 2 in 50 words"


def test_the_modules_own_hooks_apply_along_with_those_it_gives(terse):
    assert load_task("sums", ["terse:words=20"]).retry_prompt({}, MODEL) == "Once more."


def test_two_tasks_hold_one_overlay_with_different_options(terse):
    first, second = load_task("sums", ["terse:words=1"]), load_task("sums", ["terse:words=2"])
    prompts = [task.prompt({"a": 1, "b": 2}, MODEL)[0]["content"] for task in (first, second)]
    assert prompts == ["1 + 2 in 1 words", "1 + 2 in 2 words"]


def test_an_overlay_is_stacked_twice_only_with_different_options(terse):
    assert prompt_of("terse:words=1", "terse:words=2") == "1 + 2 in 2 words"
    with pytest.raises(PluginError, match="'terse:words=1' is asked for twice"):
        prompt_of("terse:words=1", "terse:words=1")


def test_a_refused_option_is_reported_in_the_overlays_own_words(terse):
    with pytest.raises(RrrError, match=r"^--with terse has the option words alone\.$"):
        prompt_of("terse:wrods=20")


def test_an_overlay_without_the_hook_refuses_options(site):
    site.install_task("sums")
    site.install_overlay("polite", "from rrr_core import hookimpl\n@hookimpl\ndef rrr_prompt(row): return 'Please.'")
    with pytest.raises(RrrError, match=r"--with polite:very=yes: the overlay of rrr-polite 2\.0 takes no options"):
        prompt_of("polite:very=yes")


def test_a_task_cannot_be_configured(site):
    site.install_task("sums", extra="from rrr_core import hookimpl\n@hookimpl\ndef rrr_configure(options): return []")
    with pytest.raises(
        PluginError, match=r"rrr-sums 1\.0, hook rrr_configure at rrr_sums\.py:\d+: only an overlay can be configured"
    ):
        load_task("sums")


FAULTS = {
    "an exception": ("return 1 / 0", "ZeroDivisionError at rrr_odd.py:4"),
    "no list": ("return 5", "TypeError"),
    "no function": ("return [5]", "gave int, not a function marked @hookimpl"),
    "not marked": ("return [lambda: None]", "gave function, not a function marked @hookimpl"),
    "no such hook": ("def rrr_prmpt(): ...\n    return [hookimpl(rrr_prmpt)]", "Did you mean 'rrr_prompt'"),
    "twice": (
        "def rrr_prompt(): ...\n    return [hookimpl(rrr_prompt)] * 2",
        "gave rrr_prompt, which is there already",
    ),
}


@pytest.mark.parametrize(("body", "reason"), FAULTS.values(), ids=FAULTS)
def test_a_fault_in_the_hook_names_the_overlay(site, body, reason):
    site.install_task("sums")
    site.install_overlay("odd", configured(body))
    with pytest.raises(PluginError) as caught:
        prompt_of("odd")
    assert "rrr-odd 2.0, hook rrr_" in str(caught.value)
    assert reason in str(caught.value)


def test_an_overlay_that_needs_options_is_described_without_them(site):
    site.install_overlay("needy", configured("raise RuntimeError('needs options')"))
    (entry,) = [entry for entry in find_overlays() if entry.name == "needy"]
    assert (describe_task(entry).state, describe_task(entry).hooks) == ("ok", ("rrr_configure",))


def test_the_options_are_part_of_the_provenance(terse):
    assert load_task("sums", ["terse:words=20"]).provenance()["overlays"] == [
        {"name": "terse", "distribution": "rrr-terse", "version": "2.0", "options": {"words": "20"}}
    ]


def test_a_sandboxed_verifiers_overlay_has_its_options(site):
    site.install_task("sums")
    verify = "def rrr_verify(answer): return passed() if answer == options['word'] else None"
    site.install_overlay("word", configured(f"{verify}\n    return [hookimpl(rrr_verify)]"))
    task = load_task("sums", ["word:word=abracadabra"])
    with Judge(task, settings=VerifySettings(isolation="process", workers=1)) as judge:
        verdicts = judge.judge([({"a": 1, "b": 2}, answer) for answer in ("abracadabra", "3", "4")])
    assert [verdict.outcome for verdict in verdicts] == ["passed", "passed", "failed"]
