"""`think` asks for a thought before the answer, and the verifier sees the answer alone."""

from __future__ import annotations

from importlib import import_module

import pytest

from rrr_core import Model
from rrr_core.chat.marks import generation_of, marks_from
from rrr_core.overlays.think import ASK, MARKS
from rrr_core.tasks import Task, TaskEntry, load_task
from rrr_core.tasks.hooks import checked_plugin
from rrr_core.verification import Judge, VerifySettings

ROW, MODEL = {"a": 2, "b": 3}, Model("tiny")


@pytest.fixture
def make(site):
    """A task with these hooks besides its own, under the overlay."""

    def make(extra: str = "") -> Task:
        site.install_task("sums", extra=extra)
        task = load_task("sums")
        (plugin,) = task._plugins.values()
        entry = TaskEntry("think", "rrr-core", "0.1.0", "rrr_core.overlays.think", kind="overlay")
        return Task(plugin, [checked_plugin(entry, import_module(entry.value))])

    return make


def test_the_last_message_of_the_prompt_asks_for_a_thought(make):
    assert make().prompt(ROW, MODEL)[-1]["content"] == f"What is 2 + 3?\n\n{ASK}"


def test_other_messages_of_the_prompt_stay(make):
    chat = "[{'role': 'system', 'content': 'Be kind.'}, {'role': 'user', 'content': 'Sum?'}]"
    task = make(f"\n@hookimpl\ndef rrr_prompt(row):\n    return {chat}\n")
    assert [each["content"] for each in task.prompt(ROW, MODEL)] == ["Be kind.", f"Sum?\n\n{ASK}"]


def test_a_retry_is_asked_for_once_with_the_tasks_words_or_the_prompts(make):
    assert make().retry_prompt(ROW, MODEL) == f"What is 2 + 3?\n\n{ASK}"


def test_a_tasks_own_retry_prompt_asks_too(make):
    task = make("\n@hookimpl\ndef rrr_retry_prompt():\n    return 'Again.'\n")
    assert task.retry_prompt(ROW, MODEL) == f"Again.\n\n{ASK}"


def test_a_reflection_is_asked_for_as_always(make):
    assert ASK not in make().reflection_prompt(ROW, "6", MODEL)


def test_the_verifier_sees_the_answer_without_the_thought(make):
    made = generation_of("<think>2 and 3 are 6? No.</think>\n\n5", marks_from(MARKS))
    with Judge(make(), settings=VerifySettings(isolation="none")) as judge:
        (verdict,) = judge.judge_written([(ROW, made)])
    assert verdict.is_passed


def test_a_prompt_that_is_none_is_blamed_on_the_task(make):
    with pytest.raises(Exception, match="rrr-sums 1.0.*gave an int, not a list of messages"):
        make("\n@hookimpl\ndef rrr_prompt(row):\n    return 3\n").prompt(ROW, MODEL)
