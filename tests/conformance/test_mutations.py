"""Mutants of right answers: the same at every run, each another text, and only where the answer is judged."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from rrr_core.conformance.mutations import WAYS, mutants


def test_mutants_are_the_same_at_every_run() -> None:
    assert list(mutants("44+35-19")) == list(mutants("44+35-19"))


def test_every_way_changes_an_answer_that_lends_itself_to_it() -> None:
    assert {mutant.way for mutant in mutants("add 44 and 35, then take 19 away")} == set(WAYS)


@given(st.text())
def test_no_mutant_is_the_answer_itself_nor_there_twice(answer: str) -> None:
    texts = [mutant.text for mutant in mutants(answer)]
    assert answer not in texts
    assert len(texts) == len(set(texts))


def test_a_change_of_white_space_or_case_is_no_mutant() -> None:
    plain = {"".join(mutant.text.split()).casefold() for mutant in mutants("Q q")}
    assert "qq" not in plain


def test_where_the_part_that_is_judged_cannot_be_told_the_whole_is_changed() -> None:
    assert any(not mutant.text.startswith("Answer: ") for mutant in mutants("Answer: s s", "s"))


@given(st.text(string.digits, min_size=1))
def test_only_the_part_that_is_judged_is_changed(part: str) -> None:
    for mutant in mutants(f"I think: <answer>{part}</answer>!", part):
        assert mutant.text.startswith("I think: <answer>")
        assert mutant.text.endswith("</answer>!")


def test_an_empty_answer_has_mutants_that_add_to_it() -> None:
    assert {mutant.way for mutant in mutants("")} == {"a digit appended", "a word appended"}
