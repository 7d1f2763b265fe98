"""Who decides to retry, and corrected figures, on the page: hostile texts included."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from headless import Chromium

from rrr_core.episode import Decision, Episode, Segment
from rrr_core.evaluation import read_episodes
from rrr_core.evaluation.figures import figures
from rrr_core.evaluation.known_noise import KnownNoise, corrections
from rrr_core.report import write_report
from rrr_core.runs.files import read_json, write_json, write_lines
from rrr_core.runs.layout import EvalFolder
from rrr_core.verdicts import failed, passed
from tests.episodes import AGAIN, REFLECT

HOSTILE = "</script><img src=x onerror=alert(1)>\x1b[31m"


def with_decisions(episodes: list[Episode]) -> Iterator[Episode]:
    draw = random.Random(3)
    for episode in episodes:
        if episode.verdict.is_abstained:
            yield episode
            continue
        choice = draw.choice(("keep", "retry"))
        second = draw.choice((passed(), failed("spoiled")))
        retried = (
            *(REFLECT, Segment("reflection", text="Was it wrong?", length=4)),
            *(AGAIN, Segment("retry", text="once more", length=2, verdict=second)),
        )
        decisions = {"model": Decision(choice, 2, detail=HOSTILE), "noisy:false_pass=0.1": Decision("undecided", 0)}
        yield replace(episode, decisions=decisions, unneeded=retried if episode.verdict.is_passed else ())


@pytest.fixture(scope="module")
def decided(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page on a run evaluated with deciders."""
    folder = Path(shutil.copytree(run_folder, tmp_path_factory.mktemp("decided") / "run"))
    noise = KnownNoise(false_pass=0.05)
    for label in ("vanilla", "trained"):
        files = EvalFolder(folder / "eval" / label)
        record = read_json(files.figures)
        for mode, shards in files.modes().items():
            episodes = list(with_decisions(list(read_episodes(files.path, mode))))
            write_lines(shards[0], (episode.to_json() for episode in episodes))
            for rest in shards[1:]:
                rest.unlink()
            made = figures(episodes)
            record["modes"][mode] = replace(made, corrected=corrections(made.shares, made.gains, noise)).to_json()
        write_json(files.figures, record)
    out = folder / "report.html"
    write_report([folder], out)
    return out


def headings(chromium: Chromium, place: str) -> list[str]:
    found: list[str] = chromium.evaluate(f"[...document.querySelectorAll('{place}')].map(each => each.textContent)")
    return found


def test_each_model_has_a_table_with_the_oracle_beside_its_deciders(chromium: Chromium, decided: Path) -> None:
    chromium.open(decided.as_uri())
    assert headings(chromium, "#deciders tbody th") == 2 * ["oracle", "always", "model", "noisy:false_pass=0.1"]
    assert headings(chromium, "#deciders thead th")[7:9] == ["Gain", "Lost to the oracle"]
    assert {"Deciders", "Corrected"} <= set(headings(chromium, "#contents a"))
    assert chromium.complaints() == []


def test_corrected_figures_stand_below_those_as_judged(chromium: Chromium, decided: Path) -> None:
    chromium.open(decided.as_uri())
    assert "vanilla: 5.0% false passes, 0.0% false failures" in chromium.evaluate(
        "document.querySelector('#corrected .lead').textContent"
    )
    assert headings(chromium, "#corrected tbody th")[:2] == ["First try", "Second try, after its own reflection"]
    assert "corrected" in chromium.evaluate("document.querySelector('#corrected tbody td').textContent")


def test_an_episode_shows_each_decision_and_the_second_try_of_a_right_answer(chromium: Chromium, decided: Path) -> None:
    chromium.open(decided.as_uri())
    chromium.evaluate(
        """(() => {
          const field = [...document.querySelectorAll(".filters .field")]
            .find(each => each.firstChild.textContent === "First try").lastChild;
          field.value = "passed";
          field.dispatchEvent(new Event("change", {bubbles: true}));
        })()"""
    )
    found = headings(chromium, "#episode .control h4")
    assert any(each in found for each in ("Decider model: keep", "Decider model: retry"))
    assert "Decider noisy:false_pass=0.1: undecided" in found
    assert "Second try of a right answer" in found
    assert "Was it wrong?" in headings(chromium, "#episode .written .words")
    assert chromium.evaluate("document.querySelectorAll('#episode img').length") == 0
    assert "onerror" in chromium.evaluate("document.querySelector('#episode').textContent")


def test_without_deciders_the_page_has_neither_section(chromium: Chromium, page: Path) -> None:
    chromium.open(page.as_uri())
    assert chromium.evaluate("document.querySelector('#deciders')") is None
    assert chromium.evaluate("document.querySelector('#corrected')") is None
