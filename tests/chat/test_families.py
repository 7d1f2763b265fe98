"""What our tasks say to each family of the paper's models, through the chat templates of that family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import pytest

pytest.importorskip("trl")
pytestmark = pytest.mark.train

from rrr_core.chat.format import ChatFormat
from rrr_core.conversation import reflection_conversation, retry_conversation, with_reflection
from rrr_core.episode import Episode, Segment
from rrr_core.generation.families import family_of
from rrr_core.hookspecs import Model
from rrr_core.tasks import Task, load_task
from rrr_core.tasks.tools import split_tools
from tests.chat.templates import tokenizer_of
from tests.generation.tiny import CHATML, INSTRUCT, make_tokenizer

MODELS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "Qwen/Qwen2-7B-Instruct": {"qwen": ("qwen2_5",)},
    "Qwen/Qwen2.5-1.5B-Instruct": {"qwen": ("qwen2_5",)},
    "Qwen/Qwen3-4B": {"qwen": ("qwen3", "qwen3_instruct_2507")},
    "meta-llama/Llama-3.1-8B-Instruct": {"llama": ("llama3", "llama3_1", "llama3_2")},
    "microsoft/Phi-3.5-mini-instruct": {"phi": ("phi3", "phi3_5")},
    # TRL ships no template of Palmyra's: its wording has to fit one with roles, and one that takes no system message.
    "Writer/palmyra-mini": {"palmyra": ("ChatML", "Instruct", "llama3")},
}
"""A model of the paper (or its family's newest) → its family → its templates."""
ATTEMPT, REFLECTION = "<answer>1 + 1</answer>", "I left out a number."
EACH = pytest.mark.parametrize(
    ("name", "family", "template"),
    [
        (name, family, template)
        for name, families in MODELS.items()
        for family, templates in families.items()
        for template in templates
    ],
)
TASKS = pytest.mark.parametrize("task", ["countdown", "apigen"], indirect=True)


@pytest.fixture
def task(request: pytest.FixtureRequest) -> Task:
    return load_task(request.param)


def chat_of(template: str) -> ChatFormat:
    own = {"ChatML": CHATML, "Instruct": INSTRUCT}
    return ChatFormat(make_tokenizer(own[template]) if template in own else tokenizer_of(template))


def episode_of(task: Task, model: Model) -> Episode:
    row = next(islice(iter(task.load_dataset("train", {})), 1))
    attempt = Segment("attempt", text=ATTEMPT, verdict=task.verify(row, ATTEMPT))
    return Episode(0, row, (Segment("prompt", task.prompt(row, model)), attempt))


@EACH
@TASKS
def test_a_whole_episode_is_rendered_with_every_message_in_its_order(
    name: str, family: str, template: str, task: Task
) -> None:
    assert family_of(name) == family
    chat = chat_of(template)
    model = Model(name, family, chat.takes_tools, chat.calls)
    episode = episode_of(task, model)
    reflected = with_reflection(task, episode, REFLECTION, model)
    for conversation in (
        list(episode.segments[0].messages),
        reflection_conversation(task, episode, model),
        retry_conversation(task, reflected, model),
    ):
        text = chat.template.render(conversation)
        tools, messages = split_tools(conversation)
        assert all(tool["function"]["name"] in text for tool in tools)
        place = 0
        for message in messages:
            found = text.find(message["content"].strip(), place)
            assert found >= 0, f"{message['role']}: {message['content'][:60]}"
            place = found + len(message["content"].strip())
        assert messages[-1]["role"] == "user"


@EACH
@TASKS
def test_the_wording_is_the_familys_own(name: str, family: str, template: str, task: Task) -> None:
    def said(family: str) -> list[dict[str, Any]]:
        return list(episode_of(task, Model(name, family)).segments[0].messages)

    assert said(family) != said("generic")
    assert said("a family that nobody knows") == said("generic")
