"""Loading a task: only the requested one, with every mistake of a plugin reported in one line that names it."""

from __future__ import annotations

import sys

import pytest

from rrr_core import Model
from rrr_core.errors import PluginError
from rrr_core.index import read_index
from rrr_core.tasks import describe_task, find_overlays, find_tasks, load_task
from rrr_core.tasks.advice import known_tasks

MODEL = Model("tiny")


def error_of(task: str, *overlays: str) -> str:
    with pytest.raises(PluginError) as caught:
        load_task(task, overlays)
    message = str(caught.value)
    assert "\n" not in message
    return message


def state_of(task: str) -> str:
    (entry,) = [entry for entry in find_tasks() if entry.name == task]
    return describe_task(entry).state


def test_a_task_is_loaded_with_its_name_distribution_and_version(site):
    site.install_task("sums", version="1.2")
    task = load_task("sums")
    assert (task.name, task.distribution, task.version, task.overlays) == ("sums", "rrr-sums", "1.2", ())


def test_only_the_plugin_asked_for_is_imported(site):
    site.install_task("sums")
    site.install_task("other")
    load_task("sums")
    assert "rrr_sums" in sys.modules
    assert "rrr_other" not in sys.modules


def test_an_unknown_task_is_answered_with_the_nearest_name_and_how_to_install(site):
    site.install_task("sums")
    message = error_of("sumz")
    assert "'sumz'" in message
    assert "Did you mean 'sums'" in message
    assert "pip install" in message


def test_for_a_task_of_our_own_that_is_missing_its_distribution_is_named(site, tmp_path, monkeypatch):
    monkeypatch.setattr("rrr_core.tasks.loading.find_tasks", list)
    monkeypatch.chdir(tmp_path)
    assert error_of("sqlite") == (
        "No task 'sqlite' is installed. It comes with rrr-sqlite. `pip install rrr-sqlite` adds it."
    )
    assert "Did you mean 'sqlite'?" in error_of("sqlit")


def test_the_known_tasks_are_those_that_a_search_finds():
    assert known_tasks() == {each.task: each.package for each in read_index()}


@pytest.mark.parametrize(
    ("folder", "command"),
    [
        (".", "pip install -e ."),
        ("rrr-roman", "pip install -e ./rrr-roman"),
        ("plugins/rrr_roman", "pip install -e ./plugins/rrr_roman"),
        ("my tasks; ls", "pip install -e './my tasks; ls'"),
    ],
)
def test_a_task_whose_source_is_here_is_answered_with_the_command_that_installs_it(
    site, tmp_path, monkeypatch, folder, command
):
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / folder / "pyproject.toml").write_text('[project.entry-points."rrr.tasks"]\nroman = "rrr_roman"\n')
    monkeypatch.chdir(tmp_path)
    assert f"Its source is here: `{command}` installs it." in error_of("roman")


@pytest.mark.parametrize("broken", [b"[project", b"\xff", b"project = 3", b"[project.entry-points]\n'rrr.tasks' = 3"])
def test_a_project_file_that_cannot_be_read_is_no_source_of_a_task(site, tmp_path, monkeypatch, broken):
    (tmp_path / "pyproject.toml").write_bytes(broken)
    monkeypatch.chdir(tmp_path)
    assert "`pip install DISTRIBUTION` adds one." in error_of("roman")


def test_for_a_strangers_task_no_distribution_name_is_guessed(site):
    assert "rrr-paypal" not in error_of("paypal")


def test_a_task_claimed_twice_is_refused_and_both_are_named(site):
    site.install("rrr-first", "1.0", tasks={"sums": "first"})
    site.install("rrr-second", "2.0", tasks={"sums": "second"})
    message = error_of("sums")
    assert "rrr-first 1.0" in message
    assert "rrr-second 2.0" in message


def test_the_core_range_is_checked_before_the_import(site):
    site.install(
        "rrr-future", modules={"rrr_future": "1 / 0"}, tasks={"future": "rrr_future"}, requires=["rrr-core>=99"]
    )
    assert "rrr-future 1.0 needs rrr-core >=99" in error_of("future")
    assert "rrr_future" not in sys.modules


BROKEN = {
    "import error": ("import no_such_module", "", "ModuleNotFoundError"),
    "syntax error": ("def rrr_verify(:", "", "SyntaxError"),
    "exit at import": ("raise SystemExit(3)", "", "SystemExit"),
    "error at import": ("{}['target']", "", "KeyError at rrr_broken.py:1: 'target'"),
    "missing hook": (
        """
        from rrr_core import hookimpl
        @hookimpl
        def rrr_load_dataset(split): return []
        @hookimpl
        def rrr_prompt(row): return "?"
        """,
        "rrr_verify",
        "does not implement it",
    ),
    "no hook": ("x = 1", "rrr_load_dataset", "does not implement it"),
}
BROKEN["wrapper alone"] = (
    BROKEN["missing hook"][0]
    + """
        @hookimpl(wrapper=True)
        def rrr_verify():
            return (yield)
        """,
    "rrr_verify",
    "does not implement it",
)
MISTAKES = {
    "unknown argument": ("@hookimpl\ndef rrr_gold_answer(task, rwo): ...", "rrr_gold_answer", "Did you mean 'row'"),
    "misspelt hook": ("@hookimpl\ndef rrr_gold_anser(row): ...", "rrr_gold_anser", "Did you mean 'rrr_gold_answer'"),
    "not a function": ("rrr_gold_answer = 'four'", "rrr_gold_answer", "of the type str, not a function"),
    "a class": ("@hookimpl\nclass rrr_gold_answer: ...", "rrr_gold_answer", "not a function"),
    "not marked": ("def rrr_gold_answer(row): ...", "rrr_gold_answer", "@hookimpl"),
    "async": ("@hookimpl\nasync def rrr_gold_answer(row): ...", "rrr_gold_answer", "async"),
    "default": ("@hookimpl\ndef rrr_gold_answer(row=None): ...", "rrr_gold_answer", "'row' has a default"),
    "keyword-only": ("@hookimpl\ndef rrr_gold_answer(*, row): ...", "rrr_gold_answer", "keyword-only"),
    "catch-all": ("@hookimpl\ndef rrr_gold_answer(**given): ...", "rrr_gold_answer", "never filled"),
    "order": ("@hookimpl(tryfirst=True)\ndef rrr_gold_answer(row): ...", "rrr_gold_answer", "--with"),
    "old wrapper": ("@hookimpl(hookwrapper=True)\ndef rrr_gold_answer(row): return 1", "rrr_gold_answer", "generator"),
}


@pytest.mark.parametrize(("source", "hook", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_an_error_that_names_distribution_version_hook_and_reason(site, source, hook, reason):
    site.install_task("broken", source, version="0.3")
    message = error_of("broken")
    assert "rrr-broken 0.3" in message
    assert hook in message
    assert reason in message


@pytest.mark.parametrize(("extra", "hook", "reason"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_one_hook_of_a_plugin_names_the_hook(site, extra, hook, reason):
    site.install_task("broken", extra=extra, version="0.3")
    message = error_of("broken")
    assert "rrr-broken 0.3" in message
    assert hook in message
    assert reason in message


def test_a_syntax_error_names_the_file_and_line_to_fix_and_not_who_imported_it(site):
    modules = {"rrr_roman.__init__": "from rrr_roman import verifier", "rrr_roman.verifier": "x = 1\ndef f(:\n    pass"}
    site.install("rrr-roman", modules=modules, tasks={"roman": "rrr_roman"})
    assert error_of("roman") == (
        "rrr-roman 1.0: its module rrr_roman cannot be imported: SyntaxError at rrr_roman/verifier.py:2: "
        "invalid syntax. Fix it, or report it to the authors of rrr-roman."
    )


def test_an_entry_point_whose_module_is_not_there_is_looked_for_in_the_project_file(site):
    site.install("rrr-roman", tasks={"roman": "rrr_romen.tasks"})
    assert error_of("roman").endswith(
        "ModuleNotFoundError: No module named 'rrr_romen'. Give the entry point in its pyproject.toml the module's "
        "name and install rrr-roman again, or report it to its authors."
    )


def test_a_package_that_is_not_there_is_a_dependency_that_was_left_out(site):
    site.install_task("roman", "import no_such_package.part")
    assert error_of("roman").endswith(
        "Install rrr-roman again with all that it depends on; if 'no_such_package' is not among that, add it to its "
        "pyproject.toml, or report it to its authors."
    )


def test_a_module_of_its_own_that_a_plugin_misspells_is_its_to_fix(site):
    site.install("rrr-roman", modules={"rrr_roman.__init__": "import rrr_roman.verifer"}, tasks={"roman": "rrr_roman"})
    assert error_of("roman").endswith(
        "ModuleNotFoundError at rrr_roman/__init__.py:1: No module named 'rrr_roman.verifer'. "
        "Fix it, or report it to the authors of rrr-roman."
    )


def test_a_misspelt_hook_is_reported_with_its_line_and_only_the_nearest_names(site):
    site.install_task("broken", extra="@hookimpl\ndef rrr_verfy(row): ...")
    line = (site.folder / "rrr_broken.py").read_text().splitlines().index("def rrr_verfy(row): ...")
    assert error_of("broken") == (
        f"rrr-broken 1.0, hook rrr_verfy at rrr_broken.py:{line}: there is no such hook. "
        "Did you mean 'rrr_verify'? `rrr docs hooks.md` lists them."
    )


@pytest.mark.parametrize("value", ["rrr_sums:plugin", "rrr sums", "rrr_sums [extra]", ""])
def test_an_entry_point_that_names_no_module_is_refused(site, value):
    site.install("rrr-odd", entry_points=f"[rrr.tasks]\nodd = {value}\n")
    assert "rrr-odd 1.0" in error_of("odd")


def test_a_broken_plugin_does_not_affect_others(site):
    site.install_task("broken", "import no_such_module")
    site.install_task("sums")
    assert "ModuleNotFoundError" in state_of("broken")
    assert state_of("sums") == "ok"
    assert load_task("sums").verify({"a": 1, "b": 1}, "2").is_passed


def test_a_description_lists_the_hooks_implemented_in_the_contracts_order(site):
    site.install_task("sums", extra="@hookimpl\ndef rrr_gold_answer(row): ...")
    (entry,) = [entry for entry in find_tasks() if entry.name == "sums"]
    assert describe_task(entry).hooks == ("rrr_load_dataset", "rrr_prompt", "rrr_verify", "rrr_gold_answer")


def test_a_description_of_an_entry_with_an_error_shows_it_and_imports_nothing(site):
    site.install_task("sums")
    site.install("rrr-rival", tasks={"sums": "rrr_sums"})
    for entry in [entry for entry in find_tasks() if entry.name == "sums"]:
        assert describe_task(entry).state == entry.error
    assert "rrr_sums" not in sys.modules


def test_the_users_interrupt_during_an_import_passes_through(site):
    site.install_task("slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_task("slow")


def test_hooks_may_be_imported_from_another_module_of_the_plugin(site):
    site.install(
        "rrr-split",
        modules={
            "rrr_split.__init__": """
                from rrr_core import hookimpl, hookspecs
                from rrr_core.hookspecs import rrr_warmup
                from rrr_split.judge import rrr_verify
                @hookimpl
                def rrr_load_dataset(split): return []
                @hookimpl
                def rrr_prompt(row): return "?"
            """,
            "rrr_split.judge": """
                from rrr_core import hookimpl, passed
                @hookimpl
                def rrr_verify(answer, _cache={}): return passed()
            """,
        },
        tasks={"split": "rrr_split"},
    )
    task = load_task("split")
    assert task.verify({}, "").is_passed
    assert not task.implements("rrr_warmup")


def test_a_hook_of_a_newer_core_may_be_marked_optional(site):
    site.install_task("sums", extra="@hookimpl(optionalhook=True)\ndef rrr_of_tomorrow(row): ...")
    assert load_task("sums").implements("rrr_verify")


def test_an_overlay_is_asked_before_the_task_which_answers_what_the_overlay_leaves_out(site):
    site.install_task("sums")
    site.install_overlay(
        "polite", "from rrr_core import hookimpl\n@hookimpl\ndef rrr_prompt(row): return 'Please add.'"
    )
    task = load_task("sums", ["polite"])
    assert task.overlays == ("polite",)
    assert task.prompt({"a": 1, "b": 1}, MODEL)[0]["content"] == "Please add."
    assert task.verify({"a": 1, "b": 1}, "2").is_passed


def test_of_two_overlays_the_last_is_asked_first_and_none_leaves_it_to_the_next(site):
    site.install_task("sums")
    site.install_overlay("first", "from rrr_core import hookimpl\n@hookimpl\ndef rrr_prompt(row): return 'first'")
    site.install_overlay(
        "last",
        "from rrr_core import hookimpl\n@hookimpl\ndef rrr_prompt(row): return 'last' if row['a'] else None",
    )
    task = load_task("sums", ["first", "last"])
    assert task.prompt({"a": 1, "b": 1}, MODEL)[0]["content"] == "last"
    assert task.prompt({"a": 0, "b": 1}, MODEL)[0]["content"] == "first"


def test_an_overlay_may_wrap_the_tasks_own_hook(site):
    site.install_task("sums")
    site.install_overlay(
        "harsh",
        """
        from rrr_core import failed, hookimpl
        @hookimpl(wrapper=True)
        def rrr_verify(answer):
            verdict = yield
            return verdict if answer.isdigit() else failed("harsh")
        """,
    )
    task = load_task("sums", ["harsh"])
    assert task.verify({"a": 1, "b": 1}, "2").is_passed
    assert task.verify({"a": 1, "b": 1}, "two").category == "harsh"


def test_an_overlay_of_one_task_does_not_answer_for_another(site):
    site.install_task("sums")
    site.install_overlay(
        "polite", "from rrr_core import hookimpl\n@hookimpl\ndef rrr_prompt(row): return 'Please add.'"
    )
    load_task("sums", ["polite"])
    assert load_task("sums").prompt({"a": 1, "b": 1}, MODEL)[0]["content"] == "What is 1 + 1?"


def test_an_overlay_without_any_hook_is_refused(site):
    site.install_task("sums")
    site.install_overlay("empty", "def rrr_prmpt(row): return 'Please add.'")
    assert "rrr-empty 2.0" in error_of("sums", "empty")


def test_an_unknown_overlay_is_answered_with_the_nearest_name(site):
    site.install_task("sums")
    site.install_overlay("polite", "")
    assert "Did you mean 'polite'" in error_of("sums", "polit")


def test_an_unknown_overlay_is_answered_with_those_that_are_installed(site):
    site.install_task("sums")
    message = error_of("sums", "paypal")
    assert "Installed: agreement, model-judge, noisy" in message
    assert "`pip install DISTRIBUTION` adds the one that offers it." in message


@pytest.fixture
def without_ours(site, tmp_path, monkeypatch):
    """Only the core's own overlays are installed, and no other's source is in the current folder."""
    site.install_task("sums")
    others = [entry for entry in find_overlays() if entry.name != "person-judge"]
    monkeypatch.setattr("rrr_core.tasks.loading.find_overlays", lambda: others)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_for_an_overlay_of_our_own_that_is_missing_its_distribution_is_named(without_ours):
    assert error_of("sums", "person-judge:page=auto") == (
        "No overlay 'person-judge' is installed. It comes with rrr-person-judge. "
        "`pip install rrr-person-judge` adds it."
    )
    assert "Did you mean 'person-judge'" in error_of("sums", "person-jugde")


def test_an_overlay_whose_source_is_here_is_answered_with_the_command_that_installs_it(without_ours):
    source = without_ours / "plugins" / "rrr_person_judge" / "pyproject.toml"
    source.parent.mkdir(parents=True)
    source.write_text('[project.entry-points."rrr.overlays"]\nperson-judge = "rrr_person_judge"\n')
    assert error_of("sums", "person-judge") == (
        "No overlay 'person-judge' is installed. It comes with rrr-person-judge. "
        "Its source is here: `pip install -e ./plugins/rrr_person_judge` installs it."
    )


def test_an_overlay_asked_for_twice_is_refused(site):
    site.install_task("sums")
    assert "twice" in error_of("sums", "polite", "polite")


def test_two_overlays_of_one_module_cannot_be_stacked(site):
    site.install_task("sums")
    source = "from rrr_core import hookimpl\n@hookimpl\ndef rrr_prompt(row): return 'Please add.'"
    site.install("rrr-twins", modules={"rrr_twins": source}, overlays={"one": "rrr_twins", "two": "rrr_twins"})
    message = error_of("sums", "one", "two")
    assert "rrr-twins 1.0" in message
    assert "rrr_twins" in message


def test_an_overlay_is_described_like_a_task_but_needs_no_hook_in_particular(site):
    site.install_overlay(
        "polite", "from rrr_core import hookimpl\n@hookimpl\ndef rrr_prompt(row): return 'Please add.'"
    )
    (entry,) = [entry for entry in find_overlays() if entry.name == "polite"]
    described = describe_task(entry)
    assert (described.hooks, described.state) == (("rrr_prompt",), "ok")


def test_the_provenance_names_every_distribution_and_version(site):
    site.install_task("sums", version="1.2")
    site.install_overlay(
        "polite", "from rrr_core import hookimpl\n@hookimpl\ndef rrr_prompt(row): return 'Please add.'"
    )
    assert load_task("sums", ["polite"]).provenance() == {
        "task": "sums",
        "distribution": "rrr-sums",
        "version": "1.2",
        "overlays": [{"name": "polite", "distribution": "rrr-polite", "version": "2.0"}],
    }
