"""`rrr tasks NAME`: what to see of a task before using it, and how missing parts are reported."""

from __future__ import annotations

import json
import os
import re
from textwrap import dedent

import pytest

from rrr_core import cli
from tests.conftest import FakeSite

MANIFEST = """
    from rrr_core import Example, Manifest

    @hookimpl
    def rrr_manifest():
        return Manifest("Add two numbers.", "generated", "seed 0", "CC0-1.0", ("wrong sum",), deterministic=False)

    @hookimpl
    def rrr_gold_answer(row):
        return str(row["a"] + row["b"]) if row["a"] < 2 else None

    @hookimpl
    def rrr_examples():
        yield Example({"a": 2, "b": 2}, "4", "passed")
        yield Example({"a": 2, "b": 2}, "", "failed", "wrong sum")
        yield Example({"a": 2, "b": 2}, "1e9", "failed", "wrong sum", hostile=True)
        yield Example({"a": 2, "b": 2}, "five", "failed", "wrong sum")
        yield Example({"a": 2, "b": 2}, "six", "failed", "wrong sum")
"""

METADATA = """Metadata-Version: 2.4
Name: rrr-sums
Version: 1.0
License-Expression: MIT
Project-URL: Source, https://sums.example/source
Project-URL: Homepage, https://sums.example
Requires-Dist: sympy
Requires-Dist: rrr_core<0.2,>=0.1
"""


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs `rrr tasks` with arguments on a terminal of 100 columns; returns exit code and stdout."""
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str) -> tuple[int, str]:
        code = cli.run_command(["tasks", *arguments])
        return code, capsys.readouterr().out

    return run


def facts(page: str) -> dict[str, str]:
    """Label → text of the page's first block."""
    return {line[:16].strip(): line[16:] for line in page.partition("\n\n")[0].splitlines()}


def test_a_task_is_shown_with_its_manifest_and_its_package(site: FakeSite, shown) -> None:
    site.install_task("sums", extra=MANIFEST)
    (site.folder / "rrr_sums-1.0.dist-info" / "METADATA").write_text(METADATA)
    code, page = shown("sums", "--isolation", "none")
    assert code == 0
    shown_facts = facts(page)
    del shown_facts["overlays"]
    assert shown_facts == {
        "task": "sums",
        "asks": "Add two numbers.",
        "package": "rrr-sums 1.0",
        "code's licence": "MIT",
        "homepage": "https://sums.example",
        "made for": "rrr-core <0.2,>=0.1",
        "rows from": "generated",
        "fixed by": "seed 0",
        "rows' licence": "CC0-1.0",
        "error classes": "wrong sum",
        "verdicts": "may differ when asked again",
        "judged": "in sandboxed processes",
        "--data": "takes no options",
        "hooks": "load_dataset prompt verify examples gold_answer manifest",
    }


def test_three_rows_are_shown_with_prompt_and_the_verdicts_on_gold_and_empty_answers(site: FakeSite, shown) -> None:
    site.install_task("sums", extra=MANIFEST)
    _, page = shown("sums", "--isolation", "none")
    blocks = page.split("\n\n")
    assert blocks[1] == (
        'row 1           {"a": 0, "b": 1}\n'
        "  user          What is 0 + 1?\n"
        "  gold answer   1\n"
        "                → passed\n"
        "  empty answer  → failed (wrong sum)"
    )
    assert blocks[3] == (
        'row 3           {"a": 2, "b": 1}\n'
        "  user          What is 2 + 1?\n"
        "  gold answer   not known\n"
        "  empty answer  → failed (wrong sum)"
    )


def test_a_gold_answer_of_several_lines_keeps_them(site: FakeSite, shown) -> None:
    extra = """
        @hookimpl
        def rrr_gold_answer(row):
            return f"First {row['a']},\\n\\tthen {row['b']}:\\n{row['a'] + row['b']}"
    """
    site.install_task("sums", extra=extra)
    _, page = shown("sums", "--isolation", "none")
    lines = page.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("  gold answer"))
    assert lines[start : start + 3] == ["  gold answer   First 0,", "                    then 1:", "                1"]


@pytest.mark.parametrize("declares", [True, False])
def test_the_data_options_are_listed_or_said_not_to_be_declared(site: FakeSite, shown, declares: bool) -> None:
    extra = """
        @hookimpl
        def rrr_load_dataset(split, options):
            return [{"a": 1, "b": 2}]
    """
    declaration = """
        from rrr_core import DataOption

        @hookimpl
        def rrr_data_options():
            yield DataOption("seed", "seed of the rows", "whole number", "0", (0, 9))
            yield DataOption("order", choices=("up", "down"))
    """
    site.install_task("sums", extra=extra + declaration * declares)
    _, page = shown("sums", "--isolation", "none")
    lines = page.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("--data"))
    listed = [
        "--data          seed=0: seed of the rows (whole number, 0 to 9)",
        "                order: text (up or down)",
    ]
    undeclared = "--data          options are not declared (rrr docs hooks.md#rrr_data_options)"
    assert lines[start : start + 2] == listed if declares else lines[start] == undeclared


def test_one_failing_example_of_each_class_is_shown_and_the_empty_and_hostile_ones_are_counted(
    site: FakeSite, shown
) -> None:
    site.install_task("sums", extra=MANIFEST)
    _, page = shown("sums", "--isolation", "none")
    assert page.split("\n\n")[4].splitlines() == [
        "the plugin's own failing examples (not shown: 3 more, 1 of them hostile)",
        '  row           {"a": 2, "b": 2}',
        "  answer        five",
        "                → failed (wrong sum)",
    ]


def test_verdicts_of_an_untrusted_verifier_come_from_its_sandbox(site: FakeSite, shown) -> None:
    extra = """
        import os

        @hookimpl
        def rrr_verify(row, answer):
            return failed("judged", f"in {os.getpid()}")
    """
    site.install_task("sums", extra=extra)
    _, page = shown("sums")
    processes = set(re.findall(r"failed \(judged: in (\d+)\)", page))
    assert processes
    assert str(os.getpid()) not in processes


def test_without_a_manifest_the_page_says_what_is_missing_and_where_that_is_explained(site: FakeSite, shown) -> None:
    site.install_task("sums")
    code, page = shown("sums", "--isolation", "none")
    assert code == 0
    assert "manifest        none: " in page
    assert "(rrr docs hooks.md#rrr_manifest)" in " ".join(page.split())


def test_an_empty_field_of_the_manifest_is_named(site: FakeSite, shown) -> None:
    extra = "from rrr_core import Manifest\n@hookimpl\ndef rrr_manifest():\n    return Manifest('Add.')\n"
    site.install_task("sums", extra=extra)
    _, page = shown("sums", "--isolation", "none")
    assert facts(page)["rows' licence"].startswith("not given: Manifest(data_license=…) is empty")


def test_rows_that_cannot_be_loaded_are_reported_at_the_end_and_the_rest_is_shown(site: FakeSite, shown) -> None:
    gated = """
        from rrr_core.errors import DataError

        @hookimpl
        def rrr_load_dataset(split):
            raise DataError("sums may not load its rows: they are gated; log in.")
    """
    site.install_task("sums", extra=dedent(MANIFEST) + dedent(gated))
    code, page = shown("sums", "--isolation", "none")
    assert code == 0
    assert facts(page)["asks"] == "Add two numbers."
    assert "the plugin's own failing examples" in page
    assert page.split("\n\n")[-1].splitlines() == [
        "could not be shown",
        "                sums may not load its rows: they are gated; log in.",
    ]


def test_a_broken_hook_is_reported_in_its_place(site: FakeSite, shown) -> None:
    site.install_task("sums", extra="@hookimpl\ndef rrr_gold_answer(row):\n    return 1 / 0\n")
    code, page = shown("sums", "--isolation", "none")
    assert code == 0
    assert "rrr-sums 1.0, hook rrr_gold_answer: ZeroDivisionError" in page
    assert "What is 2 + 1?" in page


def test_what_a_plugin_gives_cannot_drive_the_terminal(site: FakeSite, shown) -> None:
    evil = r"""
        from rrr_core import Manifest

        @hookimpl
        def rrr_manifest():
            return Manifest("\x1b[2J\x9b31m", "\u202e", "\x07", "\x1b]0;x\x07", ("a\x1b[2Jb",))

        @hookimpl
        def rrr_gold_answer(row):
            return "\x1b[2J\r\u2066"

        @hookimpl
        def rrr_prompt(row):
            return "one\x1b[2J\n\x08two\r"
    """
    site.install_task("sums", extra=evil)
    code, page = shown("sums", "--isolation", "none")
    assert code == 0
    assert not set(page) & set("\x1b\x9b\x07\x08\r\u202e\u2066")
    assert "one�[2J\n                �two�" in page


def test_a_prompts_lines_and_indentation_are_kept_and_a_long_prompt_is_cut(site: FakeSite, shown) -> None:
    source = '@hookimpl\ndef rrr_prompt(row):\n    return "board\\n  x  o\\n" + "y " * 5000\n'
    site.install_task("sums", extra=source)
    _, page = shown("sums", "--isolation", "none")
    assert "  user          board\n                  x  o\n" in page
    assert len(page) < 8_000
    assert all(len(line) <= 100 for line in page.splitlines())


def test_what_a_plugin_prints_does_not_come_between_the_lines(site: FakeSite, shown) -> None:
    site.install_task("sums", extra="@hookimpl\ndef rrr_gold_answer(row):\n    print('noise')\n    return '1'\n")
    _, page = shown("sums", "--isolation", "none")
    assert "noise" not in page


def test_overlays_are_stacked_and_named(site: FakeSite, shown) -> None:
    site.install_task("sums")
    site.install_overlay("loud", "from rrr_core import hookimpl\n@hookimpl\ndef rrr_prompt(row):\n    return 'LOUD'\n")
    _, page = shown("sums", "--with", "loud", "--isolation", "none")
    assert facts(page)["with"] == "loud"
    assert "  user          LOUD" in page


def test_a_task_that_acts_in_steps_says_so(site: FakeSite, shown) -> None:
    steps = "from rrr_core import final\n@hookimpl\ndef rrr_step(action):\n    return final(action)\n"
    site.install_task("sums", extra=MANIFEST + steps)
    _, page = shown("sums", "--isolation", "none")
    assert facts(page)["acts"] == "in steps, up to its answer (--max-steps)"
    assert json.loads(shown("sums", "--json", "--isolation", "none")[1])["has_steps"] is True


def test_json_has_the_same_for_programs(site: FakeSite, shown) -> None:
    site.install_task("sums", extra=MANIFEST)
    code, text = shown("sums", "--json", "--isolation", "none")
    assert code == 0
    view = json.loads(text)
    assert view["manifest"]["data_license"] == "CC0-1.0"
    assert view["samples"][0]["judged"][0] == {
        "kind": "gold",
        "row": {"a": 0, "b": 1},
        "answer": "1",
        "verdict": {"outcome": "passed", "category": "", "detail": ""},
    }


def test_json_of_the_list_names_each_task_and_what_is_wrong_with_it(site: FakeSite, shown) -> None:
    site.install_task("sums")
    site.install_task("words", "import nothing_of_that_name")
    listed = {task["name"]: task for task in json.loads(shown("--json")[1])["tasks"]}
    assert listed["sums"]["error"] is None
    assert listed["sums"]["hooks"] == ["rrr_load_dataset", "rrr_prompt", "rrr_verify"]
    assert "nothing_of_that_name" in listed["words"]["error"]


def test_an_unknown_task_is_answered_with_the_nearest(
    site: FakeSite, shown, capsys: pytest.CaptureFixture[str]
) -> None:
    site.install_task("sums")
    assert cli.run_command(["tasks", "sum"]) == 2
    assert "No task 'sum' is installed. Did you mean 'sums'?" in capsys.readouterr().err
