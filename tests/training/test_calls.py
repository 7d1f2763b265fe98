"""Courses of calls in training: the sampled ids of a call are kept, and what it led to follows them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from rrr_core.conversation import conversation
from rrr_core.generation import ModelSettings
from rrr_core.hookspecs import Call, Step, observed
from rrr_core.training.rollout import Rollout
from rrr_core.training.settings import TrainSettings
from tests.chat.templates import FOLDER
from tests.training.conftest import StepCoin, coin_failures
from tests.training.test_courses import rollout_of, with_template

pytestmark = pytest.mark.train

TOOLS = {
    "role": "tools",
    "content": json.dumps([{"type": "function", "function": {"name": "toss", "parameters": {"type": "object"}}}]),
}
CALL = '<tool_call>{"arguments": {"n":  1}, "name": "toss"}</tool_call>'
"""In another form than the template's, which only the sampled ids keep."""


class CallingCoin(StepCoin):
    """Answers each call, and nothing else, with an observation; remembers what it got."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, tuple[Call, ...]]] = []

    def step(self, row: Any, state: Any, action: str, calls: Any = ()) -> Step:
        self.seen.append((action, tuple(calls)))
        return observed("heads" if calls else "Call a tool.", state)


@pytest.fixture
def rollout(tiny_model: Path, tmp_path: Path, settings: TrainSettings, monkeypatch: pytest.MonkeyPatch) -> Rollout:
    template = (FOLDER / "qwen2_5.jinja").read_text(encoding="utf-8").replace("<|im_end|>", "<|end|>")
    model = with_template(tiny_model, tmp_path / "calling", template, context=4096)
    made = rollout_of(CallingCoin(), ModelSettings(model=model.model), dataclasses.replace(settings, max_steps=3))
    said = iter(range(1000))
    encode = made.engine.tokenizer

    def generate_ids(prompts: Sequence[Sequence[int]], *_: object, **__: object) -> list[list[int]]:
        end = made.engine.end_ids[0]  # type: ignore[attr-defined]
        return [
            [*encode(CALL if next(said) % 3 else "hm", add_special_tokens=False)["input_ids"], end] for _ in prompts
        ]

    monkeypatch.setattr(made.engine, "generate_ids", generate_ids)
    return made


def test_a_call_keeps_its_sampled_ids_and_what_it_led_to_follows_in_the_tools_role(rollout: Rollout) -> None:
    failures = []
    for failure in coin_failures()[:4]:
        prompt, *rest = failure.episode.segments
        prompt = dataclasses.replace(prompt, messages=(TOOLS, *prompt.messages))
        failures.append(
            dataclasses.replace(failure, episode=dataclasses.replace(failure.episode, segments=(prompt, *rest)))
        )
    template, tokenizer = rollout.engine.chat.template, rollout.engine.tokenizer
    assert rollout.engine.model.calls
    called = 0
    for episode in rollout.play(failures, (0,)):
        for place, segment in enumerate(episode.segments):
            if segment.role != "observation":
                continue
            action = episode.segments[place - 1]
            assert segment.messages[0]["role"] == ("tool" if action.calls else "user")
            assert segment.ids
            assert tokenizer.decode(action.ids) == (CALL if action.calls else "hm") + "<|end|>"
            follows = tokenizer.decode(segment.ids)
            assert template.render(conversation(episode.segments[: place + 1])).endswith(follows)
            assert ("<tool_response>\nheads\n</tool_response>" in follows) is bool(action.calls)
            assert CALL not in follows
            called += bool(action.calls)
    assert called > 2
    assert ("", (Call("toss", {"n": 1}),)) in rollout.task.seen  # type: ignore[attr-defined]
    assert ("hm", ()) in rollout.task.seen  # type: ignore[attr-defined]
