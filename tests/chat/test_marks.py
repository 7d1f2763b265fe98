"""Texts and sampled ids split into thought and answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrr_core.chat.marks import CHANNELS, KNOWN, THINK, Marks, Parts, find_marks, marks_from, split_text
from rrr_core.errors import ModelError

OPENED = Marks("<think>", "</think>", is_opened=True)
WORDS = st.text(st.characters(blacklist_characters="<>[]◁▷"), max_size=30)


@pytest.mark.parametrize("marks", KNOWN, ids=lambda marks: marks.open)
@given(thought=WORDS, answer=WORDS)
def test_what_stands_in_the_marks_is_the_thought_and_the_rest_the_answer(
    marks: Marks, thought: str, answer: str
) -> None:
    parts = Parts(thought.strip(), answer.lstrip())
    assert split_text(f"{marks.open}\n{thought}\n{marks.close}\n\n{answer}", marks) == parts
    opened = Marks(marks.open, marks.close, is_opened=True)
    assert split_text(f"{thought}\n{marks.close}\n\n{answer}", opened) == parts


def test_a_close_mark_alone_closes_a_thought_that_the_prompt_opened() -> None:
    assert split_text("I add.\n</think>\n\n7", THINK) == Parts("I add.", "7")


def test_an_answer_in_an_unfinished_thought_is_no_answer() -> None:
    thought = "So <answer>3+4</answer>? Let me check"
    assert split_text(thought, OPENED) == Parts(thought, "", is_thinking=True)
    assert split_text(f"<think>{thought}", THINK) == Parts(thought, "", is_thinking=True)


def test_a_text_without_marks_is_all_answer_unless_the_prompt_opened_a_thought() -> None:
    assert split_text(" 3+4 ", THINK) == Parts("", " 3+4 ")
    assert split_text("<think>I add.</think>7", None) == Parts("", "<think>I add.</think>7")


def test_the_first_close_mark_ends_the_thought() -> None:
    assert split_text("a</think>b</think>c", OPENED) == Parts("a", "b</think>c")


def test_marks_in_the_answer_are_part_of_it() -> None:
    assert split_text("7, since <think>I add.</think>", THINK) == Parts("", "7, since <think>I add.</think>")


@pytest.mark.parametrize(
    ("prompt_end", "tokens", "template", "marks"),
    [
        ("<|im_start|>assistant\n<think>\n", (), "", OPENED),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", (), "x</think>", THINK),
        ("<|im_start|>assistant\n", ("<think>", "</think>"), "", THINK),
        ("<|start|>assistant", ("<|channel|>", "<|message|>"), "", CHANNELS),
        ("<|im_start|>assistant\n", ("<tool_call>",), "", None),
    ],
)
def test_marks_come_from_the_prompts_end_then_the_tokens_then_the_template(
    prompt_end: str, tokens: tuple[str, ...], template: str, marks: Marks | None
) -> None:
    assert find_marks(prompt_end, tokens, template) == marks


def test_the_users_marks_are_two_words_or_none() -> None:
    assert marks_from("[A] [/A]") == Marks("[A]", "[/A]")
    assert marks_from("[A] [/A] opened") == Marks("[A]", "[/A]", is_opened=True)
    assert marks_from("none") is None
    with pytest.raises(ModelError, match=r"--thought-marks '<think>': give what opens a thought and what closes it"):
        marks_from("<think>")
    with pytest.raises(ModelError, match="a third word can only be 'opened'"):
        marks_from("<think> </think> closed")
