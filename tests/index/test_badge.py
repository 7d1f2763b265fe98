"""A badge says what was found, its digest fits what it says, and its picture is safe to show."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest

from rrr_core.index import Badge, badge_from
from rrr_core.index.badge import LONGEST, digest_of
from rrr_core.index.drawing import BROKEN, DOUBTFUL, SOUND, svg

BADGE = Badge(
    task="sums",
    package="rrr-sums",
    version="1.0",
    core="0.1.0",
    summary="Add two numbers.",
    data={"size": "4"},
    rows=200,
    counts={"passed": 25, "failed": 0, "skipped": 6},
    mutation_score=0.978,
    mutants=1000,
    hostile_answers=422,
    isolation="sandboxed",
    protections=("network", "files"),
)
HOSTILE = 'x"><script>alert(1)</script>\x1b[2J\u202e'


def written(badge: Badge = BADGE) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(json.dumps(badge.to_json()))
    return value


def signed(**changed: Any) -> dict[str, Any]:
    """A badge with these fields, whose digest fits: anybody can make one."""
    content = {**written(), **changed}
    return {**content, "digest": digest_of(content)}


def test_a_badge_is_read_as_it_was_written() -> None:
    assert badge_from(written()) == BADGE


@pytest.mark.parametrize(
    "changed",
    [{"version": "1.1"}, {"counts": {"passed": 31}}, {"mutation_score": 1.0}, {"isolation": "trusted"}, {"more": 1}],
)
def test_a_badge_that_was_changed_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="its digest does not fit its content"):
        badge_from({**written(), **changed})


@pytest.mark.parametrize(
    "changed",
    [
        {"task": ""},
        {"summary": "x" * (LONGEST + 1)},
        {"rows": -1},
        {"rows": True},
        {"counts": {"passed": "many"}},
        {"mutation_score": 1.5},
        {"mutation_score": "1"},
        {"isolation": "perfect"},
        {"protections": "all"},
        {"data": []},
    ],
)
def test_a_malformed_badge_is_refused_though_its_digest_fits(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be|not one of"):
        badge_from(signed(**changed))


@pytest.mark.parametrize("value", [None, [], {}, {"rrr_badge": 2}, {"rrr_badge": 1}])
def test_what_is_no_badge_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="it has no|its digest"):
        badge_from(value)


def test_the_score_has_four_parts() -> None:
    assert BADGE.score == ("25/25 checks", "97.8% of mutants refused", "hostile answers 422 refused", "sandboxed")


def test_a_failed_check_counts_and_a_skipped_one_does_not() -> None:
    broken = replace(
        BADGE,
        counts={"passed": 24, "failed": 1, "skipped": 6},
        not_passed=("check_hostile_answers_do_no_harm",),
        hostile_answers=0,
    )
    assert not broken.sound
    assert broken.score[0] == "24/25 checks"
    assert broken.score[2] == "hostile answers not refused"


@pytest.mark.parametrize(
    ("badge", "colour"),
    [
        (BADGE, SOUND),
        (replace(BADGE, isolation="none"), DOUBTFUL),
        (replace(BADGE, hostile_answers=0), DOUBTFUL),
        (replace(BADGE, counts={"passed": 24, "failed": 1}), BROKEN),
        (replace(BADGE, counts={}), BROKEN),
    ],
)
def test_the_picture_is_green_only_if_all_that_applies_passed(badge: Badge, colour: str) -> None:
    assert [each for each in (SOUND, DOUBTFUL, BROKEN) if each in svg(badge)] == [colour]


def test_the_picture_is_one_element_of_plain_text_whatever_a_badge_says() -> None:
    picture = svg(replace(BADGE, task=HOSTILE, version=HOSTILE, isolation=HOSTILE))
    root = ElementTree.fromstring(picture)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags == {"svg", "title", "rect", "g", "text"}
    assert "\x1b" not in picture
    assert "\u202e" not in picture
