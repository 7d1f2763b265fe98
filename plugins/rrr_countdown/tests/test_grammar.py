"""The grammar of an equation, and which part of a text is judged."""

import pytest
from rrr_countdown.equations import (
    INVALID,
    MISSED,
    WRONG_NUMBERS,
    InvalidEquation,
    last_answer,
    left_side,
    parse,
    verify,
)

ROW = {"nums": [44, 19, 35], "target": 60}


def judge(equation, row=ROW):
    verdict = verify(row, f"<answer>{equation}</answer>")
    return verdict.category or verdict.outcome


@pytest.mark.parametrize(
    "equation",
    [
        "44+35-19",
        " 44\t+\n35\r- 19 ",
        "(44+35)-19",
        "((44)+((35)))-(19)",
        "44--35-19",
        "-19+44+35",
        "-(19-44)+35",
        "-(-44)---(-35)-19",
        "44+35-19=60",
        "44+35-19 = 60 ",
        "44 − 19 + 35",
    ],
)
def test_a_legal_equation_with_the_right_value_passes(equation):
    assert judge(equation) == "passed"


@pytest.mark.parametrize("sign", ["*", "×", "·"])
def test_every_sign_of_multiplication_means_the_same(sign):
    assert judge(f"6{sign}7", {"nums": [6, 7], "target": 42}) == "passed"


@pytest.mark.parametrize("sign", ["/", "÷"])
def test_every_sign_of_division_means_the_same(sign):
    assert judge(f"42{sign}7", {"nums": [42, 7], "target": 6}) == "passed"


def test_products_bind_stronger_than_sums_and_equals_group_from_the_left():
    assert judge("2+3*4", {"nums": [2, 3, 4], "target": 14}) == "passed"
    assert judge("9-4-3", {"nums": [9, 4, 3], "target": 2}) == "passed"
    assert judge("24/4/3", {"nums": [24, 4, 3], "target": 2}) == "passed"
    assert judge("24/4*3", {"nums": [24, 4, 3], "target": 18}) == "passed"
    assert judge("-2*-3", {"nums": [2, 3], "target": 6}) == "passed"


def test_the_tree_matches_the_text():
    assert parse("(44-19)*-2").postfix == (44, 19, "-", 2, "~", "*")
    assert parse("1+2").claim is None
    assert parse("1+2 = -3").claim == ("-", "3")


def test_intermediate_fractions_are_exact():
    assert judge("8/(3-8/3)", {"nums": [8, 3, 8, 3], "target": 24}) == "passed"
    assert judge("49/(49/(1/(1/3)))*2", {"nums": [49, 49, 1, 1, 3, 2], "target": 6}) == "passed"
    assert judge("10**17/3*3", {"nums": [10**17, 3, 3], "target": 10**17}) == INVALID
    assert judge(f"{10**17 + 1}/3*3", {"nums": [10**17 + 1, 3, 3], "target": 10**17 + 1}) == "passed"


def test_200_parentheses_may_be_open_and_no_more():
    assert judge("(" * 200 + "44" + ")" * 200 + "+35-19") == "passed"
    assert judge("(" * 201 + "44" + ")" * 201 + "+35-19") == INVALID


def test_parentheses_side_by_side_are_not_deep():
    assert judge("+".join(["(1)"] * 300), {"nums": [1] * 300, "target": 300}) == "passed"


def test_what_follows_the_equality_sign_must_be_the_target():
    assert judge("44+35-19=61") == INVALID
    assert judge("44+35-19=-60") == INVALID
    assert judge("44+35-19=60.0") == INVALID
    assert judge("44+35-19=(60)") == INVALID
    assert judge("44+35-19=6 0") == INVALID
    assert judge("44+35-19=") == INVALID
    assert judge("2-5 = -3", {"nums": [2, 5], "target": -3}) == "passed"


def test_the_right_claim_does_not_make_a_wrong_equation_right():
    assert judge("44+19-35=60") == MISSED
    assert judge("44+16=60") == WRONG_NUMBERS


def test_a_division_by_zero_is_an_invalid_equation_whatever_its_numbers():
    assert judge("44/(19-19)") == INVALID
    assert judge("44/0") == INVALID
    assert judge("5/(3-3)", {"nums": [5, 3, 3], "target": 5}) == INVALID
    assert judge("0/5", {"nums": [0, 5], "target": 0}) == "passed"


def test_the_classes_have_a_precedence():
    assert judge("44+1+") == INVALID, "a malformed equation is invalid whatever its numbers"
    assert judge("44+1") == WRONG_NUMBERS, "wrong numbers come before a missed target"
    assert judge("44-35-19") == MISSED


def test_the_same_number_counts_as_often_as_the_row_has_it():
    row = {"nums": [5, 5, 2], "target": 20}
    assert judge("(5+5)*2", row) == "passed"
    assert judge("5*2*2", row) == WRONG_NUMBERS
    assert judge("5*2", row) == WRONG_NUMBERS


def test_literals_of_any_length_are_numbers_and_never_those_of_a_row():
    for digits in (19, 640, 641, 4300, 4301, 9_990):
        assert judge("9" * digits) == WRONG_NUMBERS
    assert judge("7" * 4_900 + "/" + "3" * 4_900) == WRONG_NUMBERS
    assert parse("1" + "0" * 5_000).postfix == (10**5_000,)


def test_an_equation_of_more_than_ten_thousand_characters_is_invalid_not_counting_outer_white_space():
    assert judge(" " * 1_000_000 + "44+35-19" + "\n" * 1_000_000) == "passed"
    assert judge("44+" + " " * 9_992 + "35-19") == "passed"
    assert judge("44+" + " " * 9_993 + "35-19") == INVALID


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<answer>1</answer>", "1"),
        ("<answer>1</answer> then <answer>2</answer>", "2"),
        ("<answer>1</answer> then <answer>2", "1"),
        ("<answer>1</answer> stray </answer>", "1"),
        ("<answer>1 <answer>2</answer>", "2"),
        ("<answer>1 <answer>2</answer> 3</answer>", "2"),
        ("</answer><answer>1</answer>", "1"),
        ("</answer><answer>", None),
        ("<answer>1", None),
        ("1</answer>", None),
        ("<ANSWER>1</ANSWER>", None),
        ("< answer>1</answer>", None),
        ("<answer >1</answer>", None),
        ("<answer><answer>1</answer></answer>", "1"),
        ("", None),
    ],
)
def test_the_last_complete_answer_is_judged(text, answer):
    assert last_answer(text) == answer


def test_the_judged_part_of_a_text_excludes_tags_and_claim():
    assert left_side("<answer> 44+35-19 = 60 </answer>") == "44+35-19"
    assert left_side("44") is None
    assert left_side("<answer> </answer>") is None


def test_an_invalid_equation_says_what_is_wrong_with_it():
    with pytest.raises(InvalidEquation, match=r"'\^' where an operator is due"):
        parse("2^3")
    with pytest.raises(InvalidEquation, match="leading zero"):
        parse("044")
    assert verify(ROW, "<answer>44+19-35</answer>").detail == "gives 28, not 60"
    assert verify(ROW, "<answer>44/19</answer>").detail == "uses 19, 44, not 19, 35, 44"
