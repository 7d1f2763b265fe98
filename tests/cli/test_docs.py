"""`rrr docs`: the pages that messages point to, in the terminal."""

from __future__ import annotations

import doctest
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from rrr_core import cli
from rrr_core.cli import pages

DOCS = Path(__file__).parents[2] / "docs"


def docs(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.run_command(["docs", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_without_a_page_all_are_listed_with_their_titles(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = docs(capsys)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == sorted(path.name for path in DOCS.glob("*.md"))
    assert "hooks.md              The hooks\n" in out


@pytest.mark.parametrize("name", ["method", "method.md", "docs/method.md"])
def test_a_page_is_shown_whole(capsys: pytest.CaptureFixture[str], name: str) -> None:
    code, out, _ = docs(capsys, name)
    assert (code, out.partition("\n")[0]) == (0, (DOCS / "method.md").read_text(encoding="utf-8").partition("\n")[0])


def test_a_section_ends_where_the_next_of_its_level_starts(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = docs(capsys, "docs/checks.md#check_splits_load")
    assert code == 0
    assert out.startswith("## check_splits_load\n\n`train` and `test` each give at least one row.")
    assert "## check_rows_are_json" not in out


def test_a_section_includes_its_subsections_and_code_starts_none() -> None:
    text = "# Page\n\n## One\na\n### Deeper\n```sh\n# no heading\n```\nb\n## Two\nc\n"
    assert pages.section(text, "one", "page.md") == "## One\na\n### Deeper\n```sh\n# no heading\n```\nb\n"


def test_comments_for_the_tests_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert "<!-- not run" in (DOCS / "checks.md").read_text(encoding="utf-8")
    assert "<!--" not in docs(capsys, "checks")[1]


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("hoks", "There is no page 'hoks.md'. Did you mean 'hooks.md'"),
        ("../README.md", "There is no page '../README.md'"),
        ("hooks.md#rrr_verfy", "hooks.md has no heading 'rrr_verfy'. Did you mean 'rrr_verify'"),
    ],
)
def test_an_unknown_page_or_heading_is_refused_with_the_nearest_name(
    capsys: pytest.CaptureFixture[str], place: str, reason: str
) -> None:
    code, out, error = docs(capsys, place)
    assert (code, out) == (2, "")
    assert reason in error


def test_on_a_terminal_the_page_is_formatted() -> None:
    leader, follower = pty.openpty()
    script = "import sys; from rrr_core.cli import run_command; sys.exit(run_command(['docs', 'judging']))"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=follower, env={**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    ) as process:
        os.close(follower)
        seen = b""
        while True:
            try:
                part = os.read(leader, 4096)
            except OSError:  # how Linux reports the end of a terminal
                break
            if not part:
                break
            seen += part
    os.close(leader)
    assert process.returncode == 0
    assert b"rrr verify" in seen
    assert b"\n## " not in seen


def test_the_anchors_are_those_of_the_examples() -> None:
    assert doctest.testmod(pages).attempted == 1
    assert doctest.testmod(pages).failed == 0


def test_an_installation_without_pages_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pages, "FOLDERS", (tmp_path,))
    assert docs(capsys)[::2] == (2, "rrr: The documentation's pages are missing from rrr-core: reinstall it.\n")
