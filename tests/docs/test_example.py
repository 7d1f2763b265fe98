"""The complete task in under thirty lines: the pages show it as it is, and it does what a task must."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Callable

import pytest

from rrr_core import Model, Row
from rrr_core.tasks import Task, load_task
from tests.docs.pages import ROOT, blocks

FOLDER = ROOT / "examples" / "rrr_backwards"
SOURCE = (FOLDER / "rrr_backwards.py").read_text(encoding="utf-8")
PROJECT = (FOLDER / "pyproject.toml").read_text(encoding="utf-8")


@pytest.fixture
def backwards(site) -> Task:
    project = tomllib.loads(PROJECT)["project"]
    site.install(
        project["name"],
        project["version"],
        modules={"rrr_backwards": SOURCE},
        tasks=project["entry-points"]["rrr.tasks"],
        requires=project["dependencies"],
    )
    return load_task("backwards")


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_the_page_shows_the_example_as_it_is(page: str) -> None:
    shown = [block.text for block in blocks(ROOT / page)]
    assert SOURCE in shown
    assert PROJECT in shown


def test_it_is_under_thirty_lines_and_has_nothing_but_hooks() -> None:
    assert SOURCE.count("\n") < 30
    imported, *rest = ast.parse(SOURCE).body
    assert isinstance(imported, ast.ImportFrom)
    assert all(isinstance(each, ast.FunctionDef) and each.name.startswith("rrr_") for each in rest)


def test_its_splits_are_disjoint(backwards: Task) -> None:
    train, test = ({row["number"] for row in backwards.load_dataset(split)} for split in ("train", "test"))
    assert train
    assert test
    assert not train & test


def test_its_prompt_contains_the_row(backwards: Task) -> None:
    assert "1234" in backwards.prompt({"number": "1234"}, Model("gpt2"))[0]["content"]


@pytest.mark.parametrize(("answer", "outcome"), [("4321", "passed"), (" 4321\n", "passed"), ("1234", "failed")])
def test_it_judges(backwards: Task, answer: str, outcome: str) -> None:
    assert backwards.verify({"number": "1234"}, answer).outcome == outcome


def as_numbers(row: Row, answer: str) -> bool:
    return answer.isdecimal() and int(answer) == int(row["number"][::-1])


def anywhere(row: Row, answer: str) -> bool:
    return row["number"][::-1] in answer


@pytest.mark.parametrize("passes", [as_numbers, anywhere])
def test_an_example_exposes_a_verifier_that_is_less_strict(backwards: Task, passes: Callable[[Row, str], bool]) -> None:
    assert any(passes(each.row, each.answer) for each in backwards.examples() if each.outcome == "failed")


def test_its_examples_get_their_verdicts(backwards: Task) -> None:
    for example in backwards.examples():
        verdict = backwards.verify(example.row, example.answer)
        assert (verdict.outcome, verdict.category) == (example.outcome, example.category)
