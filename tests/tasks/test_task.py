"""Calling a task: what its hooks may return, what the core makes of it, and who is blamed for a fault."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from rrr_core import Model
from rrr_core.errors import DataError, PluginError, RrrError
from rrr_core.tasks import Task, load_task
from rrr_core.tasks.task import REFLECTION_PROMPT
from rrr_core.verdicts import failed, passed

MODEL = Model("tiny", "qwen")
ROW = {"a": 1, "b": 1}
BASE = """
from rrr_core import failed, hookimpl, passed
from rrr_core.errors import DataError
@hookimpl
def rrr_load_dataset(split, options):
{load_dataset}
@hookimpl
def rrr_prompt(row, model):
{prompt}
@hookimpl
def rrr_verify(row, answer):
{verify}
"""


@pytest.fixture
def make(site):
    """A function that makes a task with the given hook bodies and `extra` source."""

    def make(load_dataset="return []", prompt="return '?'", verify="return passed()", extra="", overlays=()) -> Task:
        bodies = {"load_dataset": load_dataset, "prompt": prompt, "verify": verify}
        indented = {name: "\n".join("    " + line for line in body.splitlines()) for name, body in bodies.items()}
        site.install_task("x", BASE.format(**indented), extra=extra)
        return load_task("x", overlays)

    return make


def hook(name: str, body: str) -> str:
    return f"\n@hookimpl\ndef {name}:\n    {body}\n"


class TestRows:
    def test_rows_come_lazily(self, make):
        task = make(load_dataset="n = 0\nwhile True:\n    yield {'n': n}\n    n += 1")
        assert list(itertools.islice(task.load_dataset("train"), 2)) == [{"n": 0}, {"n": 1}]

    def test_split_and_options_reach_the_plugin(self, make):
        task = make(load_dataset="return [{'split': split, **options}]")
        assert list(task.load_dataset("test", {"path": "x"})) == [{"split": "test", "path": "x"}]

    def test_a_row_is_as_json_would_give_it_back(self, make):
        task = make(load_dataset="return [{'numbers': (1, 2), 3: None}]")
        assert list(task.load_dataset("train")) == [{"numbers": [1, 2], "3": None}]

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            ("[1]", "is a list, not a mapping"),
            ("None", "is None, not a mapping"),
            ("{'x': {1, 2}}", "is not JSON-able: Object of type set"),
            ("{'x': float('nan')}", "is not JSON-able"),
            ("{'x': b'bytes'}", "is not JSON-able"),
            ("(lambda x: x.update(x=x) or x)({})", "is not JSON-able: Circular"),
        ],
    )
    def test_a_row_that_is_not_a_json_able_mapping_is_an_error_that_gives_its_index(self, make, row, reason):
        rows = make(load_dataset=f"yield {{}}\nyield {row}").load_dataset("train")
        assert next(rows) == {}
        with pytest.raises(PluginError, match=r"^rrr-x 1\.0, hook rrr_load_dataset: row 1 " + reason):
            next(rows)

    @pytest.mark.parametrize(
        ("given", "what"), [("None", "None"), ("'text'", "a str"), ("{'a': 1}", "a dict"), ("7", "an int")]
    )
    def test_what_is_no_series_of_rows_is_an_error_at_once_that_names_the_split(self, make, given, what):
        message = f"^rrr-x 1\\.0, hook rrr_load_dataset: for the split 'test' gave {what}: return or yield rows\\.$"
        with pytest.raises(PluginError, match=message):
            make(load_dataset=f"return {given}").load_dataset("test")

    def test_an_exception_between_rows_is_blamed_with_the_index_of_the_row_that_never_came(self, make):
        rows = make(load_dataset="yield {}\nyield {}\nraise KeyError('nums')").load_dataset("train")
        assert len(list(itertools.islice(rows, 2))) == 2
        with pytest.raises(
            PluginError, match=r"rrr-x 1\.0, hook rrr_load_dataset: row 2: KeyError at rrr_x.py:\d+: 'nums'"
        ):
            next(rows)

    def test_an_error_of_the_users_data_passes_through_unchanged(self, make):
        rows = make(load_dataset="yield {}\nraise DataError('rows.csv:7: no target.')").load_dataset("train")
        with pytest.raises(DataError, match=r"^rows\.csv:7: no target\.$"):
            list(rows)

    def test_an_unknown_split_is_the_users_error(self, make):
        with pytest.raises(RrrError, match="'train' or 'test'"):
            make().load_dataset("validation")

    def test_options_for_a_plugin_that_takes_none_are_refused_instead_of_ignored(self, site):
        site.install_task("sums")
        with pytest.raises(RrrError, match="takes no data options: leave out --data path="):
            load_task("sums").load_dataset("train", {"path": "x"})


SEED = "return [{'seed': options.get('seed', '0'), 'size': options['size'] if 'size' in options else ''}]"
DECLARED = """
from rrr_core import DataOption
@hookimpl
def rrr_data_options():
    yield DataOption("seed", kind="whole number", default="0", bounds=(0, 9))
    yield DataOption("order", choices=("up", "down"))
    yield DataOption("scale", kind="number")
    yield DataOption("fast", kind="true or false")
"""


class TestDataOptions:
    def test_a_declared_option_that_is_right_reaches_the_plugin(self, make):
        task = make(load_dataset=SEED, extra=DECLARED)
        assert list(task.load_dataset("train", {"seed": "7"})) == [{"seed": "7", "size": ""}]
        assert [option.name for option in task.data_options()] == ["seed", "order", "scale", "fast"]

    @pytest.mark.parametrize(
        ("name", "text", "complaint"),
        [
            ("sede", "7", "x has no data option 'sede'. Did you mean 'seed'? It has seed, order, scale, fast."),
            ("seed", "ten", "x's data option seed='ten' must be a whole number."),
            ("seed", "10", "x's data option seed=10 must be between 0 and 9."),
            ("seed", "-1", "x's data option seed='-1' must be a whole number."),
            ("order", "upp", "x's data option order='upp' must be up or down. Did you mean 'up'?"),
            ("scale", "nan", "x's data option scale='nan' must be a number."),
            ("scale", "1_0", "x's data option scale='1_0' must be a number."),
            ("fast", "yes", "x's data option fast='yes' must be true or false."),
        ],
    )
    def test_one_that_is_not_declared_or_does_not_fit_is_refused_before_the_plugin_is_called(
        self, make, name, text, complaint
    ):
        task = make(load_dataset="raise KeyError('called')", extra=DECLARED)
        with pytest.raises(DataError) as caught:
            task.load_dataset("train", {name: text})
        assert str(caught.value) == complaint

    def test_without_a_declaration_one_that_is_never_read_is_refused_before_the_first_row(self, make):
        task = make(load_dataset=SEED)
        assert list(task.load_dataset("train", {"size": "3"})) == [{"seed": "0", "size": "3"}]
        with pytest.raises(DataError) as caught:
            next(task.load_dataset("train", {"sede": "7"}))
        assert str(caught.value) == (
            "x does not use the data option 'sede' here. Did you mean 'seed'? It reads seed, size."
        )

    def test_a_split_without_rows_does_not_hide_a_misspelt_option(self, make):
        with pytest.raises(DataError, match="'sede'"):
            list(make().load_dataset("train", {"sede": "7"}))

    @pytest.mark.parametrize(
        "reading",
        [
            "dict(options)",
            "{**options}",
            "list(options)",
            "[*options.values()]",
            "options.copy()",
            "options | {}",
            "{} | options",
            "options == {}",
            "__import__('json').dumps(options)",
            "__import__('copy').deepcopy(options)",
        ],
    )
    def test_a_plugin_that_walks_through_its_options_has_read_them_all(self, make, reading):
        task = make(load_dataset=f"{reading}\nreturn [{{}}]")
        assert list(task.load_dataset("train", {"any": "1"})) == [{}]

    @pytest.mark.parametrize(
        ("option", "reason"),
        [
            ("'seed'", "is a str, not a DataOption"),
            ("DataOption('a b')", "has the name 'a b', which --data NAME=VALUE cannot set"),
            ("DataOption('a', kind='int')", "has the kind 'int', which is none of text, whole number"),
            ("DataOption('a', choices='ab')", "has a str as its choices, not a tuple of str"),
            ("DataOption('a', sources=('web',))", "has the source 'web', which is none of generated"),
            ("DataOption('a', default=0)", "has an int as its default, not a str"),
            ("DataOption('a', choices=('b',), default='c')", "has a default that does not fit: a='c' must be b"),
        ],
    )
    def test_a_wrong_declaration_is_the_plugins_fault(self, make, option, reason):
        extra = hook("rrr_data_options()", f"from rrr_core import DataOption; return [{option}]")
        with pytest.raises(PluginError, match=r"^rrr-x 1\.0, hook rrr_data_options: option 0 " + reason):
            make(extra=extra).data_options()

    def test_a_plugin_without_a_declaration_says_nothing_and_one_without_options_has_none(self, make, site):
        assert make().data_options() is None
        site.install_task("sums")
        assert load_task("sums").data_options() == ()


class TestRowsFromOutside:
    EXTRA = hook("rrr_row(row)", "return {'n': int(row['n'])}")

    def test_they_become_the_tasks_own(self, make):
        assert make(extra=self.EXTRA).row({"n": "3"}, "rows.jsonl:1") == {"n": 3}

    def test_without_the_hook_they_are_as_they_are(self, make):
        assert make().row({"n": "3"}, "rows.jsonl:1") == {"n": "3"}

    def test_what_is_no_row_is_the_users_error_with_its_place(self, make):
        extra = hook("rrr_row(row)", "from rrr_core.row_files import RowError; raise RowError('it has no n')")
        with pytest.raises(DataError, match=r"^rows\.jsonl:7: it has no n\.$"):
            make(extra=extra).row({}, "rows.jsonl:7")

    def test_any_other_exception_is_the_plugins_fault(self, make):
        with pytest.raises(
            PluginError, match=r"^rrr-x 1\.0, hook rrr_row: rows\.jsonl:7: KeyError at rrr_x\.py:\d+: 'n'"
        ):
            make(extra=self.EXTRA).row({}, "rows.jsonl:7")

    def test_a_hook_that_gives_no_row_is_at_fault(self, make):
        with pytest.raises(PluginError, match=r"hook rrr_row: rows\.jsonl:7: the row is None, not a mapping"):
            make(extra=hook("rrr_row(row)", "return None")).row({}, "rows.jsonl:7")


class TestPrompts:
    def test_a_string_is_one_user_message(self, make):
        assert make(prompt="return model.family").prompt(ROW, MODEL) == ({"role": "user", "content": "qwen"},)

    def test_messages_may_begin_with_the_systems(self, make):
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "?"}]
        assert make(prompt=f"return {messages}").prompt(ROW, MODEL) == tuple(messages)

    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            ("None", "gave None, not a list of messages"),
            ("b'x'", "gave a bytes, not a list of messages"),
            ("[]", "gave no message"),
            ("' '", "message 0: gave blank text"),
            ("'\\ud800'", "lone surrogate"),
            ("['x']", "message 0 is a str, not a mapping"),
            ("[{'role': 'user'}]", "message 0 has role; it must have exactly role and content"),
            ("[{'role': 'user', 'content': 7}]", "message 0: gave an int, not a str"),
            ("[{'role': 'robot', 'content': 'x'}]", "message 0 has the role 'robot'"),
            ("[{'role': ['user'], 'content': 'x'}]", "message 0 has the role"),
            ("[{'role': 'assistant', 'content': 'x'}]", "its last message has the role 'assistant', not 'user'"),
        ],
    )
    def test_what_is_no_conversation_is_an_error_that_says_why(self, make, given, reason):
        with pytest.raises(PluginError, match=r"^rrr-x 1\.0, hook rrr_prompt: .*" + reason):
            make(prompt=f"return {given}").prompt(ROW, MODEL)

    def test_an_exception_is_blamed_on_distribution_version_hook_file_and_line(self, make):
        with pytest.raises(
            PluginError, match=r"^rrr-x 1\.0, hook rrr_prompt: ZeroDivisionError at rrr_x\.py:8: division"
        ):
            make(prompt="return 1 / 0").prompt(ROW, MODEL)

    @pytest.mark.parametrize("fault", ["SystemExit(0)", "MemoryError()", "RecursionError()", "GeneratorExit()"])
    def test_not_even_an_exit_leaves_the_boundary(self, make, fault):
        with pytest.raises(PluginError, match=fault.partition("(")[0]):
            make(prompt=f"raise {fault}").prompt(ROW, MODEL)

    def test_the_users_interrupt_passes_through(self, make):
        with pytest.raises(KeyboardInterrupt):
            make(prompt="raise KeyboardInterrupt").prompt(ROW, MODEL)

    def test_a_hook_that_changes_its_row_does_no_harm(self, make):
        row = {"numbers": [3, 1], "deep": {"x": [1]}}
        make(prompt="row['numbers'].sort(); row['deep']['x'].append(2); row.clear(); return '?'").prompt(row, MODEL)
        assert row == {"numbers": [3, 1], "deep": {"x": [1]}}


class TestReflectionAndRetry:
    def test_the_default_reflection_prompt_is_the_papers(self, make):
        assert make().reflection_prompt(ROW, "3", MODEL) == REFLECTION_PROMPT

    def test_a_plugins_own_reflection_prompt_is_used(self, make):
        task = make(extra=hook("rrr_reflection_prompt(row, attempt, model)", "return f'Why {attempt}?'"))
        assert task.reflection_prompt(ROW, "3", MODEL) == "Why 3?"

    def test_the_default_retry_prompt_is_the_last_message_of_the_rows_prompt(self, make):
        prompt = "return [dict(role='system', content='Be brief.'), dict(role='user', content='1 + 1?')]"
        assert make(prompt=prompt).retry_prompt(ROW, MODEL) == "1 + 1?"

    def test_a_plugins_own_retry_prompt_is_used(self, make):
        assert make(extra=hook("rrr_retry_prompt(row)", "return 'Again.'")).retry_prompt(ROW, MODEL) == "Again."

    def test_a_hook_that_gives_none_leaves_it_to_the_core(self, make):
        task = make(extra=hook("rrr_reflection_prompt()", "return None") + hook("rrr_retry_prompt()", "return None"))
        assert task.reflection_prompt(ROW, "3", MODEL) == REFLECTION_PROMPT
        assert task.retry_prompt(ROW, MODEL) == "?"

    def test_a_text_that_is_none_is_blamed(self, make):
        task = make(extra=hook("rrr_retry_prompt()", "return ['Again.']"))
        with pytest.raises(PluginError, match=r"rrr-x 1\.0, hook rrr_retry_prompt: gave a list, not a str"):
            task.retry_prompt(ROW, MODEL)


class TestVerdicts:
    def test_a_verdict_is_the_plugins(self, make):
        task = make(verify="return passed() if answer == '2' else failed('wrong', 'not 2')")
        assert task.verify(ROW, "2") == passed()
        assert task.verify(ROW, "3") == failed("wrong", "not 2")

    def test_category_and_detail_are_kept_short_and_on_one_line(self, make):
        verdict = make(verify="return failed('a\\nb', 'x' * 10**7)").verify(ROW, "")
        assert verdict.category == "a b"
        assert len(verdict.detail) == 500

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            ("ValueError('x')", "exception"),
            ("SystemExit(0)", "exit"),
            ("RecursionError()", "exception"),
            ("GeneratorExit()", "exception"),
            ("StopIteration()", "exception"),
            ("DataError('x')", "exception"),
            ("BaseException()", "exception"),
            ("MemoryError()", "memory"),
            ("TimeoutError()", "timeout"),
        ],
    )
    def test_a_verifier_that_raises_abstains_and_is_blamed(self, make, fault, kind):
        verdict = make(verify=f"raise {fault}").verify(ROW, "2")
        assert (verdict.outcome, verdict.category) == ("abstained", kind)
        assert verdict.reward is None
        name = fault.partition("(")[0]
        assert verdict.detail.startswith(f"rrr-x 1.0, hook rrr_verify: {name} at rrr_x.py:11")

    def test_a_verifier_that_recurses_without_end_abstains(self, make):
        verdict = make(verify="return rrr_verify(row, answer)").verify(ROW, "2")
        assert verdict.category == "exception"
        assert "RecursionError" in verdict.detail

    def test_the_users_interrupt_passes_through(self, make):
        with pytest.raises(KeyboardInterrupt):
            make(verify="raise KeyboardInterrupt").verify(ROW, "2")

    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            ("True", "gave a bool, not a Verdict"),
            ("1.0", "gave a float, not a Verdict"),
            ("None", "gave nothing"),
            ("passed", "gave a function, not a Verdict"),
            ("type(passed())('abstained')", "outcome 'abstained'"),
            ("type(passed())('PASSED')", "outcome 'PASSED'"),
            ("type(passed())(True)", "whose outcome is a bool"),
            ("failed(None)", "whose category is None"),
            ("failed('x', 7)", "whose detail is an int"),
        ],
    )
    def test_what_is_no_verdict_is_an_abstention_not_a_pass(self, make, given, reason):
        verdict = make(verify=f"return {given}").verify(ROW, "2")
        assert (verdict.outcome, verdict.category) == ("abstained", "bad verdict")
        assert verdict.detail.startswith("rrr-x 1.0, hook rrr_verify: ")
        assert reason in verdict.detail

    def test_a_verifier_that_changes_its_row_cannot_change_the_next_verdict(self, make):
        task = make(verify="ok = row['numbers'].pop() == 2\nreturn passed() if ok else failed('spent')")
        row = {"numbers": [1, 2]}
        assert [task.verify(row, "").is_passed for _ in range(3)] == [True, True, True]

    def test_an_exception_whose_message_cannot_be_formatted_is_still_an_abstention(self, make):
        extra = "\nclass Mute(Exception):\n    def __str__(self): raise SystemExit('no')\n"
        verdict = make(verify="raise Mute", extra=extra).verify(ROW, "2")
        assert "Mute at rrr_x.py:11: (its message raised SystemExit)" in verdict.detail

    def test_a_fault_in_a_helper_module_is_placed_where_it_happened(self, site):
        site.install(
            "rrr-deep",
            modules={
                "rrr_deep.__init__": BASE.format(
                    load_dataset="    return []",
                    prompt="    return '?'",
                    verify="    from rrr_deep.parts.judge import judge\n    return judge(row)",
                ),
                "rrr_deep.parts.judge": "import json\ndef judge(row):\n    return json.loads('{')",
            },
            tasks={"deep": "rrr_deep"},
        )
        assert "JSONDecodeError at rrr_deep/parts/judge.py:3: " in load_task("deep").verify(ROW, "").detail

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
    @given(text=some.text(some.characters(), max_size=50))
    def test_whatever_an_exception_says_the_detail_is_one_printable_line(self, site, text):
        if not (site.folder / "rrr_echo.py").exists():
            bodies = {
                "load_dataset": "    return []",
                "prompt": "    return '?'",
                "verify": "    raise ValueError(answer)",
            }
            site.install_task("echo", BASE.format(**bodies))
        detail = load_task("echo").verify({}, text).detail
        assert detail.isprintable()
        assert detail.startswith("rrr-echo 1.0, hook rrr_verify: ValueError at rrr_echo.py:11")


class TestBlameWithOverlays:
    RAISES = """
        from rrr_core import hookimpl
        @hookimpl
        def rrr_verify(answer):
            if answer == "x":
                raise KeyError(answer)
    """
    WRAPS = """
        from rrr_core import hookimpl
        @hookimpl(wrapper=True)
        def rrr_verify():
            return (yield)
    """

    def test_a_fault_of_the_overlay_is_blamed_on_the_overlay(self, site, make):
        site.install_overlay("rowdy", self.RAISES)
        detail = make(overlays=["rowdy"]).verify(ROW, "x").detail
        assert detail.startswith("rrr-rowdy 2.0, hook rrr_verify: KeyError at rrr_rowdy.py:5")

    def test_a_fault_of_the_task_is_blamed_on_the_task_under_an_overlay(self, site, make):
        site.install_overlay("rowdy", self.RAISES)
        detail = make(verify="1 / 0", overlays=["rowdy"]).verify(ROW, "").detail
        assert detail.startswith("rrr-x 1.0, hook rrr_verify: ZeroDivisionError at rrr_x.py:11")

    def test_a_fault_of_the_task_is_blamed_on_the_task_through_a_wrapper(self, site, make):
        site.install_overlay("rowdy", self.WRAPS)
        detail = make(verify="1 / 0", overlays=["rowdy"]).verify(ROW, "").detail
        assert detail.startswith("rrr-x 1.0, hook rrr_verify: ZeroDivisionError")

    def test_a_wrong_value_is_blamed_on_all_who_could_have_given_it(self, site, make):
        site.install_overlay("rowdy", self.RAISES)
        detail = make(verify="return True", overlays=["rowdy"]).verify(ROW, "").detail
        assert detail.startswith("rrr-x 1.0 with overlay rrr-rowdy 2.0, hook rrr_verify: gave a bool")


class TestTheOtherHooks:
    def test_a_task_that_offers_nothing_more_has_no_examples_answers_or_model(self, make):
        task = make()
        assert task.examples() == ()
        assert task.gold_answer(ROW) is None
        assert task.final_answer(ROW, "2") is None
        assert task.default_model() is None

    def test_what_a_plugin_offers_is_given(self, make):
        task = make(
            extra=hook("rrr_gold_answer(row)", "return str(row['a'] + row['b'])")
            + hook("rrr_final_answer(text)", "return text.split()[-1]")
            + hook("rrr_default_model(task)", "return f'models/{task}'")
        )
        assert task.gold_answer(ROW) == "2"
        assert task.final_answer(ROW, "it is 2") == "2"
        assert task.default_model() == "models/x"

    def test_an_answer_that_is_no_text_is_blamed(self, make):
        task = make(extra=hook("rrr_gold_answer(row)", "return 2"))
        with pytest.raises(PluginError, match=r"rrr-x 1\.0, hook rrr_gold_answer: gave an int, neither a str nor None"):
            task.gold_answer(ROW)

    def test_examples_are_given_with_rows_like_a_data_sets(self, make):
        extra = "from rrr_core import Example" + hook("rrr_examples()", "yield Example({'n': (1, 2)}, '2', 'passed')")
        (example,) = make(extra=extra).examples()
        assert (example.row, example.answer, example.outcome) == ({"n": [1, 2]}, "2", "passed")

    @pytest.mark.parametrize(
        ("example", "reason"),
        [
            ("('row', 'answer')", "is a tuple, not an Example"),
            ("Example({}, 2, 'passed')", "has an int as its answer"),
            ("Example({}, '2', 'right')", "has the outcome 'right'"),
            ("Example({'x': {1}}, '2', 'passed')", "has a row that is not JSON-able"),
        ],
    )
    def test_an_example_that_is_none_is_blamed_with_its_index(self, make, example, reason):
        extra = "from rrr_core import Example" + hook("rrr_examples()", f"return [{example}]")
        with pytest.raises(PluginError, match="rrr-x 1.0, hook rrr_examples: example 0 " + reason):
            make(extra=extra).examples()

    def test_warmup_gives_no_more_conversations_than_asked_for(self, make):
        conversation = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "2"}]
        task = make(extra=hook("rrr_warmup(split, count, seed)", f"while True: yield {conversation}"))
        assert list(task.warmup("train", 2, seed=0)) == [tuple(conversation)] * 2

    def test_a_worked_conversation_ends_with_the_assistants_message(self, make):
        task = make(extra=hook("rrr_warmup(split)", "return [[{'role': 'user', 'content': '?'}]]"))
        with pytest.raises(PluginError, match="conversation 0 its last message has the role 'user'"):
            next(task.warmup("train", 1, seed=0))

    def test_warming_up_on_a_task_that_offers_nothing_is_an_error(self, make):
        with pytest.raises(PluginError, match=r"rrr-x 1\.0, hook rrr_warmup: the task 'x' offers no worked"):
            make().warmup("train", 1, seed=0)

    def test_the_provenance_is_json_able(self, make):
        provenance = make().provenance()
        assert json.loads(json.dumps(provenance)) == provenance
