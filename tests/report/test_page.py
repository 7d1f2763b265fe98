"""The page: self-contained, under a strict policy, and no text of a run can leave its data block."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_run import make_run

from rrr_core.report import write_report
from rrr_core.report.page import embedded_json, fill, source_hash


class Outline(HTMLParser):
    """Attributes of all elements, and the texts of style and script elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, str] = {}
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = (dict(attrs).get("type") or tag) if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.raw[self._open] = self.raw.get(self._open, "") + data


@pytest.fixture(scope="module")
def outline(page: Path) -> Outline:
    return Outline(page.read_text(encoding="utf-8"))


def test_the_policy_allows_this_script_and_style_and_nothing_else(outline: Outline) -> None:
    policy = next(a["content"] for tag, a in outline.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'{source_hash(outline.raw['script'])}'"
    assert rules["style-src"] == f"'{source_hash(outline.raw['style'])}'"
    assert rules["img-src"] == "data:"
    assert rules["trusted-types"] == "'none'"
    assert rules["base-uri"] == rules["form-action"] == "'none'"


def test_no_element_names_an_address_outside_the_page(outline: Outline) -> None:
    addresses = [a[name] for _, a in outline.elements for name in ("src", "href", "action", "data") if name in a]
    assert addresses == ["data:,", "#main"]
    assert not re.search(r"@import|url\(", outline.raw["style"])


def test_the_script_never_writes_markup(outline: Outline) -> None:
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", outline.raw["script"])


def test_the_data_can_be_read_back(outline: Outline) -> None:
    data = json.loads(outline.raw["application/json"])
    assert data["runs"][0]["name"] == "first"
    assert len(data["episodes"]) == sum(each["shown"] for each in data["sets"])


@pytest.mark.parametrize(
    "hostile", ["</script><script>alert(1)</script>", "<!--<script>", "&lt;", "\u2028\u2029", "\x00\u202e", "@@DATA@@"]
)
def test_hostile_text_survives_embedding_unchanged_and_without_markup(hostile: str) -> None:
    text = embedded_json({hostile: [hostile]})
    assert not re.search("[<>&\u2028\u2029\x00]", text)
    assert json.loads(text) == {hostile: [hostile]}


def test_a_lone_surrogate_is_escaped_to_keep_the_page_utf_8() -> None:
    text = embedded_json(["\ud800"])
    assert text.encode() == b'["\\ud800"]'


def test_numbers_that_json_lacks_become_null() -> None:
    assert embedded_json([float("nan"), float("inf"), {"a": -float("inf")}]) == '[null,null,{"a":null}]'


def test_a_part_that_contains_a_placeholder_is_not_filled_again() -> None:
    assert fill("@@STYLE@@ @@DATA@@", {"STYLE": "@@DATA@@", "DATA": "x"}) == "@@DATA@@ x"


def test_the_same_run_gives_the_same_page_except_for_the_date(run_folder: Path, tmp_path: Path) -> None:
    pages = []
    for name in ("one", "two"):
        write_report([run_folder], tmp_path / name)
        pages.append(re.sub(r'"written":"[^"]*"', "", (tmp_path / name).read_text(encoding="utf-8")))
    assert pages[0] == pages[1]


def test_a_page_stays_under_five_megabytes_however_long_its_texts_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("made_run.attempt_at", lambda chance, numbers: f"{chance.random()} " + "long ✓ words " * 900)
    write_report([make_run(tmp_path / "long", rows=150, steps=20)], tmp_path / "page.html")
    size = (tmp_path / "page.html").stat().st_size
    assert 3_000_000 < size < 5_000_000
