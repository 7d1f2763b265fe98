"""`rrr new NAME` on the command line: what it asks, what it prints, what it refuses."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rrr_core import cli
from rrr_core.cli import new
from rrr_core.errors import RrrError
from rrr_core.scaffolding import ANSWERS, LICENSES, Answers, write_plugin
from rrr_core.scaffolding.template import TEMPLATE, versions
from rrr_core.scaffolding.updating import check_committed

pytest.importorskip("copier", reason="copier is in the dependency group `test`")
import yaml

ALL_GIVEN = ("--summary", "Ask.", "--author", "Ada", "--license", "MIT", "--answer", "text")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty folder to work in."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def refusal(capsys, *arguments: str) -> str:
    """The one-line error of a refused command line."""
    assert cli.run_command(["new", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def answers_of(folder: Path) -> dict[str, str]:
    return yaml.safe_load((folder / ".copier-answers.yml").read_text())


def test_without_a_terminal_it_needs_every_answer_or_yes(here, capsys) -> None:
    assert refusal(capsys, "words", "--author", "Ada", "--license", "MIT") == (
        "rrr: new: no terminal to ask for --summary, --answer: give them, or --yes for their defaults.\n"
    )
    assert list(here.iterdir()) == []


def test_with_yes_it_takes_the_defaults_and_says_which(here, capsys) -> None:
    assert cli.run_command(["new", "word-sums", "--author", "Ada", "--yes"]) == 0
    answers = answers_of(here / "rrr-word-sums")
    assert (answers["license"], answers["answer"]) == (LICENSES[0], next(iter(ANSWERS)))
    summary = answers["summary"].replace("'", "'\"'\"'")
    assert f"Defaults taken: --summary '{summary}' --license Apache-2.0 --answer number\n" in capsys.readouterr().out


def test_with_every_answer_given_no_default_is_used(capsys) -> None:
    assert cli.run_command(["new", "words", *ALL_GIVEN, "--yes"]) == 0
    assert "Defaults taken" not in capsys.readouterr().out


def test_it_says_that_the_rows_are_samples_and_what_to_type_next(capsys, monkeypatch, tmp_path) -> None:
    for name in ("pip", "rrr", "git"):
        (tmp_path / name).touch(mode=0o755)
    (tmp_path / "python").touch()
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setattr("rrr_core.cli.new.write_plugin", lambda answers, folder: 16)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.run_command(["new", "words", "--folder", "my words", *ALL_GIVEN]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Wrote my words: 16 files. They work as is, on sample rows.",
        "Next:",
        "  cd 'my words'",
        "  pip install -e .",
        "  rrr check words",
        "Then replace the samples: TODO.md says in which order.",
        "Optional, for `rrr new --update` (git has to know your user.name and user.email):",
        '  git init && git add --all && git commit --message "As rrr new wrote it"',
    ]


@pytest.mark.parametrize("above", [".", ".."])
def test_a_package_inside_a_repository_is_not_made_one_of_its_own(here, capsys, above) -> None:
    (here / above / ".git").mkdir()
    assert cli.run_command(["new", "words", *ALL_GIVEN]) == 0
    assert "git init" not in capsys.readouterr().out


def test_what_it_says_to_type_makes_a_package_that_can_be_updated(here, capsys, git_at) -> None:
    assert cli.run_command(["new", "words", *ALL_GIVEN]) == 0
    typed = next(line for line in capsys.readouterr().out.splitlines() if "git init" in line)
    identity = {f"GIT_{who}_{what}": "ada" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(typed, shell=True, cwd="rrr-words", env={**os.environ, **identity}, check=True, capture_output=True)
    check_committed(here / "rrr-words")
    assert git_at(here / "rrr-words", ["ls-files", "TODO.md"])


def test_programs_that_the_shell_would_not_find_are_printed_with_their_path(capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setattr("rrr_core.cli.new.write_plugin", lambda answers, folder: 16)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.run_command(["new", "words", *ALL_GIVEN]) == 0
    programs = tmp_path / "bin"
    assert capsys.readouterr().out.splitlines()[3:-1] == [
        f"  {programs / 'python'} -m pip install -e .",
        f"  {programs / 'rrr'} check words",
    ]


def test_every_answer_has_its_option(here) -> None:
    options = ["--summary", "Ask.", "--author", "Ada", "--license", "MIT", "--answer", "choice", "--folder", "x"]
    assert cli.run_command(["new", "words", *options]) == 0
    given = answers_of(here / "x")
    assert given == {
        "_commit": versions(TEMPLATE)[-1],
        "_src_path": "rrr-core-template",
        "name": "words",
        "summary": "Ask.",
        "author": "Ada",
        "license": "MIT",
        "answer": "choice",
        "steps": False,
        "reward": "",
    }


def test_a_task_that_acts_in_steps_has_them_in_a_file_and_its_answers_say_so(here) -> None:
    assert cli.run_command(["new", "words", *ALL_GIVEN, "--steps"]) == 0
    assert answers_of(here / "rrr-words")["steps"] is True
    assert (here / "rrr-words" / "src" / "rrr_words" / "steps.py").is_file()
    assert cli.run_command(["new", "words", *ALL_GIVEN, "--folder", "at-once"]) == 0
    assert not list((here / "at-once").rglob("*steps*"))


def test_the_template_knows_the_same_licences_and_kinds_of_answer() -> None:
    questions = yaml.safe_load((TEMPLATE / versions(TEMPLATE)[-1] / "copier.yml").read_text())
    assert tuple(questions["license"]["choices"]) == LICENSES
    assert questions["answer"]["choices"] == list(ANSWERS)


def asked(monkeypatch, arguments: list[str], typed: str) -> tuple[str, dict[str, Any]]:
    """What a terminal shows while `typed` is typed, and the answers used for the package."""
    written = {}
    monkeypatch.setattr(new, "is_terminal", lambda: True)
    monkeypatch.setattr(new, "write_plugin", lambda answers, folder: written.update(answers=answers, folder=folder))
    done = CliRunner().invoke(new.command, arguments, input=typed)
    assert done.exit_code == 0, done.output
    return done.output, written


def test_on_a_terminal_it_asks_for_what_is_not_given(monkeypatch) -> None:
    shown, written = asked(monkeypatch, ["--license", "MIT"], "words\nAsk.\nAda\nchoice\n")
    assert "Licence" not in shown
    answers = written["answers"]
    assert (answers.name, answers.summary, answers.author) == ("words", "Ask.", "Ada")
    assert (answers.license, answers.answer) == ("MIT", "choice")
    assert written["folder"] == Path("rrr-words")


def test_an_invalid_answer_is_asked_for_again(monkeypatch) -> None:
    shown, written = asked(monkeypatch, ["--author", "Ada"], 'Words!\nwords\na "quote"\nAsk.\nGPL\nMIT\n\n')
    assert shown.count("Error: ") == 3
    assert "Try 'words'." in shown
    answers = written["answers"]
    assert (answers.name, answers.summary, answers.license) == ("words", "Ask.", "MIT")


def test_with_yes_it_asks_nothing_on_a_terminal_either(monkeypatch) -> None:
    shown, written = asked(monkeypatch, ["words", "--yes"], "")
    assert shown.startswith("Wrote rrr-words")
    assert written["answers"].answer == next(iter(ANSWERS))


def test_the_kinds_of_answer_are_explained_before_it_asks_for_one(monkeypatch) -> None:
    shown, _ = asked(monkeypatch, ["words", "--summary", "Ask.", "--author", "Ada"], "\n?\ntext\n")
    assert "Licence of the code and the rows (Apache-2.0, MIT, BSD-3-Clause)" in shown
    explained, _, question = shown.partition("What an answer is (")
    for kind, meaning in ANSWERS.items():
        assert f"  {kind:6}  {meaning}\n" in explained
    assert "'?' is not one of" in question


def test_without_a_name_and_a_terminal_it_says_what_to_give(capsys) -> None:
    assert refusal(capsys) == "rrr: new: name the task: rrr new NAME.\n"


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("Word Sums", "word-sums"),
        ("rrr-sums", "sums"),
        ("a--b", "a-b"),
        ("x_y", "x-y"),
        ("../etc", "etc"),
        ("a\n", "a"),
    ],
)
def test_a_name_that_is_no_normal_name_is_refused_with_one_that_is(here, capsys, name, suggestion) -> None:
    assert f"Try '{suggestion}'." in refusal(capsys, name)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("name", ["", "日本", "-", "x" * 41])
def test_other_impossible_names_are_refused_too(here, capsys, name) -> None:
    assert "cannot be the name of a task" in refusal(capsys, "--", name)
    assert list(here.iterdir()) == []


def test_the_longest_name_and_lines_still_make_a_package_that_ruff_likes(here) -> None:
    name = "x" * 40
    assert cli.run_command(["new", name, "--summary", "s" * 90, "--author", "a" * 90, "--folder", "long", "--yes"]) == 0
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "long"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_name_of_an_installed_task_is_refused_naming_its_distribution(capsys, site) -> None:
    site.install_task("sums", version="1.2")
    assert refusal(capsys, "sums") == (
        "rrr: The task 'sums' is installed already, by rrr-sums 1.2: choose another name.\n"
    )


def test_the_name_of_an_installed_overlay_is_refused(capsys) -> None:
    assert "The overlay 'noisy' is installed already, by rrr-core" in refusal(capsys, "noisy")


def test_the_name_of_an_installed_distribution_is_refused_even_if_it_has_no_task(capsys) -> None:
    assert refusal(capsys, "core") == "rrr: 'core': rrr-core is installed already: choose another name.\n"


def test_the_name_of_an_installed_module_is_refused_whatever_installed_it(capsys, site) -> None:
    site.install("other", modules={"rrr_word_sums": ""})
    assert "the module rrr_word_sums is installed already" in refusal(capsys, "word-sums")


def test_a_folder_that_holds_something_is_refused_and_left_as_it_is(here, capsys) -> None:
    (here / "rrr-words").mkdir()
    (here / "rrr-words" / "mine").write_text("mine")
    assert "rrr-words is not empty" in refusal(capsys, "words")
    assert [path.name for path in (here / "rrr-words").iterdir()] == ["mine"]


def test_a_file_in_the_place_of_the_folder_is_refused(here, capsys) -> None:
    (here / "rrr-words").touch()
    assert "rrr-words exists and is not a folder" in refusal(capsys, "words")


def test_a_folder_below_a_file_is_refused(here, capsys) -> None:
    (here / "file").touch()
    assert "file exists and is not a folder" in refusal(capsys, "words", "--folder", "file/words")


def test_an_empty_folder_is_filled(here) -> None:
    (here / "empty").mkdir()
    assert cli.run_command(["new", "words", "--folder", "empty", "--yes"]) == 0
    assert (here / "empty" / "pyproject.toml").is_file()


@pytest.mark.parametrize("summary", ["", 'a "quote"', "back\\slash", "two\nlines", "\x1b[2J", "x" * 91])
def test_a_summary_that_does_not_fit_into_the_files_is_refused(here, capsys, summary) -> None:
    assert "rrr: new: Invalid value for '--summary': " in refusal(capsys, "words", f"--summary={summary}")
    assert list(here.iterdir()) == []


def test_without_copier_it_says_what_to_install(here, capsys, monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert refusal(capsys, "words") == "rrr: this needs rrr-core[author]: pip install 'rrr-core[author]'\n"
    assert list(here.iterdir()) == []


def test_without_git_it_writes_the_same_package(here, monkeypatch) -> None:
    assert cli.run_command(["new", "words", *ALL_GIVEN, "--folder", "with"]) == 0
    monkeypatch.setenv("PATH", str(here / "nothing"))
    assert shutil.which("git") is None
    assert cli.run_command(["new", "words", *ALL_GIVEN, "--folder", "without"]) == 0
    for path in (here / "with").rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (here / "without" / path.relative_to(here / "with")).read_bytes()


def test_a_failure_leaves_nothing_behind(here, capsys, monkeypatch) -> None:
    (here / "empty").mkdir()
    copyfile = shutil.copyfile

    def full(source, target):
        if source.name == "verifier.py":
            raise OSError(errno.ENOSPC, "No space left on device", "somewhere")
        copyfile(source, target)

    monkeypatch.setattr("rrr_core.scaffolding.writing.shutil.copyfile", full)
    for folder in ("new", "empty"):
        assert f"{folder} cannot be written: the disk is full" in refusal(
            capsys, "words", *ALL_GIVEN, "--folder", folder
        )
    assert [path.name for path in here.iterdir()] == ["empty"]
    assert list((here / "empty").iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_one_line(here, capsys) -> None:
    (here / "locked").mkdir(mode=0o500)
    assert refusal(capsys, "words", *ALL_GIVEN, "--folder", "locked/words").endswith(
        "locked/words cannot be written: permission denied: choose a folder you may write to.\n"
    )


def test_a_read_only_file_system_is_said_as_the_other_commands_say_it(here, capsys, monkeypatch) -> None:
    def read_only(*arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", "rrr-words")

    monkeypatch.setattr("rrr_core.scaffolding.writing._move_in", read_only)
    assert refusal(capsys, "words", *ALL_GIVEN).endswith(
        "rrr-words cannot be written: the file system is read-only: choose another folder.\n"
    )


def test_a_template_that_would_run_code_is_refused(here, tmp_path) -> None:
    (tmp_path / "template" / "v1").mkdir(parents=True)
    (tmp_path / "template" / "v1" / "copier.yml").write_text("_tasks: [touch ran]\n")
    with pytest.raises(RrrError, match=r"^copier copy: .*unsafe feature: tasks"):
        write_plugin(Answers("words", "Ask.", "Ada"), here / "words", tmp_path / "template")
    assert list(here.iterdir()) == []
