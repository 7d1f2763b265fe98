"""Every chat template that the installed TRL ships, through prompt, attempt, reflection and retry.

The oracle is transformers' own rendering; what differs from one template to the next is held against the table.
"""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("trl")
pytestmark = pytest.mark.train

from rrr_core.chat.format import ChatFormat
from rrr_core.chat.marks import Parts
from rrr_core.chat.settings import ChatSettings
from rrr_core.errors import ModelError
from tests.chat.table import TABLE, Row
from tests.chat.templates import NAMES, tokenizer_of
from tests.generation.tool_templates import TOOLS, tools_message

EACH = pytest.mark.parametrize("name", TABLE)
THINKING = pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.thinking != "none"])
SYSTEM = {"role": "system", "content": "Be brief."}
ASK = {"role": "user", "content": "Use 3, 4 and 5 to make 12."}
REFLECT = {"role": "user", "content": "Wrong. Reflect."}
RETRY = {"role": "user", "content": "Use 3, 4 and 5 to make 12, again."}
THOUGHT, ANSWER = "3 and 4 are 7;\n\n7 and 5 are 12.", "<answer>\n3 + 4 + 5\n</answer>"


def chat_of(name: str, **settings: Any) -> ChatFormat:
    return ChatFormat(tokenizer_of(name), ChatSettings(**settings))


def said(answer: str, thought: str = "") -> dict[str, str]:
    """An assistant's message, as the core has it."""
    message = {"role": "assistant", "content": answer}
    return {**message, "thought": thought} if thought else message


def own(name: str, conversation: list[dict[str, str]], **arguments: Any) -> str:
    """transformers' rendering: thoughts in the field that its documentation names, content as the template wants it."""
    messages: list[dict[str, Any]] = []
    for message in conversation:
        content: Any = message["content"]
        if TABLE[name].takes_parts:
            content = [{"type": "text", "text": content}]
        made = {"role": message["role"], "content": content}
        if "thought" in message and TABLE[name].form is not None:
            made["reasoning_content"] = message["thought"]
        elif "thought" in message and TABLE[name].keeps_thoughts:  # in the content, as the model wrote it
            made["content"] = TABLE[name].reply.replace("THOUGHT", message["thought"]).replace("ANSWER", content)
        messages.append(made)
    arguments = {"add_generation_prompt": True, **arguments}
    return str(tokenizer_of(name).apply_chat_template(messages, tokenize=False, **arguments))


def encode(name: str, text: str) -> list[int]:
    return list(tokenizer_of(name)(text, add_special_tokens=False)["input_ids"])


def sampled(name: str, answer: str = ANSWER, thought: str = THOUGHT) -> list[int]:
    """A reply's ids as the model writes it, its end included."""
    row = TABLE[name]
    reply = row.reply if thought or row.thinking == "none" else "ANSWER"
    reply = reply.replace("THOUGHT", thought).replace("ANSWER", answer)
    return encode(name, reply + row.ends[-1])


def test_every_template_of_the_installed_trl_is_in_the_table() -> None:
    assert sorted(TABLE) == NAMES


@EACH
def test_what_a_template_does_is_found(name: str) -> None:
    row, chat = TABLE[name], chat_of(name)
    template, tokenizer = chat.template, tokenizer_of(name)
    marker, text = template.marked([ASK, said(""), {"role": "user", "content": "NEXT"}], 1)
    state = {chat.opens_thought: "opened", template.closes_thought: "closed"}.get(True, "free")
    assert row == Row(
        after=text.partition(marker)[2],
        ends=tuple(tokenizer.convert_ids_to_tokens(list(chat.end_ids()))),
        thinking="none" if template.marks is None else state,
        reply=row.reply if template.marks is None else template.written("THOUGHT", "ANSWER"),
        keeps_thoughts=template.keeps_thoughts,
        form=template.thought_form,
        shares_prompt=template.shares_prompt,
        extends=(chat.extends(False), chat.extends(True)),
        tools=template.tools_place,
        takes_parts=template.takes_parts,
        takes_system=row.takes_system,
        writes_date=template.writes_date,
    )
    assert tokenizer.decode([chat.turn_end_id()]) == row.ends[-1]
    assert chat.thinks is (row.thinking in ("free", "opened"))


@EACH
def test_a_prompt_is_the_templates_own_rendering(name: str) -> None:
    row, chat = TABLE[name], chat_of(name)
    rounds = [ASK, said(ANSWER), REFLECT, said("I used 5 twice."), RETRY]
    for conversation in (rounds[:1], rounds[:3], rounds, [ASK, said(""), REFLECT]):
        assert chat.encode_prompt(conversation) == encode(name, own(name, conversation))
        if row.takes_system:
            assert chat.encode_prompt([SYSTEM, *conversation]) == encode(name, own(name, [SYSTEM, *conversation]))


def test_a_template_that_refuses_a_system_message_is_one_clear_error() -> None:
    for name, row in TABLE.items():
        if not row.takes_system:
            with pytest.raises(ModelError, match="refuses a conversation of system, user: System role not supported"):
                chat_of(name).encode_prompt([SYSTEM, ASK])


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.tools == "argument"])
def test_tools_are_shown_as_the_template_shows_them(name: str) -> None:
    text = own(name, [ASK, said(ANSWER), REFLECT], tools=TOOLS)
    assert "weather" in text
    assert chat_of(name).template.render([tools_message(), ASK, said(ANSWER), REFLECT]) == text


@EACH
@pytest.mark.parametrize("ended", [True, False])
def test_after_an_answer_comes_what_the_template_puts_there(name: str, ended: bool) -> None:
    row, chat = TABLE[name], chat_of(name)
    ids = sampled(name, thought="")
    more = chat.continuation_ids([ASK], REFLECT["content"], ids if ended else ids[:-1], ended)
    text = row.after.replace("NEXT", REFLECT["content"])
    written = encode(name, text)
    if ended and row.ends[-1] in text.partition(REFLECT["content"])[0]:
        written = written[written.index(ids[-1]) + 1 :]
    elif ended:  # gpt-oss: one end token, the sampled one
        written = written[1:]
    assert more == written


@EACH
def test_a_retry_goes_on_from_sampled_ids_exactly_where_the_template_shows_them_unchanged(name: str) -> None:
    row, chat = TABLE[name], chat_of(name)
    before = [ASK, said(ANSWER), REFLECT]
    thoughts = ["", THOUGHT] if row.thinking in ("free", "opened") else [""]
    for thought in thoughts:
        if not thought and row.thinking == "opened":
            continue
        reply, whole = sampled(name, thought=thought), [*before, said(ANSWER, thought), RETRY]
        fresh = encode(name, own(name, whole))
        assert chat.encode_prompt(whole) == fresh
        joined = chat.encode_prompt(before) + reply
        joined += chat.continuation_ids(before, RETRY["content"], reply, ended=True)
        assert (joined == fresh) is chat.extends(bool(thought)) is row.extends[bool(thought)]


@pytest.mark.parametrize(
    ("name", "thought"),
    [
        (name, thought)
        for name, row in TABLE.items()
        for thought in ("", THOUGHT)
        if not thought or row.thinking != "none"
    ],
)
def test_with_thoughts_kept_every_later_prompt_begins_with_what_was_read_and_written(name: str, thought: str) -> None:
    chat = chat_of(name, keep_thoughts=True)
    assert chat.extends(True)
    assert chat.extends(False)
    conversation: list[dict[str, str]] = [ASK]
    ids = chat.encode_prompt(conversation)
    for follows in (REFLECT, RETRY, REFLECT):
        reply = encode(name, chat.template.written(thought, ANSWER) + TABLE[name].ends[-1])
        assert chat.split(reply) == Parts(thought, ANSWER)
        ids += reply + chat.continuation_ids(conversation, follows["content"], reply, ended=True)
        conversation += [said(ANSWER, thought), follows]
        assert chat.encode_prompt(conversation) == ids


@THINKING
def test_a_reply_is_split_as_its_model_writes_it_and_cut_off_where_it_ends(name: str) -> None:
    row, chat = TABLE[name], chat_of(name)
    whole = sampled(name)
    assert chat.split(whole) == chat.split(whole[:-1]) == Parts(THOUGHT, ANSWER)
    before, _, _ = row.reply.partition("ANSWER")
    start = encode(name, before.replace("THOUGHT", THOUGHT))
    assert chat.split([*start, *encode(name, "<ans")]) == Parts(THOUGHT, "<ans")
    unfinished = row.reply.partition("THOUGHT")[0] + "3 and <answer>4</answer>"
    assert chat.split(encode(name, unfinished)) == Parts("3 and <answer>4</answer>", "", is_thinking=True)
    if row.thinking != "opened":
        assert chat.split(sampled(name, thought="")) == Parts("", ANSWER)
    else:
        assert chat.split(sampled(name, thought="")) == Parts(ANSWER, "", is_thinking=True)
