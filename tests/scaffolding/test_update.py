"""`rrr new --update` merges the template's changes, and the author's own edits survive."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from rrr_core import cli
from rrr_core.errors import RrrError
from rrr_core.scaffolding import Answers, update_plugin, write_plugin
from rrr_core.scaffolding.template import TEMPLATE, make_repository, versions

pytest.importorskip("copier", reason="copier is in the dependency group `test`")

ANSWERS_TEMPLATE = "{{ _copier_conf.answers_file }}.jinja"


@pytest.fixture
def template(tmp_path) -> Path:
    """The template's first version, and a made-up second one that changes, adds and removes files."""
    folder = tmp_path / "template"
    shutil.copytree(TEMPLATE / "v1", folder / "v1")
    plugin = folder / "v2" / "plugin"
    shutil.copytree(folder / "v1", folder / "v2")
    replace_in(plugin / ANSWERS_TEMPLATE, '_commit="v1"', '_commit="v2"')
    replace_in(plugin / "pyproject.toml.jinja", ">=0.1,<0.2", ">=0.2,<0.3")
    (plugin / "SECURITY.md.jinja").write_text("Write to {{ author }}.\n")
    (plugin / "CHANGELOG.md.jinja").unlink()
    return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory, git_at) -> Path:
    """A committed plugin of the template's first version. Rendered once, since that takes most of a test's time."""
    home = tmp_path_factory.mktemp("written")
    shutil.copytree(TEMPLATE / "v1", home / "first" / "v1")
    write_plugin(Answers("words", "Ask.", "Ada"), home / "plugin", home / "first")
    git_at(home / "plugin", ["init", "--quiet"])
    commit(git_at, home / "plugin")
    return home / "plugin"


@pytest.fixture
def plugin(tmp_path, written) -> Path:
    """A copy of that plugin."""
    return shutil.copytree(written, tmp_path / "plugin")


def replace_in(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def commit(git_at, folder: Path) -> None:
    git_at(folder, ["add", "--all"])
    git_at(folder, ["commit", "--quiet", "--message", "work"])


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.parts
    }


def test_what_is_new_in_the_template_arrives_and_nothing_is_committed(plugin, template, git_at) -> None:
    done = update_plugin(plugin, template)
    assert (done.before, done.after, done.conflicts) == ("v1", "v2", ())
    assert set(done.changed) == {".copier-answers.yml", "pyproject.toml", "SECURITY.md", "CHANGELOG.md"}
    assert ">=0.2,<0.3" in (plugin / "pyproject.toml").read_text()
    assert (plugin / "SECURITY.md").read_text() == "Write to Ada.\n"
    assert not (plugin / "CHANGELOG.md").exists()
    assert git_at(plugin, ["rev-list", "--count", "HEAD"]).strip() == "1"


def test_the_authors_own_edits_survive(plugin, template, git_at) -> None:
    replace_in(plugin / "pyproject.toml", 'version = "0.1.0"', 'version = "0.7.0"')
    replace_in(plugin / "src/rrr_words/verifier.py", "Answer:", "So:")
    (plugin / "src/rrr_words/data/train.jsonl").unlink()
    (plugin / "notes.txt").write_text("mine\n")
    commit(git_at, plugin)
    before = files(plugin)
    done = update_plugin(plugin, template)
    after = files(plugin)
    assert done.conflicts == ()
    assert 'version = "0.7.0"' in (plugin / "pyproject.toml").read_text()
    assert ">=0.2,<0.3" in (plugin / "pyproject.toml").read_text()
    assert "src/rrr_words/data/train.jsonl" not in after
    untouched = set(before) - set(done.changed)
    assert {"src/rrr_words/verifier.py", "notes.txt"} <= untouched
    assert all(before[name] == after[name] for name in untouched)


def test_where_both_changed_a_line_both_are_left_in_the_file_and_it_is_named(
    plugin, template, git_at, monkeypatch, capsys
) -> None:
    replace_in(plugin / "pyproject.toml", ">=0.1,<0.2", ">=0.1.5,<0.2")
    commit(git_at, plugin)
    monkeypatch.setattr(update_plugin, "__defaults__", (template,))
    assert cli.run_command(["new", "--update", str(plugin)]) == 2
    captured = capsys.readouterr()
    assert "template v1 → v2" in captured.out
    assert (
        captured.err
        == "rrr: you and the template changed the same lines of pyproject.toml: choose at the marks <<<<<<<.\n"
    )
    text = (plugin / "pyproject.toml").read_text()
    assert ">=0.1.5,<0.2" in text
    assert ">=0.2,<0.3" in text
    assert "<<<<<<<" in text


def test_settings_of_git_that_would_lose_an_edit_do_not(plugin, template, git_at, monkeypatch, tmp_path) -> None:
    replace_in(plugin / "pyproject.toml", ">=0.1,<0.2", ">=0.1.5,<0.2")
    commit(git_at, plugin)
    settings = tmp_path / "gitconfig"
    settings.write_text("[status]\nshowUntrackedFiles = no\n[core]\nautocrlf = true\n[commit]\ngpgSign = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    assert update_plugin(plugin, template).conflicts == ("pyproject.toml",)
    assert ">=0.1.5,<0.2" in (plugin / "pyproject.toml").read_text()


def test_an_updated_plugin_is_at_the_new_version(plugin, template, git_at) -> None:
    update_plugin(plugin, template)
    commit(git_at, plugin)
    again = update_plugin(plugin, template)
    assert (again.before, again.after, again.changed) == ("v2", "v2", ())


def test_a_plugin_at_the_newest_version_is_left_alone_and_needs_no_git(tmp_path, capsys) -> None:
    write_plugin(Answers("words", "Ask.", "Ada"), tmp_path / "words")
    assert cli.run_command(["new", "--update", str(tmp_path / "words")]) == 0
    assert f"is at template {versions(TEMPLATE)[-1]}, the newest" in capsys.readouterr().out


def test_a_plugin_in_a_folder_of_a_larger_repository_is_updated_alone(plugin, template, tmp_path, git_at) -> None:
    repository = tmp_path / "large"
    shutil.copytree(plugin, repository / "plugins" / "words", ignore=shutil.ignore_patterns(".git"))
    (repository / "SECURITY.md").write_text("the repository's\n")
    git_at(repository, ["init", "--quiet"])
    commit(git_at, repository)
    update_plugin(repository / "plugins" / "words", template)
    assert (repository / "SECURITY.md").read_text() == "the repository's\n"
    assert (repository / "plugins" / "words" / "SECURITY.md").read_text() == "Write to Ada.\n"


def test_work_that_is_not_committed_is_refused_and_left_as_it_is(plugin, template) -> None:
    (plugin / "draft.txt").write_text("draft\n")
    before = files(plugin)
    with pytest.raises(RrrError, match="not committed"):
        update_plugin(plugin, template)
    assert files(plugin) == before


def test_a_folder_outside_git_is_refused(plugin, template) -> None:
    shutil.rmtree(plugin / ".git")
    with pytest.raises(RrrError, match="not in a git repository"):
        update_plugin(plugin, template)


def test_without_git_it_says_what_to_install(plugin, template, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RrrError, match="^this needs git: install it"):
        update_plugin(plugin, template)


def test_a_folder_that_rrr_new_did_not_write_is_refused(tmp_path, capsys) -> None:
    assert cli.run_command(["new", "--update", str(tmp_path)]) == 2
    assert "was not written by `rrr new`" in capsys.readouterr().err


def test_a_plugin_of_a_later_template_asks_for_a_newer_core(plugin) -> None:
    replace_in(plugin / ".copier-answers.yml", "_commit: v1", "_commit: v99")
    with pytest.raises(RrrError, match=r"written from template v99, .* install a newer rrr-core"):
        update_plugin(plugin)


@pytest.mark.parametrize(
    "line",
    [
        "_src_path: gh:somebody/else",
        "_src_path: 7",
        '_src_path: rrr-core-template\n"_src_path": /elsewhere',
        "- x: [",
        "",
    ],
)
def test_a_plugin_of_another_template_is_refused(plugin, template, line) -> None:
    replace_in(plugin / ".copier-answers.yml", "_src_path: rrr-core-template", line)
    with pytest.raises(RrrError, match="does not say which version of rrr-core-template"):
        update_plugin(plugin, template)


@pytest.mark.parametrize("option", [["--author", "Ada"], ["--steps"]])
def test_options_that_an_update_would_ignore_are_refused(capsys, option) -> None:
    assert cli.run_command(["new", "--update", *option]) == 2
    assert f"--update takes no {option[0]}" in capsys.readouterr().err


def test_a_plugin_that_acts_in_steps_still_does_after_an_update(template, tmp_path, git_at) -> None:
    plugin, first = tmp_path / "rrr-steps", tmp_path / "first"
    shutil.copytree(TEMPLATE / "v1", first / "v1")
    write_plugin(Answers("steps", "Look it up.", "Ada", steps=True), plugin, first)
    git_at(plugin, ["init", "--quiet"])
    commit(git_at, plugin)
    assert update_plugin(plugin, template).after == "v2"
    assert "steps: true" in (plugin / ".copier-answers.yml").read_text()
    assert (plugin / "src" / "rrr_steps" / "steps.py").is_file()


def test_a_failed_update_is_rolled_back(plugin, template, monkeypatch) -> None:
    def broken(arguments, folder):
        (plugin / "half").write_text("half")
        (plugin / "README.md").write_text("half")
        raise RrrError("copier update: broken")

    before = files(plugin)
    monkeypatch.setattr("rrr_core.scaffolding.updating.copier", broken)
    with pytest.raises(RrrError, match="broken"):
        update_plugin(plugin, template)
    assert files(plugin) == before


def test_the_template_s_repository_is_the_same_each_time(template, tmp_path) -> None:
    def commits(folder: Path) -> str:
        make_repository(template, folder)
        done = subprocess.run(["git", "show-ref"], cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout

    assert commits(tmp_path / "one") == commits(tmp_path / "two")
    assert commits(tmp_path / "three").count("refs/tags/") == 2
