"""CONTRIBUTING.md and AGENTS.md are true: what they name is there, and short enough to be read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.test_rooms import CORE, FLOOR_OF

ROOT = Path(__file__).parents[2]
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("CONTRIBUTING.md", "AGENTS.md")}
NAMED = [
    (page, path)
    for page, text in PAGES.items()
    for path in sorted(set(re.findall(r"`((?:rrr_core|plugins|docs|tests|benchmarks)/[\w/.]*)`", text)))
]


def section(heading: str) -> str:
    return PAGES["CONTRIBUTING.md"].split(f"## {heading}\n")[1].split("\n## ")[0]


def table_of(heading: str) -> dict[str, str]:
    """First cell → the rest of its line."""
    return dict(re.findall(r"^\| ([^|]+) \| (.*) \|$", section(heading), re.MULTILINE)[1:])


@pytest.mark.parametrize(("page", "path"), NAMED, ids=str)
def test_every_path_that_the_way_in_names_is_there(page: str, path: str) -> None:
    assert (ROOT / path).exists(), f"{page} names {path}"


def test_the_path_of_a_row_takes_at_most_fifteen_lines_each_with_a_file() -> None:
    steps = table_of("The path of a row")
    assert next(iter(steps)) == "row"
    assert list(steps)[-1] == "page"
    assert len(steps) <= 15
    assert all("`rrr_core/" in step for step in steps.values())


def test_each_kind_of_change_says_where_it_goes() -> None:
    kinds = {"a new task", "a new credit", "a new engine", "a new control", "a new figure", "a new round shape"}
    assert kinds <= set(table_of("Where a change goes"))


LETTERS = set(re.findall(r"\*\*([A-Za-z])\*\*", section("The path of a row")))
SHAPE = re.compile(r"\(((?:[A-Za-z0-9]+(?: [-+] [A-Za-z0-9]+)?)(?:, ?[A-Za-z0-9]+(?: [-+] [A-Za-z0-9]+)?)*),?\)")


def shapes_in(text: str) -> list[str]:
    """Shapes such as `(B, P + R)` in comments and docstrings: tuples with a capital letter for a dimension."""
    spoken = "\n".join(re.findall(r'#.*$|"""(?:.|\n)*?"""', text, re.MULTILINE))
    return [shape for shape in SHAPE.findall(spoken) if re.match(r"[A-Z](?:,|$)", shape) or shape.startswith("1, ")]


@pytest.mark.parametrize("room", ["training", "generation"])
def test_shapes_are_written_in_the_letters_of_the_list(room: str) -> None:
    assert {"B", "G", "P", "R", "V"} <= LETTERS
    unknown = {
        f"{path.name}: ({shape})"
        for path in sorted((CORE / room).glob("*.py"))
        for shape in shapes_in(path.read_text(encoding="utf-8"))
        for letter in re.findall(r"\b[A-Za-z]\b", shape)
        if letter not in LETTERS
    }
    assert unknown == set()


def test_the_map_for_agents_has_every_room_that_a_change_could_be_in() -> None:
    rooms = {room for room in FLOOR_OF if (CORE / room).is_dir()}
    named = set(re.findall(r"`rrr_core/(\w+)/?(?:\.py)?`", PAGES["AGENTS.md"]))
    assert rooms - named <= {"doctor", "exports", "scaffolding"}
    assert len(PAGES["AGENTS.md"].splitlines()) <= 70
