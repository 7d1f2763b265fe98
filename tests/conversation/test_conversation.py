"""The messages of an episode, step by step."""

from __future__ import annotations

import pytest

from rrr_core import Model
from rrr_core.conversation import reflection_conversation, retry_conversation, retry_without_reflection
from rrr_core.tasks import load_task

MODEL = Model("tiny")
ROW = {"a": 1, "b": 1}
PROMPT = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 1 + 1?"})
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
    conversation = reflection_conversation(task, ROW, PROMPT, "3", MODEL)
    assert roles_and_contents(conversation) == [*BEFORE, ("user", "Why 3?")]


def test_a_retry_follows_the_reflection_in_the_same_conversation(task):
    conversation = retry_conversation(task, ROW, PROMPT, "3", "I miscounted.", MODEL)
    assert roles_and_contents(conversation) == [
        *BEFORE,
        ("user", "Why 3?"),
        ("assistant", "I miscounted."),
        ("user", "What is 1 + 1?"),
    ]


def test_the_control_poses_the_row_again_at_once(task):
    conversation = retry_without_reflection(task, ROW, PROMPT, "3", MODEL)
    assert roles_and_contents(conversation) == [*BEFORE, ("user", "What is 1 + 1?")]


def test_the_retry_conversation_continues_the_reflection_conversation(task):
    reflection = reflection_conversation(task, ROW, PROMPT, "3", MODEL)
    retry = retry_conversation(task, ROW, PROMPT, "3", "I miscounted.", MODEL)
    assert retry[: len(reflection)] == reflection


def test_the_messages_given_are_copied(task):
    conversation = reflection_conversation(task, ROW, PROMPT, "3", MODEL)
    conversation[0]["content"] = "changed"
    assert PROMPT[0]["content"] == "Be brief."
