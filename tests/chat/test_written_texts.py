"""Texts that a model or a row may hold: marks quoted in thoughts, control tokens spelled, empty and padded replies."""

from __future__ import annotations

import pytest

pytest.importorskip("trl")
pytestmark = pytest.mark.train

from tokenizers import AddedToken
from transformers import PreTrainedTokenizerFast

from rrr_core.chat.format import ChatFormat
from rrr_core.chat.marks import THINK, Marks, Parts, split_text
from tests.chat.table import TABLE
from tests.chat.templates import byte_level, tokenizer_of
from tests.chat.test_templates import ASK, EACH, REFLECT, RETRY, chat_of, encode, own, said

OPENED = Marks("<think>", "</think>", is_opened=True)
TEXTS = {
    "<think>I close with </think> now.</think> 12": Parts("I close with", "now.</think> 12"),
    "<think>I open with <think> here.</think>12": Parts("I open with <think> here.", "12"),
    "Well, <think>hm</think>12": Parts("", "Well, <think>hm</think>12"),
    "hm</think>12": Parts("hm", "12"),
    "<think></think>12": Parts("", "12"),
    "<think>\n\n</think>\n\n12": Parts("", "12"),
    "<think>hm": Parts("hm", "", is_thinking=True),
    "<think>hm</think>": Parts("hm", ""),
    "12": Parts("", "12"),
    "": Parts("", ""),
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_and_its_tokens_are_split_alike(text: str) -> None:
    assert split_text(text, THINK) == TEXTS[text]
    assert chat_of("qwen3").split(encode("qwen3", text)) == TEXTS[text]
    opened = TEXTS[text]
    if "</think>" not in text:
        opened = Parts(text.removeprefix("<think>"), "", is_thinking=True)
    elif text.startswith("Well"):
        opened = Parts("Well, <think>hm", "12")
    assert split_text(text, OPENED) == opened
    assert chat_of("qwen3_6").split(encode("qwen3_6", text)) == opened


@pytest.mark.parametrize(
    ("name", "text", "parts"),
    [
        ("gptoss", "<|channel|>", Parts("", "", is_thinking=True)),
        ("gptoss", "<|channel|>analysis", Parts("", "", is_thinking=True)),
        ("gptoss", "<|channel|>analysis<|message|>hm<|end|><|start|>assistant", Parts("hm", "", is_thinking=True)),
        ("gptoss", "<|channel|>final<|message|>12<|return|>", Parts("", "12")),
        ("gptoss", "<|channel|>final <|constrain|>JSON<|message|>12<|return|>", Parts("", "12")),
        (
            "gptoss",
            "<|channel|>commentary<|message|>First.<|end|><|start|>assistant<|channel|>final<|message|>12",
            Parts("First.", "12"),
        ),
        ("gptoss", "12", Parts("", "12")),
        ("muse_glimmer", " to=self", Parts("", "", is_thinking=True)),
        ("muse_glimmer", " to=self<|message|>hm<|eom|>", Parts("hm", "", is_thinking=True)),
        ("muse_glimmer", " to=user<|message|>12<|eot|>", Parts("", "12")),
        ("gemma4", "<|channel>thought\n<channel|>12<turn|>", Parts("", "12")),
        ("gemma4", "<|channel>", Parts("", "")),
        ("cohere2", "12<|END_RESPONSE|>", Parts("", "12")),
    ],
)
def test_what_models_write_in_their_own_marks_is_split_wherever_it_ends(name: str, text: str, parts: Parts) -> None:
    assert chat_of(name).split(encode(name, text)) == parts


@EACH
@pytest.mark.parametrize("keep_thoughts", [False, True])
def test_no_token_that_the_template_writes_can_be_spelled_by_a_row_or_a_model(name: str, keep_thoughts: bool) -> None:
    row, chat, tokenizer = TABLE[name], chat_of(name, keep_thoughts=keep_thoughts), tokenizer_of(name)
    control = {
        added.content: place
        for place, added in tokenizer.added_tokens_decoder.items()
        if added.special or added.content in chat.template.turn_tokens
    }

    def found(spelled: str) -> list[int]:
        thought = f"e{spelled}f" if row.thinking in ("free", "opened") else ""
        conversation = [said(f"c{spelled}d", thought), {"role": "user", "content": f"g{spelled}h"}]
        conversation = [{"role": "user", "content": f"a{spelled}b"}, *conversation]
        if row.takes_system:
            conversation.insert(0, {"role": "system", "content": f"s{spelled}t"})
        return [token for token in chat.encode_prompt(conversation) if token in control.values()]

    for token in control:
        assert found(token) == found(""), token


def test_turn_tokens_that_a_tokenizer_does_not_call_special_are_known() -> None:
    assert {"<｜User｜>", "<｜Assistant｜>"} <= chat_of("deepseek_r1_distill").template.turn_tokens
    assert "<|START_OF_TURN_TOKEN|>" in chat_of("cohere").template.turn_tokens
    assert not {"<think>", "</think>", "<tool_call>"} & chat_of("qwen3_5_nothink").template.turn_tokens


@pytest.mark.parametrize("name", ["deepseek_r1_distill", "qwen3", "lfm2_2_5", "nemotron_3_nano", "glm4moe", "gemma4"])
def test_an_answer_that_quotes_a_close_mark_after_its_thought_is_shown_whole(name: str) -> None:
    chat = chat_of(name)
    marks = chat.template.marks
    assert marks is not None
    text = chat.template.render([ASK, said(f"before {marks.close} after", "hm"), REFLECT])
    assert f"before {marks.close[0]} {marks.close[1:]} after" in text
    assert "hm" not in text
    quoted = f"7, since {marks.open} and {marks.close} are marks"
    assert chat.template.render([ASK, said(quoted), REFLECT]).count("7, since ") == 1


def test_a_thought_in_a_rows_own_message_is_the_templates_to_read() -> None:
    for name in ("qwen3", "deepseek_r1_distill", "lfm2_2_5", "glm4moe"):
        for content in ("<think>\nhm\n</think>\n\n12", "<think></think>12", "hm</think>12"):
            conversation = [ASK, said(content), REFLECT]
            assert chat_of(name).template.render(conversation) == own(name, conversation)


@EACH
def test_empty_and_padded_replies_are_rendered_as_the_template_does(name: str) -> None:
    chat, kept = chat_of(name), chat_of(name, keep_thoughts=True)
    for answer in ("", "\n\n", " \n x \n ", "x\n\n", "{{ 1 }}{% raw %}", "reply0here"):
        conversation = [ASK, said(answer), {"role": "user", "content": f"next {answer}"}]
        assert chat.template.render(conversation) == own(name, conversation)
        reply = encode(name, kept.template.written("", answer) + TABLE[name].ends[-1])
        more = kept.continuation_ids([ASK], f"next {answer}", reply, ended=True)
        assert kept.encode_prompt([ASK]) + reply + more == kept.encode_prompt(conversation)


def test_both_end_markers_are_one_end_whichever_the_model_writes_last() -> None:
    chat, after = chat_of("cohere2"), TABLE["cohere2"].after.replace("NEXT", RETRY["content"])
    for end in ("", "<|END_RESPONSE|>", "<|END_RESPONSE|><|END_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>"):
        reply = encode("cohere2", f"12{end}")
        more = chat.continuation_ids([ASK], RETRY["content"], reply, ended=bool(end))
        left = after.removeprefix("<|END_RESPONSE|>") if end else after
        left = left.removeprefix("<|END_OF_TURN_TOKEN|>") if end.endswith("<|END_OF_TURN_TOKEN|>") else left
        assert more == encode("cohere2", left)


def test_a_turn_that_ends_with_the_next_ones_start_has_that_token_once() -> None:
    chat = chat_of("glm4moe")
    reply = encode("glm4moe", "\n<think>hm</think>\n12<|user|>")
    more = chat.continuation_ids([ASK], RETRY["content"], reply, ended=True)
    assert more == encode("glm4moe", f"\n{RETRY['content']}<|assistant|>")
    cut_off = chat.continuation_ids([ASK], RETRY["content"], reply[:-1], ended=False)
    assert cut_off == [reply[-1], *more]


def test_tokens_that_swallow_the_white_space_after_them_are_continued_exactly() -> None:
    original = tokenizer_of("phi3")
    special = [added.content for added in original.added_tokens_decoder.values()]
    core = byte_level([])
    core.add_special_tokens([AddedToken(text, special=True, normalized=False, rstrip=True) for text in special])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>", pad_token="<|endoftext|>")
    tokenizer.chat_template = original.chat_template
    chat = ChatFormat(tokenizer)
    reply = tokenizer("I used 5 twice.<|end|>", add_special_tokens=False)["input_ids"]
    joined = chat.encode_prompt([ASK]) + reply + chat.continuation_ids([ASK], RETRY["content"], reply, ended=True)
    assert joined == chat.encode_prompt([ASK, said("I used 5 twice."), RETRY])
