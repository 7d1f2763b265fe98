"""Each check finds what it is for, and nothing else; a sound plugin passes them all."""

from __future__ import annotations

from typing import Any

import pytest

from rrr_core.conformance import CHECKS, CheckSettings, Result, checks_of
from rrr_core.conformance.checks import wants
from rrr_core.verification import VerifySettings
from tests.conformance.planted import PLANTS, Plant, install

FEW = CheckSettings(rows=10, compared=60, first_row_seconds=0.5, first_row_megabytes=100)
QUICK = VerifySettings(cpu_seconds=1.0, workers=1)


def check(name: str = "sums", only: tuple[str, ...] = (), **options: Any) -> list[Result]:
    checks = checks_of(name, verify=QUICK, settings=FEW, only=only, **options)
    with checks[0].subject:
        return [each.run() for each in checks]


def test_a_sound_plugin_passes_every_check(site: Any) -> None:
    install(site)
    assert [(each.name, each.message) for each in check() if each.state != "passed"] == []


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.id)
def test_what_is_planted_is_found_by_its_check_alone(site: Any, plant: Plant) -> None:
    install(site, plant)
    results = check()
    failed = {each.name: each.message for each in results if each.state not in ("passed", "skipped")}
    assert list(failed) == [plant.check], failed
    message = failed[plant.check]
    assert plant.says in message
    assert "rrr-sums 1.0" in message
    assert message.endswith(f"See docs/checks.md#{plant.check}")


def test_there_is_a_plant_for_every_check() -> None:
    assert {plant.check for plant in PLANTS} == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_says_what_it_wants_in_one_sentence(name: str) -> None:
    assert wants(name).endswith(".")
