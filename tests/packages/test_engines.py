"""Engines from other distributions, installed from wheels: a sound one works, broken ones are blamed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.packages.conftest import Environment

pytestmark = pytest.mark.packages

MINE = ("mine", "countdown", "--model", "any", "--rows", "3", "--tries", "2")

CASES = {
    "rrr-mute-engine": (
        "rrr-mute-engine 1.0: its module rrr_mute_engine cannot be imported: SyntaxError at rrr_mute_engine.py:3: "
        "'(' was never closed. Fix it, or report it to the authors of rrr-mute-engine."
    ),
    "rrr-odd-engine": (
        "rrr-odd-engine 1.0: the value of its entry point, 'rrr_odd_engine:ENGINE', is dict: it has to be "
        "`module:NAME` of an EngineSpec (`rrr docs engines.md#bring-an-engine`)."
    ),
}
"""Distribution → the sentence that says what is wrong with it."""

TWINS = (
    "The engine 'echo' is claimed by rrr-echo-engine 1.0 (module rrr_echo_engine:ENGINE) and by rrr-echo-twin 1.0 "
    "(module rrr_echo_twin:ENGINE): uninstall all but one."
)


def test_an_installed_engine_mines_and_evaluates_where_there_is_no_torch(
    environment: Callable[..., Environment],
) -> None:
    env = environment("rrr-countdown", "rrr-echo-engine")
    assert not (env.site / "torch").exists()
    mined = env.rrr(*MINE, "--backend", "echo", "--folder", "run")
    assert mined.returncode == 0, mined.stderr
    assert (env.folder / "run" / "mine" / "shard-00000.jsonl").read_text(encoding="utf-8").count("\n") == 3
    evaluated = env.rrr("eval", "countdown", "--backend", "echo", "--model", "any", "--rows", "3", "--folder", "run")
    assert evaluated.returncode == 0, evaluated.stderr
    assert "--backend echo" in env.rrr("doctor", "--quick").stdout


@pytest.mark.parametrize(("distribution", "sentence"), CASES.items(), ids=list(CASES))
def test_a_broken_engine_has_one_sentence_and_the_others_work(
    environment: Callable[..., Environment], distribution: str, sentence: str
) -> None:
    env = environment("rrr-countdown", "rrr-echo-engine", distribution)
    name = distribution.split("-")[1]
    refused = env.rrr(*MINE, "--backend", name)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.splitlines()[-1] == f"rrr: {sentence}"
    reported = env.rrr("doctor", "--quick")
    assert reported.returncode == 1
    assert f"rrr: broken: --backend {name}\n" in reported.stderr
    assert env.rrr(*MINE, "--backend", "echo").returncode == 0


def test_of_two_engines_that_claim_one_name_neither_is_chosen(environment: Callable[..., Environment]) -> None:
    env = environment("rrr-countdown", "rrr-echo-engine", "rrr-echo-twin")
    refused = env.rrr(*MINE, "--backend", "echo")
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1] == f"rrr: {TWINS}"
    env.uninstall("rrr-echo-twin")
    assert env.rrr(*MINE, "--backend", "echo").returncode == 0
