"""What the assistant writes is found under templates that do not mark it, and is all that a warm-up learns."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from trl import SFTTrainer

from rrr_core.chat.format import ChatFormat
from rrr_core.errors import ModelError
from rrr_core.training.assistant_tokens import marks_assistant, with_assistant_tokens
from rrr_core.training.tiny import make_model
from rrr_core.training.warmup import warm_up
from tests.chat.templates import NAMES, tokenizer_of
from tests.generation.tiny import CHATML, make_tokenizer
from tests.training.test_warmup import SMALL, Parrot

pytestmark = pytest.mark.train

CONVERSATION = [
    {"role": "user", "content": "Toss."},
    {"role": "assistant", "content": "look <b>"},
    {"role": "user", "content": "It is up."},
    {"role": "assistant", "content": "heads again"},
]
UNMARKED = [name for name in NAMES if not marks_assistant(tokenizer_of(name))]
"""Templates of published models that TRL has no twin for."""


def learned(tokenizer: Any, made: dict[str, list[int]]) -> list[str]:
    """The texts that are learned."""
    shown = "".join(
        tokenizer.decode([token]) if mask else "\0"
        for token, mask in zip(made["input_ids"], made["assistant_masks"], strict=True)
    )
    return [part for part in shown.split("\0") if part]


@pytest.mark.parametrize("name", UNMARKED)
def test_each_text_of_the_assistants_is_learned_with_its_end_and_nothing_else(name: str) -> None:
    chat = ChatFormat(tokenizer_of(name))
    made = with_assistant_tokens(chat, CONVERSATION)
    texts = learned(chat.tokenizer, made)
    assert [text.removeprefix(said["content"]) for text, said in zip(texts, CONVERSATION[1::2], strict=True)] == [
        chat.tokenizer.decode([chat.turn_end_id()])
    ] * 2
    assert chat.tokenizer.decode(made["input_ids"]).count("Toss.") == 1


def test_a_model_with_an_unmarked_template_is_warmed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[int]] = []
    computed = SFTTrainer.compute_loss

    def compute_loss(self: Any, model: Any, inputs: Any, *arguments: Any, **keywords: Any) -> Any:
        seen.extend(inputs["labels"].tolist())
        return computed(self, model, inputs, *arguments, **keywords)

    monkeypatch.setattr(SFTTrainer, "compute_loss", compute_loss)
    tokenizer = make_tokenizer(CHATML)
    assert not marks_assistant(tokenizer)
    tokenizer.save_pretrained(tmp_path / "start")
    make_model(tokenizer, SMALL).save_pretrained(tmp_path / "start")
    warm_up([Parrot()], tmp_path / "warm", dataclasses.replace(SMALL, conversations=32), str(tmp_path / "start"))
    assert len(seen) == 32
    for labels in seen:
        assert tokenizer.decode([label for label in labels if label != -100]).startswith("heads again")


def test_calls_of_tools_need_a_template_that_marks_them() -> None:
    calling = [{"role": "user", "content": "Toss."}, {"role": "assistant", "content": "", "calls": "[]"}]
    with pytest.raises(ModelError, match=r"generation"):
        with_assistant_tokens(ChatFormat(make_tokenizer(CHATML)), calling)


def test_a_template_may_trim_but_not_rewrite_what_the_assistant_says() -> None:
    conversation = [{"role": "user", "content": "Toss."}, {"role": "assistant", "content": "Heads  "}]
    content = "message['content']"
    trimming = ChatFormat(make_tokenizer(CHATML.replace(content, f"({content} | trim)")))
    assert learned(trimming.tokenizer, with_assistant_tokens(trimming, conversation)) == ["Heads<|im_end|>"]
    rewriting = ChatFormat(make_tokenizer(CHATML.replace(content, f"({content} | lower)")))
    with pytest.raises(ModelError, match="changes the assistant's texts"):
        with_assistant_tokens(rewriting, conversation)
