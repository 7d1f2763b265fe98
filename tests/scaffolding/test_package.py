"""`rrr new` creates a complete package: it builds, its tests and checks pass, and ruff is clean."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import rrr_core
from rrr_core.cli import pages
from rrr_core.scaffolding.template import TEMPLATE, versions

pytest.importorskip("copier", reason="copier is in the dependency group `test`")


def test_its_own_tests_pass(package) -> None:
    done = package.run("-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
    skipped = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED")]
    lacking = ["rrr_reward"] if package.answers.steps else ["rrr_reward", "rrr_step"]
    assert sorted(line.rpartition(" ")[2] for line in skipped) == [f"{hook}." for hook in lacking]


def test_ruff_is_clean_on_it_with_its_own_settings(package) -> None:
    for arguments in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        done = package.run("-m", "ruff", *arguments)
        assert done.returncode == 0, done.stdout


def test_the_checks_pass_untouched(package) -> None:
    done = package.run("-c", "from rrr_core.cli import main; main()", "check", package.answers.name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_summary_and_the_author_arrive_as_they_were_given(package) -> None:
    (distribution,) = metadata.distributions(path=[str(package.site)])
    assert distribution.metadata["Summary"] == package.answers.summary
    assert distribution.metadata["Author"] == package.answers.author
    assert package.answers.summary in (package.folder / "README.md").read_text()


def test_the_wheel_offers_the_task_and_holds_its_rows(package) -> None:
    (distribution,) = metadata.distributions(path=[str(package.site)])
    assert {(point.group, point.name, point.value) for point in distribution.entry_points} == {
        ("rrr.tasks", package.answers.name, package.module)
    }
    for split in ("train", "test"):
        rows = (package.site / package.module / "data" / f"{split}.jsonl").read_text().splitlines()
        assert len(rows) >= 5
        assert all("answer" in json.loads(row) for row in rows)


def test_the_licence_is_the_one_that_was_chosen(package) -> None:
    title = {"Apache-2.0": "Apache License", "MIT": "MIT License", "BSD-3-Clause": "BSD 3-Clause License"}
    text = (package.folder / "LICENSE").read_text()
    assert title[package.answers.license] in text[:100]
    assert ("Zoë O'Neil" in text) == (package.answers.license != "Apache-2.0")
    project = tomllib.loads((package.folder / "pyproject.toml").read_text())["project"]
    assert project["license"] == package.answers.license


def test_nothing_of_the_template_is_left_in_it_and_no_path_of_this_machine(package) -> None:
    files = [path for path in package.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {".gitignore", ".copier-answers.yml", "tests.yml", "LICENSE", "tox.ini"} <= {path.name for path in files}
    for path in files:
        text = path.read_text(encoding="utf-8").replace("{{ 1 + 1 }}", "")
        assert "{%" not in text, path
        assert "{{" not in text, path
        assert str(package.folder.parent) not in text, path
        assert str(TEMPLATE) not in text, path


def todos(folder: Path) -> list[tuple[str, str]]:
    """Each line with a TODO, and the docs page that it names."""
    lines = [
        line
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"(#|<!--) TODO", line)
    ]
    return [(line, (re.findall(r": rrr docs ([\w-]+\.md(?:#[\w-]+)?)(?: -->)?$", line) or [""])[0]) for line in lines]


def test_every_todo_ends_with_the_command_that_shows_its_page(package) -> None:
    found = todos(package.folder)
    assert len(found) >= 8
    for line, target in found:
        assert target, f"shows no page: {line}"
        assert pages.find(target)


def test_every_hook_of_the_package_that_an_author_must_change_has_its_todo(package) -> None:
    anchors = {target.partition("#")[2] for _, target in todos(package.folder)}
    hooks = set(
        re.findall(r"^def (rrr_\w+)", (package.folder / "src" / package.module / "__init__.py").read_text(), re.M)
    )
    assert hooks <= anchors


def test_every_file_that_knows_the_samples_has_a_todo_or_is_in_the_list(package) -> None:
    """A file that no TODO points to would fail once the rows have other columns."""
    listed = set(re.findall(r"`([\w./]+)`", (package.folder / "TODO.md").read_text()))
    for path in (path for path in package.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        text, name = path.read_text(encoding="utf-8"), path.relative_to(package.folder)
        if re.search(r"\bquestion\b|Answer:|no answer", text) and name.name != "TODO.md":
            assert "TODO:" in text or name.parent.name == "data", name
        if "TODO:" in text and name.name != "TODO.md":
            assert str(name) in listed, name


def test_what_the_list_says_to_type_finds_every_todo_and_no_other(package) -> None:
    (command,) = re.findall(r"^grep .*$", (package.folder / "TODO.md").read_text(), re.M)
    (package.folder / ".tox").mkdir(exist_ok=True)
    (package.folder / ".tox" / "copy.py").write_text("# TODO: a copy\n")
    done = subprocess.run(shlex.split(command), cwd=package.folder, capture_output=True, text=True, check=True)
    (package.folder / ".tox" / "copy.py").unlink()
    assert done.stdout.count("\n") == len(todos(package.folder))


def test_the_list_names_every_file_that_holds_the_summary(package) -> None:
    listed = (package.folder / "TODO.md").read_text()
    for path in (path for path in package.folder.rglob("*") if path.suffix in (".md", ".py", ".toml")):
        if package.answers.summary in path.read_text(encoding="utf-8"):
            assert (
                f"`{path.relative_to(package.folder)}`" in listed.partition(". **For others**")[2].partition("\n\n")[0]
            ), path


def test_the_todo_list_is_in_the_order_of_dependencies(package) -> None:
    steps = re.findall(r"^\d\. \*\*(.*?)\*\*: `([\w./]+)`", (package.folder / "TODO.md").read_text(), re.M)
    assert [step for step, _ in steps] == [
        "Rows",
        "Prompt",
        "Verifier",
        *(["Steps"] if package.answers.steps else []),
        "Gold answer",
        "Examples",
        "Tests",
        "For others",
    ]
    for step, name in steps:
        if not name.startswith("rrr_"):
            assert (package.folder / name).is_file(), step


def test_it_is_for_the_core_that_wrote_it_and_tox_tests_the_oldest_of_its_range(package) -> None:
    project = tomllib.loads((package.folder / "pyproject.toml").read_text())["project"]
    core = next(each for each in map(Requirement, project["dependencies"]) if each.name == "rrr-core")
    assert core.specifier.contains(rrr_core.__version__)
    tox = configparser.ConfigParser()
    tox.read(package.folder / "tox.ini")
    oldest = re.search(r"oldest: rrr-core==(\S+)", tox["testenv"]["deps"])
    assert oldest is not None
    assert core.specifier.contains(oldest[1])
    assert any(each.operator == ">=" and oldest[1].startswith(each.version) for each in core.specifier)
    assert tox["tox"]["env_list"] == "lint, py{311,312,313}-{oldest,newest}"


def test_a_malformed_row_is_reported_with_its_file_and_line(package) -> None:
    row = '{"question": "?", "answer": 7, "choices": ["a", "b"], "notes": {}}'
    code = (
        f"from {package.module} import rows\n"
        "import pathlib, tempfile\n"
        "rows.DATA = pathlib.Path(tempfile.mkdtemp())\n"
        f"(rows.DATA / 'train.jsonl').write_text({row!r})\n"
        "list(rows.load('train', {}))\n"
    )
    done = package.run("-c", code)
    assert re.search(r"DataError: .*train.jsonl, line 1: answer must be ", done.stderr)


@pytest.mark.parametrize("version", versions(TEMPLATE))
def test_a_version_of_the_template_runs_no_code_and_knows_its_own_name(version) -> None:
    folder = TEMPLATE / version
    settings = set(re.findall(r"^_(\w+):", (folder / "copier.yml").read_text(), re.M))
    assert settings <= {"min_copier_version", "subdirectory", "envops"}
    answers = (folder / "plugin" / "{{ _copier_conf.answers_file }}.jinja").read_text()
    assert f'_commit="{version}"' in answers
