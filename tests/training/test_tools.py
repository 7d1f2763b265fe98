"""Training on failures whose prompts begin with tools."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from rrr_core.episode import Episode
from rrr_core.errors import ModelError
from rrr_core.generation import ModelSettings
from rrr_core.generation.transformers_backend import load_from
from rrr_core.training import several
from rrr_core.training.rollout import Rollout
from rrr_core.training.run import train
from tests.generation.tool_templates import tools_message
from tests.training.conftest import CoinTask

pytestmark = pytest.mark.train


@pytest.fixture
def with_tools(failures: Any) -> Any:
    def given_tools(episode: Episode) -> Episode:
        prompt, *rest = episode.segments
        asked = dataclasses.replace(prompt, messages=(tools_message(), *prompt.messages))
        return dataclasses.replace(episode, segments=(asked, *rest))

    return [dataclasses.replace(failure, episode=given_tools(failure.episode)) for failure in failures]


def test_reflection_and_retry_follow_the_tools(
    monkeypatch: pytest.MonkeyPatch, with_tools: Any, tiny_model: Path, settings: Any, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    template = (
        "{% for tool in tools or [] %}{{ '<|system|>' + (tool | tojson) + '<|end|>' }}{% endfor %}"
        + (model / "chat_template.jinja").read_text()
    )
    (model / "chat_template.jinja").write_text(template)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 1024}))
    kept: list[Episode] = []

    class Kept(Rollout):
        def play(self, *arguments: Any) -> list[Episode]:
            episodes = super().play(*arguments)
            kept.extend(episodes)
            return episodes

    monkeypatch.setattr(several, "Rollout", Kept)
    few = dataclasses.replace(settings, steps=1, save_every=1)
    named = ModelSettings(model=str(model))
    assert train(CoinTask(), with_tools, named, tmp_path / "t", few).steps == 1
    tokenizer = load_from(named).tokenizer
    assert len(kept) == few.batch_size
    for episode in kept:
        requests = [segment for segment in episode.segments if segment.is_read and segment.ids]
        prompt, between = (tokenizer.decode(request.ids) for request in (requests[0], requests[-1]))
        assert prompt.count('"name": "weather"') == 1
        assert prompt.endswith("<|user|>Wrong. Reflect.<|end|><|assistant|>")
        has_retry = episode.rounds[0].retry is not None
        assert len(requests) == (2 if has_retry else 1)
        if has_retry:
            assert "weather" not in between
            assert between.endswith(f"<|user|>Toss {episode.row['n']}.<|end|><|assistant|>")
    assert sum(episode.rounds[0].retry is not None for episode in kept) > 3


def test_failures_mined_with_tools_are_refused_for_a_model_that_takes_none(
    with_tools: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="no place for tools"):
        train(CoinTask(), with_tools, model_settings, tmp_path / "t", settings)
