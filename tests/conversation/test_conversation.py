"""The messages of an episode, step by step."""

from __future__ import annotations

import pytest

from rrr_core import Model
from rrr_core.conversation import reflection_conversation, retry_conversation, retry_request, with_reflection
from rrr_core.episode import Segment
from rrr_core.tasks import load_task
from rrr_core.verdicts import failed
from tests.episodes import make_episode

MODEL = Model("tiny")
ROW = {"a": 1, "b": 1}
PROMPT = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 1 + 1?"})
EPISODE = make_episode(failed("wrong"), row=ROW, prompt=PROMPT, attempt="3")
OWN_WORDING = """
@hookimpl
def rrr_reflection_prompt(attempt): return f"Why {attempt}?"
"""


@pytest.fixture
def task(site):
    site.install_task("sums", extra=OWN_WORDING)
    return load_task("sums")


def roles_and_contents(conversation):
    assert all(set(message) == {"role", "content"} for message in conversation)
    return [(message["role"], message["content"]) for message in conversation]


BEFORE = [("system", "Be brief."), ("user", "What is 1 + 1?"), ("assistant", "3")]


def test_a_reflection_is_asked_for_after_the_failed_attempt(task):
    conversation = reflection_conversation(task, EPISODE, MODEL)
    assert roles_and_contents(conversation) == [*BEFORE, ("user", "Why 3?")]


def test_a_retry_follows_the_reflection_in_the_same_conversation(task):
    conversation = retry_conversation(task, with_reflection(task, EPISODE, "I miscounted.", MODEL), MODEL)
    assert roles_and_contents(conversation) == [
        *BEFORE,
        ("user", "Why 3?"),
        ("assistant", "I miscounted."),
        ("user", "What is 1 + 1?"),
    ]


def test_the_control_asks_again_at_once(task):
    conversation = retry_conversation(task, EPISODE, MODEL)
    assert roles_and_contents(conversation) == [*BEFORE, ("user", "What is 1 + 1?")]


def test_the_retry_conversation_continues_the_reflection_conversation(task):
    reflection = reflection_conversation(task, EPISODE, MODEL)
    retry = retry_conversation(task, with_reflection(task, EPISODE, "I miscounted.", MODEL), MODEL)
    assert retry[: len(reflection)] == reflection


def test_a_second_round_continues_the_first(task):
    retried = with_reflection(task, EPISODE, "I miscounted.", MODEL)
    retried = retried.extended(retry_request(task, retried, MODEL), Segment("retry", text="4", verdict=failed("x")))
    assert roles_and_contents(reflection_conversation(task, retried, MODEL)) == [
        *BEFORE,
        ("user", "Why 3?"),
        ("assistant", "I miscounted."),
        ("user", "What is 1 + 1?"),
        ("assistant", "4"),
        ("user", "Why 4?"),
    ]


def test_the_messages_given_are_copied(task):
    conversation = reflection_conversation(task, EPISODE, MODEL)
    conversation[0]["content"] = "changed"
    assert PROMPT[0]["content"] == "Be brief."
