"""`docs/hooks.md` is true: every hook has its heading, every example runs, and together they are a plugin."""

from __future__ import annotations

import dataclasses
import itertools
import re
import tomllib
from pathlib import Path

import pytest

from rrr_core import DataOption, Example, Manifest, Model, Verdict
from rrr_core.conformance import checks_of
from rrr_core.errors import DataError, RrrError
from rrr_core.tasks import load_task
from rrr_core.tasks.hooks import HOOKS, REQUIRED
from rrr_core.tasks.tools import split_tools
from rrr_core.tasks.values import checked_verdict
from rrr_core.verification import Judge, VerifySettings
from tests.docs.fake_pip import install

TEXT = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text()
SECTIONS = dict(re.findall(r"^## (\S[^\n]*)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))


def blocks(language: str, text: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


OVERLAYS_OWN = ("rrr_configure", "rrr_judge", "rrr_combine")
"""The hooks that only overlays have."""
TASKS_OWN = tuple(hook for hook in HOOKS if hook not in OVERLAYS_OWN)


def joined(hooks: tuple[str, ...]) -> str:
    return "\n".join(source for hook in hooks for source in blocks("python", SECTIONS.get(hook, "")))


WHOLE_PLUGIN = joined(tuple(hook for hook in TASKS_OWN if hook != "rrr_step"))
IN_STEPS = WHOLE_PLUGIN + joined(("rrr_step",))
"""The variant that acts in steps: its examples replace the others."""
RECORDS = {"rrr_verify": Verdict, "rrr_data_options": DataOption, "rrr_examples": Example, "rrr_manifest": Manifest}
"""Hook → the record in the table of its section."""
WRITTEN = {"Row": "dict", "Outcome": "str"}
"""The types that the page writes in a simpler form."""


@pytest.fixture
def sums(site):
    """The page's plugin, installed from the page's pyproject.toml."""
    project = tomllib.loads(blocks("toml", TEXT)[0])["project"]
    site.install(
        project["name"],
        project["version"],
        modules={"rrr_sums": WHOLE_PLUGIN},
        tasks=project["entry-points"]["rrr.tasks"],
        requires=project["dependencies"],
    )
    return load_task("sums")


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_of_the_contract_has_a_section_with_its_arguments(hook):
    assert f"`{hook}({', '.join(HOOKS[hook])})`" in SECTIONS[hook]


def test_no_heading_is_for_a_hook_outside_the_contract():
    assert {heading for heading in SECTIONS if heading.startswith("rrr_")} == set(HOOKS)


def test_the_page_names_the_required_hooks():
    assert "`rrr_load_dataset`, `rrr_prompt` and `rrr_verify` are required" in TEXT
    assert REQUIRED == ("rrr_load_dataset", "rrr_prompt", "rrr_verify")


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_an_example_and_shows_what_it_gives(hook):
    """`test_snippets.py` runs them."""
    assert [len(blocks(language, SECTIONS[hook])) for language in ("python", "pycon")] == [1, 1]


def test_the_examples_together_are_a_plugin_that_implements_every_hook_but_that_of_its_variant(sums):
    assert [hook for hook in TASKS_OWN if not sums.implements(hook)] == ["rrr_step"]


def test_the_examples_of_the_overlay_hooks_together_are_an_overlay(sums, site):
    site.install("rrr-terse", modules={"rrr_terse": joined(OVERLAYS_OWN)}, overlays={"terse": "rrr_terse"})
    task = load_task("sums", ["terse:words=20"])
    assert task.reflection_prompt({"a": 10, "b": 3}, "6", Model("gpt2")).endswith("at most 20 words.")
    with Judge(task, max_abstain=1, settings=VerifySettings(isolation="none")) as judge:
        row = {"a": 2, "b": 3}
        verdicts = judge.judge([(row, "5"), (row, "6"), (row, "五")])
    assert [verdict.category or verdict.outcome for verdict in verdicts] == ["passed", "not unanimous", "withheld"]
    with pytest.raises(RrrError, match="words=few: a number such as 20 is expected"):
        load_task("sums", ["terse:words=few"])


@pytest.mark.parametrize("source", [WHOLE_PLUGIN, IN_STEPS], ids=["at once", "in steps"])
def test_the_plugin_on_the_page_passes_every_check(site, tmp_path, source):
    folder = tmp_path / "plugin"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(blocks("toml", TEXT)[0])
    (folder / "rrr_sums.py").write_text(source)
    install(folder, site.folder)
    checks = checks_of("sums", verify=VerifySettings(workers=1))
    with checks[0].subject:
        results = [check.run() for check in checks]
    others = {each.message for each in results if each.state != "passed"}
    assert others == (set() if source == IN_STEPS else {"there is no hook rrr_step."})


def test_the_course_that_testing_md_plays_is_one_of_the_variant(site):
    page = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
    (test,) = [source for source in blocks("python", page) if "import play" in source]
    site.install("rrr-sums", modules={"rrr_sums": IN_STEPS}, tasks={"sums": "rrr_sums"})
    names = {}
    exec(test, names)
    names["test_a_number_is_compared_before_it_is_answered"]()


@pytest.mark.parametrize("hook", RECORDS)
def test_the_table_of_a_record_has_its_fields_with_their_types_and_defaults(hook):
    record = RECORDS[hook]
    table = SECTIONS[hook].replace("\\|", "¦").partition(f"| field of `{record.__name__}` |")[2].partition("\n\n")[0]
    shown = re.findall(r"^\| `(\w+)` \| `([^`]+)` \| (?:`([^`]+)`)? ?\|", table, re.MULTILINE)
    shown = [tuple(text.replace("¦", "|") for text in row) for row in shown]
    assert shown == [
        (
            field.name,
            WRITTEN.get(str(field.type), str(field.type)),
            "" if field.default is dataclasses.MISSING else repr(field.default).replace("'", '"'),
        )
        for field in dataclasses.fields(record)
    ]


@pytest.mark.parametrize(("field", "longest"), [("category", 80), ("detail", 500)])
def test_a_verdicts_texts_are_cut_where_the_page_says(field, longest):
    assert re.search(rf"\| `{field}` .*cut at {longest} characters", SECTIONS["rrr_verify"])
    verdict = checked_verdict(dataclasses.replace(Verdict("failed"), **{field: "x" * 1000}))
    assert len(getattr(verdict, field)) == longest


def test_the_plugins_categories_are_those_of_its_examples(sums):
    assert {example.category for example in sums.examples()} - {""} == set(sums.manifest().categories)


def test_the_plugins_examples_get_their_verdicts(sums):
    examples = sums.examples()
    assert {example.outcome for example in examples} == {"passed", "failed"}
    for example in examples:
        verdict = sums.verify(example.row, example.answer)
        assert (verdict.outcome, verdict.category) == (example.outcome, example.category), example.reason


def test_the_plugins_gold_answers_pass_and_are_what_is_judged(sums):
    for row in itertools.islice(sums.load_dataset("test"), 20):
        gold = sums.gold_answer(row)
        assert sums.verify(row, gold).is_passed
        assert sums.final_answer(row, gold) == gold


def test_the_plugins_warmup_rows_are_not_in_its_data_sets(sums):
    prompts = {
        sums.prompt(row, Model("gpt2"))[0]["content"] for split in ("train", "test") for row in sums.load_dataset(split)
    }
    assert not prompts & {conversation[0]["content"] for conversation in sums.warmup("train", 200, seed=0)}


@pytest.mark.parametrize("given", [{"digit": "3"}, {"digits": "0"}])
def test_a_wrong_data_option_gets_the_error_on_the_page(sums, given):
    with pytest.raises(DataError) as caught:
        sums.load_dataset("train", given)
    assert f"`{caught.value}`" in TEXT.replace("\n", " ")


def test_published_rows_become_the_tasks_own(sums):
    assert sums.row({"sum": "2 + 3"}, "rows.jsonl:1") == {"a": 2, "b": 3}
    with pytest.raises(DataError, match=r"^rows\.jsonl:1: the row has neither a and b nor a sum such as '2 \+ 3'\.$"):
        sums.row({"sum": "2 - 3"}, "rows.jsonl:1")


def test_the_overlay_does_what_the_page_says(sums, site):
    (source,) = blocks("python", SECTIONS["Overlays"])
    points = tomllib.loads(blocks("toml", SECTIONS["Overlays"])[0])["project"]["entry-points"]["rrr.overlays"]
    site.install("rrr-stepwise", modules={"rrr_stepwise": source}, overlays=points)
    task = load_task("sums", ["stepwise"])
    model = Model("gpt2")
    assert task.prompt({"a": 2, "b": 3}, model)[0]["content"].endswith("alone. Think step by step.")
    assert task.reflection_prompt({"a": 10, "b": 3}, "6", model) == "Find the first step that went wrong."
    assert task.reflection_prompt({"a": 2, "b": 3}, "6", model).startswith("Your sum of 2 and 3")


def test_tools_are_in_the_prompt_only_if_the_model_takes_them(sums, site):
    (source,) = blocks("python", SECTIONS["Tools"])
    site.install("rrr-calls", modules={"rrr_calls": source}, overlays={"calls": "rrr_calls"})
    task = load_task("sums", ["calls"])
    row = {"a": 2, "b": 3}
    taking, plain = (task.prompt(row, Model("gpt2", takes_tools=takes)) for takes in (True, False))
    assert [message["role"] for message in taking] == ["tools", "user"]
    assert [message["role"] for message in plain] == ["user"]
    (tool,), spoken = split_tools(taking)
    assert tool["function"]["name"] == "add"
    assert spoken[0]["content"] == "What is 2 + 3?"
    assert '"name": "add"' in plain[0]["content"]
