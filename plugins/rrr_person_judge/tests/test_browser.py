"""The judge's page in a real browser: keys judge, nothing hostile runs, and it fits every screen."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cases import HOSTILE, Job, give

from rrr_core import Verdict

# The Chromium driver is the one of the report's tests.
DRIVER = Path(__file__).parents[3] / "tests" / "report"
if not DRIVER.exists():
    pytest.skip("not a clone of the project, which drives Chromium", allow_module_level=True)
sys.path.insert(0, str(DRIVER))

from headless import Chromium, find_chromium

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    program = find_chromium()
    if program is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on the path")
    with Chromium(program, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def opened(chromium: Chromium, job: Job, width: int = 1280, height: int = 800) -> None:
    chromium.open(job.face.address, width=width, height=height)
    chromium.wait_for("!!document.querySelector('.sides')")


def title(chromium: Chromium) -> str:
    return str(chromium.evaluate("document.querySelector('h2#answer-title, .quiet-page h2').textContent"))


def wait_for_title(chromium: Chromium, start: str) -> None:
    chromium.wait_for(
        f"document.querySelector('h2#answer-title, .quiet-page h2').textContent.startsWith({start!r})", seconds=15
    )


def test_a_batch_is_judged_with_keys_alone(chromium: Chromium, job: Job) -> None:
    future = job.judge("one", "two", "three")
    opened(chromium, job)
    assert title(chromium) == "Answer 1 of 3"
    chromium.press("p")
    wait_for_title(chromium, "Answer 2")
    chromium.press("f")
    chromium.wait_for("document.activeElement.id === 'reason'")
    chromium.press(*"upf", "Enter")
    wait_for_title(chromium, "Answer 3")
    chromium.press("?")
    wait_for_title(chromium, "All 3 answers are judged")
    chromium.press("Enter")
    assert [(verdict.outcome, verdict.category) for verdict in future.result(10)] == [
        ("passed", ""),
        ("failed", "upf"),
        ("abstained", "withheld"),
    ]


def test_arrows_go_back_to_a_verdict_which_can_be_changed(chromium: Chromium, job: Job) -> None:
    future = job.judge("one", "two")
    opened(chromium, job)
    chromium.press("p")
    wait_for_title(chromium, "Answer 2")
    chromium.press("ArrowLeft")
    wait_for_title(chromium, "Answer 1")
    assert chromium.evaluate("document.querySelector('.verdict').textContent") == "passed"
    chromium.press("?")
    wait_for_title(chromium, "Answer 2")
    chromium.press("p")
    wait_for_title(chromium, "All 2")
    chromium.press("Enter")
    assert [verdict.outcome for verdict in future.result(10)] == ["abstained", "passed"]


def test_undo_takes_the_last_verdict_back_and_shows_its_answer(chromium: Chromium, job: Job) -> None:
    job.judge("one", "two")
    opened(chromium, job)
    chromium.press("p")
    wait_for_title(chromium, "Answer 2")
    chromium.press("u")
    wait_for_title(chromium, "Answer 1")
    assert job.client.ask("state")["outcomes"] == ["", ""]


def test_a_held_key_judges_only_one_answer(chromium: Chromium, job: Job) -> None:
    job.judge("one", "two", "three")
    opened(chromium, job)
    for repeats in (False, True, True):
        chromium.call("Input.dispatchKeyEvent", type="keyDown", key="p", text="p", autoRepeat=repeats)
    wait_for_title(chromium, "Answer 2")
    assert job.client.ask("state")["outcomes"] == ["passed", "", ""]


def test_escape_leaves_the_error_class_without_a_verdict(chromium: Chromium, job: Job) -> None:
    job.judge("one")
    opened(chromium, job)
    chromium.press("f")
    chromium.wait_for("document.activeElement.id === 'reason'")
    chromium.press("Escape")
    chromium.wait_for("!document.querySelector('#reason')")
    assert job.client.ask("state")["outcomes"] == [""]
    assert chromium.evaluate("document.activeElement.closest('.answer') !== null")


def test_nothing_hostile_runs_or_is_loaded_and_invisible_characters_are_named(chromium: Chromium, job: Job) -> None:
    job.judge(HOSTILE, "<img src=x onerror='window.hacked = 1'>", "javascript:window.hacked=1")
    opened(chromium, job)
    for number in (2, 3):
        text = chromium.evaluate("document.querySelector('.answer .words').textContent")
        if number == 2:
            assert text.startswith("<script>window.hacked = 1</script> ESC[31mred")
            assert "U+202E" in text
            assert not set(text) & set("\x1b\u202e\u202c\x00")
        chromium.press("ArrowRight")
        wait_for_title(chromium, f"Answer {number}")
    assert chromium.evaluate("typeof window.hacked") == "undefined"
    assert chromium.evaluate("document.querySelectorAll('main script, main img').length") == 0
    assert chromium.complaints() == []
    assert all(url == "data:," or url.startswith(job.face.address) for url in chromium.requests())


def test_a_very_long_answer_is_cut_until_all_of_it_is_requested(chromium: Chromium, job: Job) -> None:
    job.judge("x" * 300_000)
    opened(chromium, job)
    assert chromium.evaluate("document.querySelector('.answer .words').textContent.length") < 30_000
    chromium.evaluate("document.querySelector('.answer button').click()")
    assert chromium.evaluate("document.querySelector('.answer .words').textContent.length") == 300_000


@pytest.mark.parametrize(("width", "height"), [(360, 640), (768, 1024), (1280, 800)])
def test_the_page_is_no_wider_than_the_screen(chromium: Chromium, job: Job, width: int, height: int) -> None:
    job.judge("word " * 500 + "w" * 5000)
    opened(chromium, job, width, height)
    assert chromium.evaluate("document.documentElement.scrollWidth") <= width
    chromium.press("f")
    chromium.wait_for("!!document.querySelector('#reason')")
    assert chromium.evaluate("document.documentElement.scrollWidth") <= width
    assert chromium.evaluate("document.querySelector('.actions').getBoundingClientRect().bottom") <= height


def test_every_control_has_a_name_and_the_verdicts_are_announced(chromium: Chromium, job: Job) -> None:
    job.judge("one", "two")
    opened(chromium, job)
    tree = chromium.call("Accessibility.getFullAXTree")["nodes"]
    controls = [node for node in tree if node.get("role", {}).get("value") in ("button", "textbox", "progressbar")]
    assert len(controls) >= 9
    assert all(node["name"]["value"] for node in controls)
    chromium.press("p")
    wait_for_title(chromium, "Answer 2")
    assert chromium.evaluate("document.querySelector('[role=status]').textContent") == "Answer 1: passed."


def test_the_next_batch_loads_automatically_and_the_end_of_the_job_is_shown(chromium: Chromium, job: Job) -> None:
    first = job.judge("one")
    opened(chromium, job)
    chromium.press("p")
    wait_for_title(chromium, "The one answer is judged")
    chromium.press("Enter")
    wait_for_title(chromium, "Waiting for answers")
    assert first.result(10) == [Verdict("passed")]
    second = job.judge("two")
    wait_for_title(chromium, "Answer 1 of 1")
    state = give(job.client, 0, "passed")
    job.client.post("finish", sitting=state["sitting"])
    second.result(10)
    job.close()
    wait_for_title(chromium, "The job has ended")
