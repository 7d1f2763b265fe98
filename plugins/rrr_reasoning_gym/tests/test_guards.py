"""The guards: each gap of upstream's scorers is shown to exist, and to be closed."""

from __future__ import annotations

import functools
import time
from typing import Any

import pytest
from rrr_reasoning_gym import answers, gold, guards, maker, metadata, scoring


@functools.cache
def some_rows(dataset: str, count: int = 30) -> list[dict[str, Any]]:
    found = maker.rows(dataset, "train", {"size": "400"})
    return [row for row, _ in zip(found, range(count), strict=False)]


def final(dataset: str, row: dict[str, Any]) -> str:
    return str(answers.final_answer(str(gold.gold_text(dataset, row))))


def upstream_score(dataset: str, row: dict[str, Any], answer: str) -> float:
    entry = {"question": row["question"], "answer": row["answer"], "metadata": metadata.decode(row["metadata"])}
    return float(scoring.scorer(dataset, "{}").score_answer(answer, entry))


def overrated(dataset: str, change: Any) -> tuple[dict[str, Any], str]:
    """A row and a wrong answer to it that upstream's scorer gives the full score."""
    for row in some_rows(dataset):
        answer = change(final(dataset, row))
        if answer is not None and upstream_score(dataset, row, answer) >= 1:
            return row, answer
    raise AssertionError(f"upstream has fixed {dataset}: remove its guard")


def moved(text: str) -> str:
    """The last number of a descending list, a little larger."""
    head, _, last = text.rstrip("]'\"").rpartition("'")
    return f"{head}'{float(last) - 0.5}']" if "'" in text else text


@pytest.mark.parametrize(
    ("dataset", "change"),
    [
        ("coin_flip", lambda right: right[:1] if right.startswith("0.") else None),
        ("complex_arithmetic", lambda right: "nan"),
        ("game_of_life_halting", lambda right: "no idea"),
        ("game_of_life_halting", lambda right: "True" if right == "False" else "False"),
        ("gsm_symbolic", lambda right: f"-{right}"),
        ("letter_jumble", lambda right: f"{right} and more"),
        ("number_sorting", moved),
        ("puzzle24", lambda right: "9*3*8/9" if "9" not in right else None),
        ("propositional_logic", lambda right: right.replace("P", "3", 1)),
        ("simple_integration", lambda right: None),
        ("spell_backward", lambda right: f"{right} and more"),
    ],
)
def test_a_wrong_answer_that_upstream_gives_the_full_score_fails(dataset, change):
    if dataset == "simple_integration":
        row = some_rows(dataset)[0]
        known = metadata.decode(row["metadata"])
        answer = f"Integral({known['integrand']}, {known['variable']})"
        assert upstream_score(dataset, row, answer) >= 1
    else:
        row, answer = overrated(dataset, change)
    assert scoring.verify(dataset, row, answers.tagged(answer)).is_failed


@pytest.mark.parametrize(
    ("dataset", "answer"),
    [
        ("boxnet", "7"),
        ("boxnet", "[[1]]"),
        ("boxnet", '[{"a": 1}]'),
        ("boxnet", '[{"Agent[0.5]": "move(box_red, target_red)"}]'),
        ("game_of_life", '{"a": 1}'),
        ("prime_factorization", "two"),
        ("coin_flip", "1e400"),
    ],
)
def test_an_answer_on_which_upstream_raises_is_malformed(dataset, answer):
    row = some_rows(dataset, 1)[0]
    with pytest.raises((TypeError, AttributeError, KeyError, IndexError, ValueError, OverflowError)):
        upstream_score(dataset, row, answer)
    assert scoring.verify(dataset, row, answers.tagged(answer)).category == scoring.MALFORMED


def test_a_box_outside_the_grid_is_malformed():
    row = {"metadata": {"initial_state": {"0.5_0.5": ["box_red", "target_red"]}}}
    plan = '[{"Agent[0.5, 0.5]": "move(box_red, square[9.5, 0.5])"}]'
    verdict = guards.plan(row, plan)
    assert verdict is not None
    assert verdict.category == guards.MALFORMED


RUNNING = [
    "binary_matrix",
    "countdown",
    "intermediate_integration",
    "n_queens",
    "polynomial_multiplication",
    "puzzle24",
    "simple_integration",
    "spiral_matrix",
    "string_insertion",
]


@pytest.mark.parametrize("dataset", RUNNING)
@pytest.mark.parametrize(
    "code",
    [
        "__import__('os').system('true')",
        "(lambda: 24)()",
        "[1 for each in ()]",
        "x.func",
        "exit()",
        "open('/etc/passwd')",
        "f'{1}'",
        "eval(x)",
        "Integral(x, x)",
        "x if x else y",
        "1;2",
        "x:=1",
        "𝓮𝔁𝓲𝓽()",
    ],
)
def test_code_is_malformed_if_the_scorer_would_run_it(dataset, code):
    verdict = guards.guarded(dataset, {"answer": "", "metadata": {}}, code)
    assert verdict is not None
    assert verdict.category == guards.MALFORMED


@pytest.mark.parametrize("answer", ["9**9**9", "7//2"])
@pytest.mark.parametrize("dataset", ["countdown", "puzzle24"])
def test_operators_outside_the_puzzle_are_malformed(dataset, answer):
    assert guards.guarded(dataset, {}, answer) is not None


@pytest.mark.parametrize(
    "answer",
    [
        "9**9**9",
        "9**(9**9)",
        "x**1000",
        "tan(x)**20",
        "(1 + cos(x))**7",
        "((x + 1)**100)**100",
        "1e999",
        "1.e-999999999",
        "9" * 100,
        "(x*x)**150",
        "x" * 6_000,
    ],
)
def test_a_formula_that_would_keep_sympy_busy_is_malformed(answer):
    assert guards.guarded("polynomial_multiplication", {}, answer) is not None


@pytest.mark.parametrize("dataset", sorted(guards.GUARDS))
def test_a_guard_accepts_every_right_answer(dataset):
    for row in some_rows(dataset, 8):
        assert guards.guarded(dataset, row, final(dataset, row)) is None


@pytest.mark.parametrize(
    ("dataset", "right", "said"),
    [
        ("coin_flip", "0.3125", "5/16"),
        ("game_of_life_halting", "False", "false"),
        ("gsm_symbolic", "28", "28"),
        ("gsm_symbolic", "28", "$28"),
        ("gsm_symbolic", "28", "28 - that is all"),
        ("number_sorting", "['1.0', '2']", "['1', '2.0']"),
        ("number_sorting", "['1.0', '2']", "no list"),
        ("polynomial_multiplication", "", "2*(2 - 8*x)**(3/2)/3 + E**x + asin(x) + C"),
    ],
)
def test_a_guard_leaves_the_rest_to_the_scorer(dataset, right, said):
    assert guards.guarded(dataset, {"answer": right}, said) is None


INTEGRALS = [
    ("2*sin(x)*cos(x)", "sin(x)**2 + C"),
    ("2*sin(x)*cos(x)", "-cos(2*x)/2 + 7"),
    ("4*sqrt(-2*x - 8)", "-4*(-2*x - 8)**(3/2)/3 + C"),
    ("1/x", "log(x) + C"),
    ("exp(3*x)", "E**(3*x)/3"),
    ("x**2*exp(x)", "(x**2 - 2*x + 2)*exp(x) + C"),
]


@pytest.mark.parametrize(("integrand", "right"), INTEGRALS)
def test_an_integral_is_not_refused_for_its_form(integrand, right):
    row = {"metadata": {"integrand": integrand, "variable": "x"}}
    assert guards.guarded("intermediate_integration", row, right) is None


@pytest.mark.parametrize(("integrand", "right"), INTEGRALS)
@pytest.mark.parametrize("wrong", ["{} + x/1000", "2*({})", "({}) + C*x", "-({})"])
def test_an_integral_of_something_else_is_wrong(integrand, right, wrong):
    row = {"metadata": {"integrand": integrand, "variable": "x"}}
    verdict = guards.guarded("intermediate_integration", row, wrong.format(right))
    assert verdict is not None
    assert verdict.category == guards.WRONG


@pytest.mark.parametrize(
    "wrong", ["-sin(8*x - 5)**4", "(sin(x) + cos(x) + tan(x) + x)**6", "y*x", "1/0", "exp(exp(x))"]
)
def test_a_wrong_integral_is_rejected_at_once(wrong):
    row = {"metadata": {"integrand": "4*sqrt(-2*x - 8)", "variable": "x"}}
    started = time.process_time()
    verdict = guards.guarded("intermediate_integration", row, f"{wrong} + C")
    assert time.process_time() - started < 2
    # With another variable left in it, sympy has to decide.
    assert (verdict is None) == (wrong == "y*x")
