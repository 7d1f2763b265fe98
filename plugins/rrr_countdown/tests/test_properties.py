"""A right equation passes in any notation, and with a changed digit it fails."""

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rrr_countdown.equations import INVALID, MISSED, WRONG_NUMBERS, InvalidEquation, parse, sympy_value, value, verify

from rrr_core.verdicts import failed

SIGNS = {"+": "+", "-": "-−", "*": "*×·", "/": "/÷"}
BINDING = {"+": 1, "-": 1, "*": 2, "/": 2}


def trees(numbers):
    """Trees `int | ("~", tree) | (operator, left, right)` that use each of the numbers once, in order."""
    if len(numbers) == 1:
        leaf = st.just(numbers[0])
        return leaf | leaf.map(lambda tree: ("~", tree))
    return (
        st.integers(1, len(numbers) - 1)
        .flatmap(lambda cut: st.tuples(st.sampled_from("+-*/"), trees(numbers[:cut]), trees(numbers[cut:])))
        .flatmap(lambda tree: st.sampled_from([tree, tree, tree, ("~", tree)]))
    )


def exact(tree):
    if isinstance(tree, int):
        return Fraction(tree)
    if tree[0] == "~":
        return -exact(tree[1])
    left, right = exact(tree[1]), exact(tree[2])
    if tree[0] == "/":
        return left / right
    return left + right if tree[0] == "+" else left - right if tree[0] == "-" else left * right


def written(tree, draw):
    """A legal text of a tree and how strongly it binds: spaces, signs and needless parentheses at the draw's choice."""
    space = lambda: draw(st.sampled_from(["", "", "", " ", "\n", "\t ", "\r\n"]))  # noqa: E731
    if isinstance(tree, int):
        text, binding = str(tree), 3
    elif tree[0] == "~":
        inner, inner_binding = written(tree[1], draw)
        inner = inner if inner_binding == 3 else f"({inner})"
        text, binding = draw(st.sampled_from("-−")) + space() + inner, 3
    else:
        binding = BINDING[tree[0]]
        (left, left_binding), (right, right_binding) = written(tree[1], draw), written(tree[2], draw)
        left = left if left_binding >= binding else f"({left})"
        strict = tree[0] in "-/"
        right = f"({right})" if right_binding < binding or (strict and right_binding == binding) else right
        text = left + space() + draw(st.sampled_from(SIGNS[tree[0]])) + space() + right
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 1, 3]))):
        text, binding = f"({space()}{text}{space()})", 3
    return text, binding


@st.composite
def right_answers(draw):
    """A row, and a legal equation that reaches its target."""
    numbers = draw(st.lists(st.integers(0, 99), min_size=1, max_size=6))
    tree = draw(trees(numbers))
    try:
        target = exact(tree)
    except ZeroDivisionError:
        assume(False)
    assume(target.denominator == 1)
    text, _ = written(tree, draw)
    claim = draw(st.sampled_from(["", "", f"={target}", f" = {target}\n"]))
    return {"nums": draw(st.permutations(numbers)), "target": int(target)}, text, claim


@given(right_answers(), st.text(alphabet="<>/answer 12\n", max_size=30))
def test_a_right_equation_passes_in_any_legal_notation(answer, before):
    row, text, claim = answer
    assert verify(row, f"{before}<answer>{text}{claim}</answer> That is it.").is_passed


@given(right_answers(), st.data())
def test_a_right_equation_with_one_digit_changed_fails(answer, data):
    row, text, _ = answer
    place = data.draw(st.sampled_from([index for index, letter in enumerate(text) if letter.isdigit()]))
    digit = data.draw(st.sampled_from(sorted(set("0123456789") - {text[place]})))
    changed = text[:place] + digit + text[place + 1 :]
    verdict = verify(row, f"<answer>{changed}</answer>")
    assert verdict.category in {WRONG_NUMBERS, INVALID}
    assert verdict.is_failed


@given(right_answers(), st.integers(-3, 3).filter(bool))
def test_a_right_equation_for_another_target_misses_it(answer, shift):
    row, text, _ = answer
    other = {**row, "target": row["target"] + shift}
    assert verify(other, f"<answer>{text}</answer>").category == MISSED


@given(st.lists(st.integers(0, 99), min_size=1, max_size=6).flatmap(trees), st.data())
def test_both_arithmetics_give_the_exact_value(tree, data):
    text, _ = written(tree, data.draw)
    equation = parse(text)
    try:
        expected = exact(tree)
    except ZeroDivisionError:
        with pytest.raises(InvalidEquation, match="divides by zero"):
            value(equation.postfix)
        return
    assert Fraction(*value(equation.postfix)) == expected
    by_sympy = sympy_value(equation.postfix)
    assert (by_sympy.numerator, by_sympy.denominator) == (expected.numerator, expected.denominator)


def test_a_pass_that_sympy_does_not_confirm_is_a_fault_not_a_reward(monkeypatch):
    monkeypatch.setattr("rrr_countdown.equations.sympy_value", lambda postfix: 61)
    with pytest.raises(ArithmeticError, match="sympy does not confirm"):
        verify({"nums": [44, 19, 35], "target": 60}, "<answer>44+35-19</answer>")
    assert verify({"nums": [44, 19, 35], "target": 60}, "<answer>44</answer>") == failed(
        WRONG_NUMBERS, "uses 44, not 19, 35, 44"
    )


@pytest.mark.parametrize(
    "row", [{"nums": [44, 19], "target": "63"}, {"nums": ["44", 19], "target": 63}, {"nums": [44, 19.0], "target": 63}]
)
def test_a_malformed_row_is_a_fault_not_a_verdict(row):
    with pytest.raises(TypeError, match="not a Countdown row"):
        verify(row, "<answer>44+19</answer>")


PIECES = ["44", "19", "35", "60", "+", "-", "*", "/", "(", ")", "=", "x"]


@given(st.lists(st.sampled_from(PIECES), max_size=12), st.data())
def test_spaces_between_the_pieces_flip_no_verdict_right_or_wrong(pieces, data):
    row = {"nums": [44, 19, 35], "target": 60}
    text = ""
    for piece in pieces:  # adjacent numbers stay separate in both texts: joined they would be another number
        text += (" " if piece[0].isdigit() and text[-1:].isdigit() else "") + piece
    spaced = "".join(piece + data.draw(st.sampled_from([" ", "\n", "\t", " \r\n "])) for piece in pieces)
    plain, apart = verify(row, f"<answer>{text}</answer>"), verify(row, f"<answer>{spaced}</answer>")
    assert (plain.outcome, plain.category) == (apart.outcome, apart.category)


@given(right_answers(), st.data())
def test_one_digit_more_or_fewer_never_passes(answer, data):
    row, text, _ = answer
    places = [place for place, character in enumerate(text) if character.isdigit()]
    place = data.draw(st.sampled_from(places))
    more = text[:place] + data.draw(st.sampled_from("0123456789")) + text[place:]
    assert verify(row, f"<answer>{more}</answer>").is_failed
    assert verify(row, f"<answer>{text[:place]}{text[place + 1 :]}</answer>").is_failed
