"""A course of calls: what a step gets of an action, here and in the sandbox, and what the model reads next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from rrr_core.answering import play_answers
from rrr_core.conversation import conversation
from rrr_core.episode import Episode, Generation, Segment
from rrr_core.errors import DataError, PluginError
from rrr_core.hookspecs import Call, Message, Model, Row, Step, final, hookimpl, observed, trusted
from rrr_core.tasks import Task
from rrr_core.verdicts import Verdict, failed, passed
from rrr_core.verification import Judge, VerifySettings
from tests.answering.test_courses import Player
from tests.fakes import task_of

TOOLS = {
    "role": "tools",
    "content": json.dumps([{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]),
}
QUESTION = {"role": "user", "content": "What is 2 + 3?"}
ADD = Call("add", {"of": [2, 3], "note": "“é”\n</tool_call>", "deep": {"on": True, "x": None}})


def adding_task() -> Task:
    """Adds what is called for; any other action is the answer."""

    @hookimpl
    def rrr_load_dataset(split: str) -> list[Row]:
        return [{"n": 5}]

    @hookimpl
    def rrr_prompt(row: Row) -> list[Message]:
        return [TOOLS, QUESTION]

    @hookimpl
    @trusted
    def rrr_step(state: Any, action: str, calls: Sequence[Call]) -> Step:
        if not calls:
            return final(json.dumps([state, action]))
        seen = json.loads(json.dumps([[each.name, each.arguments] for each in calls]))
        calls[0].arguments["of"].append("changed")  # its own copy
        return observed(str(sum(seen[0][1]["of"][:2])), [action, seen])

    @hookimpl
    @trusted
    def rrr_verify(row: Row, answer: str) -> Verdict:
        return passed() if "5" in answer else failed("wrong", answer)

    return task_of("adding", rrr_load_dataset, rrr_prompt, rrr_step, rrr_verify)


def reading(made: Generation, prompt: Sequence[Message]) -> Generation:
    """An engine's `read_calls`: a text that says ADD calls."""
    assert list(prompt) == [TOOLS, QUESTION]
    return replace(made, text="I add.", calls=(ADD,)) if made.text == "ADD" else made


def play(*said: str, task: Task | None = None) -> tuple[Episode, Player]:
    player = Player(said)
    asked = [Episode(0, {"n": 5}, (Segment("prompt", (TOOLS, QUESTION)),))]
    with Judge(task or adding_task(), max_abstain=1, settings=VerifySettings(isolation="none")) as judge:
        (course,) = play_answers(judge.task, judge, "attempt", asked, player, "try", 8, read_calls=reading)
    return course, player


def test_a_step_gets_the_calls_apart_from_the_text_before_them() -> None:
    course, _ = play("ADD", "It is 5.")
    _, called, observation, last = course.segments
    assert (called.text, called.calls) == ("I add.", (ADD,))
    assert observation.messages == ({"role": "tool", "content": "5"},)
    given = [[ADD.name, {**ADD.arguments, "of": [2, 3]}]]
    assert json.loads(last.answer) == [["I add.", given], "It is 5."]
    assert ADD.arguments["of"] == [2, 3]


def test_the_model_reads_its_calls_and_what_they_led_to() -> None:
    _, player = play("ADD", "It is 5.")
    *_, action, observation = player.seen[1]
    assert (action["role"], action["content"]) == ("assistant", "I add.")
    assert json.loads(action["calls"]) == [{"name": "add", "arguments": ADD.arguments}]
    assert observation == {"role": "tool", "content": "5"}


def test_what_follows_an_action_without_calls_is_said_by_the_user() -> None:
    @hookimpl
    @trusted
    def rrr_step(state: Any, calls: Sequence[Call]) -> Step:
        return final("5") if state else observed("Call a tool.", 1)

    task = task_of("asking", rrr_step, *(each for each in _hooks_of(adding_task()) if each.__name__ != "rrr_step"))
    course, _ = play("hm", "hm", task=task)
    assert course.segments[2].messages == ({"role": "user", "content": "Call a tool."},)


def _hooks_of(task: Task) -> list[Any]:
    names = ("rrr_load_dataset", "rrr_prompt", "rrr_step", "rrr_verify")
    return [caller.function for name in names for caller in task._callers(name)]


def test_calls_are_kept_with_their_segment() -> None:
    course, _ = play("ADD", "It is 5.")
    record = json.loads(json.dumps(course.to_json()))
    assert record["segments"][1]["calls"] == [{"name": "add", "arguments": ADD.arguments}]
    assert "calls" not in record["segments"][3]
    assert Episode.from_json(record, "here").segments[1].calls == (ADD,)


@pytest.mark.parametrize(
    "calls", [[1], [{"name": "f"}], [{"name": "f", "arguments": []}], [{"name": 1, "arguments": {}}]]
)
def test_a_segment_with_other_calls_is_refused(calls: object) -> None:
    with pytest.raises(DataError, match="^here: (a call|calls)"):
        Segment.from_json({"role": "attempt", "text": "", "calls": calls}, "here")


def test_what_was_read_has_no_calls() -> None:
    with pytest.raises(ValueError, match="is read"):
        Segment("observation", (QUESTION,), calls=(ADD,))


def test_a_task_with_steps_may_show_tools_to_a_model_whose_calls_are_read() -> None:
    task = adding_task()
    assert task.prompt({"n": 5}, Model("served", calls=True))[0]["role"] == "tools"
    with pytest.raises(PluginError, match="write them into the text"):
        task.prompt({"n": 5}, Model("other"))


def test_a_task_without_steps_may_not() -> None:
    hooks = [each for each in _hooks_of(adding_task()) if each.__name__ != "rrr_step"]
    with pytest.raises(PluginError, match="write them into the text"):
        task_of("plain", *hooks).prompt({"n": 5}, Model("served", calls=True))


def test_conversations_without_calls_are_as_before() -> None:
    assert conversation([Segment("attempt", text="a")]) == [{"role": "assistant", "content": "a"}]
