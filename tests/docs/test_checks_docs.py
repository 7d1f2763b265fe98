"""`docs/checks.md` is true: a heading for each check, in their order, and the bounds of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rrr_core.config.limits import STEPS
from rrr_core.conformance import CHECKS, MODEL_CHECKS, CheckSettings
from rrr_core.conformance.learnability_checks import LITTLE, SIGNIFICANT
from rrr_core.conformance.policy_checks import MOST_GUESSED, POLICY_ROWS
from rrr_core.conformance.probe import HEAVY
from rrr_core.conformance.prompt_checks import MOST_LEAKING
from rrr_core.conformance.results import STATES
from rrr_core.conformance.verdict_checks import MUTATED_ROWS
from rrr_core.probing.settings import TRIES

PAGE = (Path(__file__).parents[2] / "docs" / "checks.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\S[^\n]*)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
FLAT = " ".join(PAGE.split())


def test_every_check_has_a_heading_in_the_order_they_run() -> None:
    assert [heading for heading in SECTIONS if heading.startswith("check_")] == [*CHECKS, *MODEL_CHECKS]


@pytest.mark.parametrize("check", [*CHECKS, *MODEL_CHECKS])
def test_each_says_what_it_wants_and_why_and_how_to_fix_it(check: str) -> None:
    wants, why, fix = re.split(r"\*\*(?:Why|Fix)\.\*\*", SECTIONS[check])
    assert wants.strip()
    assert why.strip()
    assert fix.strip()


def test_every_state_is_explained() -> None:
    assert re.findall(r"^\| ([a-z ]+) \| (?!means)", PAGE, re.MULTILINE) == list(STATES)


@pytest.mark.parametrize("name", HEAVY)
def test_every_package_that_must_not_be_imported_is_named(name: str) -> None:
    assert re.search(rf"\b{name}\b", SECTIONS["check_import_is_light"])


def test_the_bounds_match_the_code() -> None:
    bounds = CheckSettings()
    assert f"The first {bounds.rows} rows of each split are prompted and judged" in FLAT
    assert f"the first {bounds.compared:,} of each are compared" in FLAT
    assert f"as many as come in {bounds.compare_seconds:g} seconds" in FLAT
    assert f"silent for {bounds.silence_seconds:g} seconds" in FLAT
    assert f"within {bounds.first_row_seconds:g} seconds and {bounds.first_row_megabytes} megabytes" in FLAT
    assert f"within {bounds.hostile_cpu_seconds:g} CPU seconds and {bounds.hostile_memory_mb} megabytes" in FLAT
    assert f"of the first {MUTATED_ROWS} gold answers" in FLAT
    assert f"On {POLICY_ROWS} rows of both splits" in FLAT
    assert (
        f"above {MOST_LEAKING:.0%}; for a number, a quotation and one answer for all rows it is {MOST_GUESSED:.0%}"
        in FLAT
    )
    assert f"tries the first {bounds.model_rows} rows of `train` (`--model-rows`) {TRIES} times each" in FLAT
    assert f"played for up to {STEPS} of them" in FLAT
    assert f"the gain is surely below {100 * LITTLE:.0f} points" in FLAT
    assert f"with p below {SIGNIFICANT:g}" in FLAT
