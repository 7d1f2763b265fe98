"""`shots` shows solved rows before each question, and never the row's own answer."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from importlib import import_module

import pytest

from rrr_core import Model
from rrr_core.errors import RrrError
from rrr_core.tasks import Task, TaskEntry, load_task
from rrr_core.tasks.hooks import checked_plugin, configured_plugin

MODEL = Model("tiny")
GOLD = "\n@hookimpl\ndef rrr_gold_answer(row):\n    return str(row['a'] + row['b'])\n"
Make = Callable[..., Task]


@pytest.fixture
def make(site) -> Make:
    """The task of sums with these hooks besides its own, under the overlay with these options."""

    def make(extra: str = GOLD, **options: str) -> Task:
        site.install_task("sums", extra=extra)
        task = load_task("sums")
        (plugin,) = task._plugins.values()
        entry = TaskEntry(
            "shots", "rrr-core", "0.1.0", "rrr_core.overlays.shots", kind="overlay", options=tuple(options.items())
        )
        return Task(plugin, [configured_plugin(checked_plugin(entry, import_module(entry.value)))])

    return make


def asked(task: Task, a: int, b: int = 1) -> list[tuple[str, str]]:
    return [(each["role"], each["content"]) for each in task.prompt({"a": a, "b": b}, MODEL)]


def test_the_first_solved_rows_come_before_the_question(make: Make) -> None:
    assert asked(make(count="2"), 7) == [
        ("user", "What is 0 + 1?"),
        ("assistant", "1"),
        ("user", "What is 1 + 1?"),
        ("assistant", "2"),
        ("user", "What is 7 + 1?"),
    ]


def test_a_row_is_never_shown_its_own_answer(make: Make) -> None:
    assert asked(make(count="2"), 1) == [
        ("user", "What is 0 + 1?"),
        ("assistant", "1"),
        ("user", "What is 2 + 1?"),
        ("assistant", "3"),
        ("user", "What is 1 + 1?"),
    ]


def test_a_question_that_differs_only_in_what_is_not_asked_is_not_shown_its_answer(make: Make) -> None:
    task = make(count="2")
    shown = [each["content"] for each in task.prompt({"a": 1, "b": 1, "source": 7}, MODEL)]
    assert shown == ["What is 0 + 1?", "1", "What is 2 + 1?", "3", "What is 1 + 1?"]


def test_what_is_asked_twice_is_shown_once(make: Make) -> None:
    twice = """
    @hookimpl
    def rrr_load_dataset(split):
        for number in (4, 4, 4, 5, 6):
            yield {"a": number, "b": 1}
    """
    shown = [text for _, text in asked(make(GOLD + textwrap.dedent(twice), count="2"), 7)]
    assert shown == ["What is 4 + 1?", "5", "What is 5 + 1?", "6", "What is 7 + 1?"]


def test_turns_that_the_prompt_begins_with_stay_before_the_question(make: Make) -> None:
    chat = (
        "[{'role': 'system', 'content': 'Be kind.'}, {'role': 'user', 'content': 'Hello'},"
        " {'role': 'assistant', 'content': 'Yes?'}, {'role': 'user', 'content': f'{row[\"a\"]}?'}]"
    )
    task = make(f"{GOLD}\n@hookimpl\ndef rrr_prompt(row):\n    return {chat}\n", count="1")
    assert [text for _, text in asked(task, 7)] == ["Be kind.", "Hello", "Yes?", "0?", "1", "Hello", "Yes?", "7?"]


def test_a_system_message_of_each_row_is_refused(make: Make) -> None:
    chat = "[{'role': 'system', 'content': f'Sum {row[\"a\"]}.'}, {'role': 'user', 'content': 'Go.'}]"
    with pytest.raises(RrrError, match="the task 'sums' has others for each row: leave it out"):
        asked(make(f"{GOLD}\n@hookimpl\ndef rrr_prompt(row):\n    return {chat}\n", count="1"), 7)


def test_a_system_message_stays_first_and_comes_once(make: Make) -> None:
    chat = "[{'role': 'system', 'content': 'Be kind.'}, {'role': 'user', 'content': f'{row[\"a\"]}?'}]"
    task = make(f"{GOLD}\n@hookimpl\ndef rrr_prompt(row):\n    return {chat}\n", count="1")
    assert asked(task, 7) == [("system", "Be kind."), ("user", "0?"), ("assistant", "1"), ("user", "7?")]


def test_a_retry_asks_for_the_row_alone(make: Make) -> None:
    assert make(count="2").retry_prompt({"a": 7, "b": 1}, MODEL) == "What is 7 + 1?"


def test_rows_without_a_gold_answer_are_passed_over(make: Make) -> None:
    known = GOLD.replace("return", "return None if row['a'] == 0 else")
    assert [text for _, text in asked(make(known), 7)] == [
        "What is 1 + 1?",
        "2",
        "What is 2 + 1?",
        "3",
        "What is 7 + 1?",
    ]


def test_the_rows_shown_follow_the_data_options_that_the_overlay_is_given(make: Make) -> None:
    data = """
    from rrr_core import DataOption

    @hookimpl
    def rrr_data_options():
        return [DataOption("add", "What is added.", "whole number", "1")]

    @hookimpl
    def rrr_load_dataset(split, options):
        for number in range(3):
            yield {"a": number, "b": int(options.get("add", "1"))}
    """
    task = make(GOLD + textwrap.dedent(data), count="1", data="add=5")
    assert asked(task, 7)[:2] == [("user", "What is 0 + 5?"), ("assistant", "5")]


@pytest.mark.parametrize(
    ("extra", "options", "words"),
    [
        ("", {}, "The overlay 'shots': it shows gold answers, and the task 'sums' has none"),
        (GOLD.replace("return", "return None if row['a'] else"), {}, "needs two rows with a gold answer.*found 1"),
        (GOLD, {"count": "0"}, "count"),
        (GOLD.replace("return", "return ' ' if row['a'] else"), {}, "needs two rows with a gold answer.*found 1"),
        (GOLD, {"data": "add"}, "data=add: expected KEY=VALUE"),
        (GOLD, {"data": "add=1 add=2"}, "data=add=1 add=2: 'add' is given twice"),
        (GOLD, {"data": "add=1"}, "The overlay 'shots', data=add=1: .* no data option"),
    ],
)
def test_what_cannot_be_shown_is_said(make: Make, extra: str, options: dict[str, str], words: str) -> None:
    with pytest.raises(RrrError, match=words):
        asked(make(extra, **options), 7)


def test_a_prompt_that_is_none_is_blamed_on_the_task(make: Make) -> None:
    with pytest.raises(Exception, match="rrr-sums 1.0.*gave an int, not a list of messages"):
        asked(make(f"{GOLD}\n@hookimpl\ndef rrr_prompt(row):\n    return 3\n"), 7)
