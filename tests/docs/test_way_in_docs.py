"""The way in is true: README's first screen, the front page and the table of results show figures that are below."""

from __future__ import annotations

import configparser
import re

import pytest

from rrr_core.index.badge import Badge
from tests.docs.pages import ROOT, blocks, prose

README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
FRONT = (ROOT / "docs" / "front" / "index.html").read_text(encoding="utf-8")
FIGURE = re.compile(r"[+−-]?\d+\.\d \[[^\]]+\]")
TABLE, BELOW = RESULTS.split("## In ten rows")[1].split("\n## ", 1)


def test_the_readme_is_two_screens() -> None:
    assert len(README.splitlines()) <= 120


@pytest.mark.parametrize("text", [README.split("## Use it")[0], FRONT, TABLE], ids=["README", "front page", "table"])
def test_who_reads_a_figure_reads_what_model_it_is_from_and_that_no_gpu_was_there(text: str) -> None:
    said = " ".join(re.sub(r"[*]", "", text).split())
    assert "embedded model" in said
    assert re.search(r"[Nn]othing was run on a GPU or with a model of real size", said)


def test_the_first_table_of_the_results_has_ten_rows_each_with_n_and_a_control() -> None:
    rows = [line.split("|")[1:-1] for line in TABLE.splitlines() if line.startswith("|")][2:]
    assert len(rows) == 10
    assert [row for row in rows if not all(cell.strip() for cell in row)] == []


@pytest.mark.parametrize("figure", sorted({*FIGURE.findall(TABLE), *FIGURE.findall(FRONT.replace("%", ""))}))
def test_every_figure_of_the_table_and_of_the_front_page_is_in_the_results(figure: str) -> None:
    assert figure in BELOW


@pytest.mark.parametrize("share", re.findall(r"(\d+\.\d)%", README.split("## Use it")[0] + FRONT))
def test_every_share_of_the_first_screens_is_in_the_results(share: str) -> None:
    assert re.search(rf"\| {share} \[", BELOW)


def test_the_one_line_that_runs_is_the_same_on_both() -> None:
    line = next(line for line in README.splitlines() if line.endswith("&& rrr demo"))
    assert line.replace("&", "&amp;") in FRONT


def test_the_front_page_links_to_pages_of_the_site() -> None:
    linked = re.findall(r'href="docs/([\w-]+)\.html"', FRONT)
    assert len(linked) >= 4
    assert [name for name in linked if not (ROOT / "docs" / f"{name}.md").exists()] == []


def test_the_site_is_built_by_the_command_in_contributing_that_tox_runs() -> None:
    (block,) = [block for block in blocks(ROOT / "CONTRIBUTING.md") if block.text.startswith("sphinx-build")]
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    ran = next(line for line in tox["testenv:docs"]["commands"].splitlines() if line.startswith("sphinx-build"))
    assert block.text.partition("#")[0].split() == ran.replace("{env_tmp_dir}/site", "site").split()


def test_the_four_figures_of_a_badge_are_explained() -> None:
    page = " ".join(prose(ROOT / "docs" / "publishing.md").split())
    assert len(Badge("x", "rrr-x", "1", "0").score) == 4
    assert "A badge has four figures" in page
    assert "no signature" in page.replace("*", "")
