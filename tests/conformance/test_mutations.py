"""Mutants of right answers: the same in every run, each a different text, and only in the part that is judged."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrr_core.conformance.mutations import FOLDED, WAYS, Mutant, mutants


def test_mutants_are_the_same_in_every_run() -> None:
    assert list(mutants("44+35-19")) == list(mutants("44+35-19"))


def test_every_way_of_mutating_is_used() -> None:
    assert {mutant.way for mutant in mutants("add 44 and 35, then take 19 away")} == set(WAYS)


@given(st.text())
def test_no_mutant_is_the_answer_itself_and_none_comes_twice(answer: str) -> None:
    texts = [mutant.text for mutant in mutants(answer)]
    assert answer not in texts
    assert len(texts) == len(set(texts))


def test_a_change_of_white_space_or_case_is_no_mutant() -> None:
    plain = {"".join(mutant.text.split()).casefold() for mutant in mutants("Q q")}
    assert "qq" not in plain


@pytest.mark.parametrize("letter", FOLDED)
def test_a_letter_that_folds_differs_until_its_case_changes(letter: str) -> None:
    other = FOLDED[letter]
    assert other != letter
    assert letter.casefold() in {other.upper().lower(), other.lower(), other.casefold()}


@pytest.mark.parametrize("letter", FOLDED)
def test_a_letter_that_folds_into_that_of_the_answer_is_a_mutant(letter: str) -> None:
    assert Mutant("a letter that folds into ASCII", FOLDED[letter]) in list(mutants(letter))


def test_int_reads_the_other_writings_of_a_number_as_that_number() -> None:
    by_way = {mutant.way: mutant.text for mutant in mutants("1234")}
    for way in ("a full-width character", "a digit of another script"):
        assert not by_way[way].isascii()
        assert int(by_way[way]) == 1234
    for way in ("a leading zero more or less", "a plus before a number", "an underscore between digits"):
        assert by_way[way].isascii()
        assert int(by_way[way]) == 1234


def test_a_zero_width_space_is_inside_the_text_and_not_at_an_end() -> None:
    texts = [mutant.text for mutant in mutants("word") if mutant.way == "a zero-width space inside"]
    assert texts
    for text in texts:
        assert text.replace("\u200b", "") == "word"
        assert text.strip("\u200b") == text


def test_a_number_that_has_a_sign_gets_no_other() -> None:
    assert not [mutant for mutant in mutants("-5") if mutant.way == "a plus before a number"]


def test_if_the_judged_part_is_ambiguous_the_whole_answer_is_changed() -> None:
    assert any(not mutant.text.startswith("Answer: ") for mutant in mutants("Answer: s s", "s"))


@given(st.text(string.digits, min_size=1))
def test_only_the_judged_part_is_changed(part: str) -> None:
    for mutant in mutants(f"I think: <answer>{part}</answer>!", part):
        assert mutant.text.startswith("I think: <answer>")
        assert mutant.text.endswith("</answer>!")


def test_the_mutants_of_an_empty_answer_add_to_it() -> None:
    assert {mutant.way for mutant in mutants("")} == {"a digit appended", "a word appended"}
