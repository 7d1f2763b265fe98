"""What a user may set of a chat template: its arguments, which of several, the date, the marks of a thought."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

pytest.importorskip("trl")
pytestmark = pytest.mark.train

from transformers import PreTrainedTokenizerFast

from rrr_core.chat.dates import on_day
from rrr_core.chat.format import ChatFormat
from rrr_core.chat.marks import Parts
from rrr_core.chat.settings import ChatSettings, template_arguments
from rrr_core.errors import ModelError
from tests.chat.table import TABLE, Thinking
from tests.chat.templates import tokenizer_of
from tests.chat.test_templates import ANSWER, ASK, REFLECT, RETRY, THOUGHT, chat_of, encode, own, said
from tests.generation.tiny import CHATML, make_tokenizer
from tests.generation.tool_templates import QWEN_LIKE, TOOLS, tools_message

SWITCHES: list[tuple[str, dict[str, Any], Thinking, bool, tuple[bool, bool]]] = [
    ("qwen3", {"enable_thinking": False}, "closed", False, (False, False)),
    ("glm4moe", {"enable_thinking": False}, "closed", False, (True, False)),
    ("qwen3_5_think", {"enable_thinking": False}, "closed", False, (False, False)),
    ("qwen3_5_nothink", {"enable_thinking": True}, "opened", False, (False, False)),
    ("qwen3_6", {"preserve_thinking": True}, "opened", True, (True, True)),
    ("qwen3_8", {"enable_thinking": False}, "closed", True, (True, False)),
    ("qwen3_8", {"reasoning_effort": "low"}, "opened", True, (True, True)),
    ("nemotron_3_nano", {"enable_thinking": False}, "closed", False, (True, False)),
    ("nemotron_3_nano", {"truncate_history_thinking": False}, "opened", True, (True, True)),
    ("nemotron_3_super", {"low_effort": True}, "opened", False, (False, False)),
    ("gemma4", {"enable_thinking": True}, "free", False, (True, False)),
    ("gptoss", {"reasoning_effort": "high"}, "free", False, (False, False)),
    ("muse_glimmer", {"reasoning_strength": "low"}, "free", True, (False, True)),
    ("lfm2_2_5", {"preserve_thinking": True}, "free", True, (True, True)),
]


@pytest.mark.parametrize(("name", "arguments", "thinking", "keeps", "extends"), SWITCHES)
def test_a_switch_changes_the_prompt_as_the_template_says_and_what_follows_from_it(
    name: str, arguments: dict[str, Any], thinking: Thinking, keeps: bool, extends: tuple[bool, bool]
) -> None:
    chat = chat_of(name, arguments=arguments)
    conversation = [ASK, said(ANSWER, THOUGHT), REFLECT, said(ANSWER), RETRY]
    text = own(name, conversation, **arguments)
    assert text != own(name, conversation)
    assert chat.encode_prompt(conversation) == encode(name, text)
    state = {chat.opens_thought: "opened", chat.template.closes_thought: "closed"}.get(True, "free")
    assert (state, chat.template.keeps_thoughts) == (thinking, keeps)
    assert (chat.extends(False), chat.extends(True)) == extends
    assert chat.thinks is (thinking != "closed")
    assert chat.identity()["template"] == arguments


@pytest.mark.parametrize("name", ["qwen3", "glm4moe", "nemotron_3_nano", "qwen3_8"])
def test_without_thinking_an_answer_goes_on_from_its_ids_only_if_the_template_keeps_the_empty_thought(
    name: str,
) -> None:
    chat = chat_of(name, arguments={"enable_thinking": False})
    reply = encode(name, ("\n" if name == "glm4moe" else "") + ANSWER + TABLE[name].ends[-1])
    assert chat.split(reply) == Parts("", ANSWER if name != "glm4moe" else f"\n{ANSWER}")
    joined = chat.encode_prompt([ASK]) + reply + chat.continuation_ids([ASK], RETRY["content"], reply, ended=True)
    fresh = encode(name, own(name, [ASK, said(ANSWER), RETRY], enable_thinking=False))
    assert (joined == fresh) is chat.extends(False) is (name != "qwen3")


def named(**templates: str) -> PreTrainedTokenizerFast:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = templates
    return tokenizer


def test_of_named_templates_default_is_rendered_and_tool_use_where_there_are_tools_as_in_transformers() -> None:
    tokenizer = named(default=CHATML, tool_use=QWEN_LIKE, rag=CHATML.replace("user", "reader"))
    chat = ChatFormat(tokenizer)
    conversation = [ASK, said(ANSWER), REFLECT]
    plain = tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
    shown = tokenizer.apply_chat_template(conversation, tools=TOOLS, tokenize=False, add_generation_prompt=True)
    assert chat.template.render(conversation) == plain
    assert chat.template.render([tools_message(), *conversation]) == shown
    assert "weather" in shown
    assert chat.template.tools_place == "argument"


def test_a_continuation_with_tools_is_that_of_tool_use() -> None:
    tokenizer = named(default=CHATML, tool_use=QWEN_LIKE.replace("<|im_end|>\\n", "<|im_end|>\\n\\n"))
    chat = ChatFormat(tokenizer)
    reply = tokenizer("I used 5 twice.<|im_end|>")["input_ids"]
    for first in ([], [tools_message()]):
        conversation = [*first, ASK]
        more = chat.continuation_ids(conversation, RETRY["content"], reply, ended=True)
        whole = chat.encode_prompt([*conversation, said("I used 5 twice."), RETRY])
        assert chat.encode_prompt(conversation) + reply + more == whole


def test_a_named_template_is_used_for_every_conversation_if_the_user_says_so() -> None:
    tokenizer = named(default=CHATML, tool_use=QWEN_LIKE, rag=QWEN_LIKE.replace("user", "reader"))
    chat = ChatFormat(tokenizer, ChatSettings(name="rag"))
    for tools in ([], [tools_message()]):
        own_text = tokenizer.apply_chat_template(
            [ASK], chat_template="rag", tools=TOOLS if tools else None, tokenize=False, add_generation_prompt=True
        )
        assert chat.template.render([*tools, ASK]) == own_text
    assert chat.identity()["template_name"] == "rag"


def test_named_templates_without_the_one_wanted_are_one_clear_error() -> None:
    with pytest.raises(
        ModelError, match=r"no chat template named 'tool_us'\. Did you mean 'tool_use'.* default, tool_use"
    ):
        ChatFormat(named(default=CHATML, tool_use=QWEN_LIKE), ChatSettings(name="tool_us")).encode_prompt([ASK])
    with pytest.raises(ModelError, match=r"none named 'default': choose one with --template-name, of rag, tool_use"):
        ChatFormat(named(rag=CHATML, tool_use=QWEN_LIKE)).encode_prompt([ASK])


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.writes_date])
def test_a_template_that_writes_the_date_renders_a_run_the_same_on_any_later_day(name: str) -> None:
    day = date(2024, 2, 29)
    chat = chat_of(name, day=day)
    conversation = [ASK, said(ANSWER), REFLECT]
    text = chat.template.render(conversation)
    today = own(name, conversation)
    for shape in ("%Y-%m-%d", "%d %b %Y"):
        today = today.replace(chat_of(name).template.day.strftime(shape), day.strftime(shape))
    assert text == today
    assert "2024" in text
    assert chat.identity()["template_date"] == "2024-02-29"


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if not row.writes_date])
def test_a_template_that_writes_no_date_has_none_in_the_manifest(name: str) -> None:
    assert "template_date" not in chat_of(name, day=date(2024, 2, 29)).identity()


def test_a_date_given_to_the_template_is_the_one_it_writes() -> None:
    chat = chat_of("llama3_2", arguments={"date_string": "01 Jan 2020"}, day=date(2024, 2, 29))
    assert "Today Date: 01 Jan 2020" in chat.template.render([ASK])
    assert "template_date" not in chat.identity()


def test_a_format_that_the_template_computes_is_fixed_to_the_day_too() -> None:
    source = "{% set shape = '%d.' ~ '%m.%Y' %}{{ strftime_now(shape) }} " + CHATML
    tokenizer = make_tokenizer(source)
    chat = ChatFormat(tokenizer, ChatSettings(day=date(2024, 2, 29)))
    assert chat.template.render([ASK]).startswith("29.02.2024 <|im_start|>user\n")
    assert chat.template.writes_date
    assert on_day(CHATML, date(2024, 2, 29)) == CHATML


def test_marks_that_the_user_names_replace_those_found() -> None:
    chat = chat_of("qwen3", thought_marks="(( ))")
    assert chat.split(encode("qwen3", "((hm)) 12")) == Parts("hm", "12")
    assert chat_of("qwen3", thought_marks="none").split(encode("qwen3", "<think>hm</think>12")).thought == ""
    opened = ChatFormat(
        make_tokenizer(CHATML.replace("assistant\n'", "assistant\n(('")), ChatSettings(thought_marks="(( ))")
    )
    assert opened.opens_thought
    assert opened.split(tokenizer_of("qwen3")("hm")["input_ids"][:0]) == Parts("", "", is_thinking=True)


@pytest.mark.parametrize("text", ["low", "NaN", "[" * 100_000], ids=["word", "NaN", "nested too deep"])
def test_a_switch_that_is_not_json_is_a_text(text: str) -> None:
    assert template_arguments({"reasoning_effort": text}) == {"reasoning_effort": text}
