"""What upstream's scorers do not check: one function for each scorer's gaps.

A guard runs before the scorer and refuses only answers that must not reach it: those that the scorer cannot read and
would raise on, those that are code to a scorer that executes answers, and wrong ones that it would give the full score.
The scorer judges everything else. README.md lists the guards with their reasons.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from fractions import Fraction

from rrr_core import Row, Verdict, failed
from rrr_reasoning_gym.formulas import complaint
from rrr_reasoning_gym.integrals import differs

MALFORMED, WRONG = "malformed answer", "wrong answer"
LONGEST = 20_000
"""Characters. The longest right answer of the default configurations has about 4,000."""
DEEPEST = 100
"""Brackets open at once."""

Guard = Callable[[Row, str], Verdict | None]


def guarded(dataset: str, row: Row, answer: str) -> Verdict | None:
    """A failed verdict on an answer that must not reach the scorer, or None."""
    if len(answer) > LONGEST:
        return failed(MALFORMED, f"{len(answer):,} characters, and {LONGEST:,} are allowed")
    if depth(answer) > DEEPEST:
        return failed(MALFORMED, f"more than {DEEPEST} brackets open at once")
    guard = GUARDS.get(dataset)
    return guard(row, answer) if guard else None


def depth(answer: str) -> int:
    """The most brackets, of any kind, that are open at once."""
    most = now = 0
    for letter in answer:
        if letter in "([{":
            now += 1
            most = max(most, now)
        elif letter in ")]}":
            now = max(0, now - 1)
    return most


def matching(pattern: str, wanted: str) -> Guard:
    """A guard that only accepts answers that match `pattern` as a whole."""
    compiled = re.compile(pattern, re.ASCII)

    def guard(_row: Row, answer: str) -> Verdict | None:
        return None if compiled.fullmatch(answer) else failed(MALFORMED, f"not {wanted}: {answer[:200]}")

    return guard


def formula(_row: Row, answer: str) -> Verdict | None:
    """For the scorers that pass the answer to sympy, which executes it."""
    reason = complaint(answer)
    return failed(MALFORMED, f"{reason}: {answer[:200]}") if reason else None


def integral(row: Row, answer: str) -> Verdict | None:
    """For the scorers of integrals: sympy may take minutes to reject a wrong one."""
    metadata = row["metadata"]
    refused = formula(row, answer)
    if refused is None and differs(answer, metadata["integrand"], metadata["variable"]):
        return failed(WRONG, f"its derivative is another function: {answer[:200]}")
    return refused


PROBABILITY = re.compile(r"[-+]?(\d[\d,]{0,50})?(\.\d{0,50})?(/\d{1,50}|[eE][-+]?\d{1,2})?", re.ASCII)


def probability(row: Row, answer: str) -> Verdict | None:
    """`coin_flip` gives the full score to the first digits of the right number, such as 0 for 0.3125.

    It raises on `1e400`, and takes minutes on `1e999999999`.
    """
    try:
        given = float(Fraction(answer.replace(",", ""))) if PROBABILITY.fullmatch(answer) else None
    except (ValueError, ZeroDivisionError):
        given = None
    if given is None:
        return failed(MALFORMED, f"not a probability: {answer[:200]}")
    right = float(Fraction(row["answer"]))
    return None if abs(given - right) <= PROBABILITY_TOLERANCE else failed(WRONG, f"{given:g}")


PROBABILITY_TOLERANCE = 1e-4
"""The scorer's own."""


def truth(row: Row, answer: str) -> Verdict | None:
    """`game_of_life_halting` gives the full score to any text at all if the answer is `False`, or `True`."""
    if answer.lower() not in ("true", "false"):
        return failed(MALFORMED, f"neither True nor False: {answer[:200]}")
    return None if answer.lower() == row["answer"].lower() else failed(WRONG, answer)


def number(_row: Row, answer: str) -> Verdict | None:
    """`complex_arithmetic` gives the full score to `nan`."""
    return failed(MALFORMED, "not a number") if re.search("nan|inf", answer, re.IGNORECASE) else None


def same_length(row: Row, answer: str) -> Verdict | None:
    """`spell_backward` gives the full score, or a hair more, to a right word with anything after it."""
    return None if len(answer) == len(row["answer"]) else failed(WRONG, answer[:200])


def same_count(row: Row, answer: str) -> Verdict | None:
    """`letter_jumble` gives the full score to the right words with more words after them."""
    return None if len(answer.split()) == len(row["answer"].split()) else failed(WRONG, answer[:200])


def positive(_row: Row, answer: str) -> Verdict | None:
    """`gsm_symbolic` reads the first number of the answer, and does not see its minus sign."""
    return failed(WRONG, answer[:200]) if re.match(r"[^0-9]*[-−]\s*\$?\s*[0-9]", answer) else None


def same_numbers(row: Row, answer: str) -> Verdict | None:
    """`number_sorting` gives the full score to numbers that are each up to 1 away from the right ones."""
    given, right = (_numbers(text) for text in (answer, row["answer"]))
    return None if given is None or given == right else failed(WRONG, answer[:200])


def _numbers(text: str) -> list[float] | None:
    try:
        found = [float(each) for each in json.loads(text.replace("'", '"'))]
    except (ValueError, TypeError):
        return None  # The scorer refuses it.
    return found if all(math.isfinite(each) for each in found) else None


LOGIC = re.compile(r"([A-Z](?![A-Z])|[∨∧→↔¬()\s])*")


def proposition(_row: Row, answer: str) -> Verdict | None:
    """`propositional_logic` takes any text for a variable if it need not evaluate it, and broken parentheses."""
    if not LOGIC.fullmatch(answer) or answer.count("(") != answer.count(")"):
        return failed(MALFORMED, f"not a formula of logic: {answer[:200]}")
    return None


def board(_row: Row, answer: str) -> Verdict | None:
    """`game_of_life` raises on JSON that is not a list of lists."""
    read = _read(answer)
    if isinstance(read, list) and all(isinstance(line, list) for line in read):
        return None
    return failed(MALFORMED, f"not a JSON list of lists: {answer[:200]}")


AGENT = re.compile(r"Agent\[\d+\.5, ?\d+\.5\]", re.ASCII)
MOVE = re.compile(r"move\(box_\w+, (target_\w+|square\[(\d+\.5), ?(\d+\.5)\])\)", re.ASCII)


def plan(row: Row, answer: str) -> Verdict | None:
    """`boxnet` raises on JSON that is not a plan, and on a move out of the grid."""
    steps = _read(answer)
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        return failed(MALFORMED, f"not a JSON list of action dictionaries: {answer[:200]}")
    for agent, action in (pair for step in steps for pair in step.items()):
        move = MOVE.fullmatch(action) if isinstance(action, str) else None
        if not AGENT.fullmatch(agent) or not move:
            return failed(MALFORMED, f"not an agent and its move: {agent[:100]}: {str(action)[:100]}")
        if move[2] and f"{move[2]}_{move[3]}" not in row["metadata"]["initial_state"]:
            return failed(MALFORMED, f"a move out of the grid: {action[:100]}")
    return None


def _read(answer: str) -> object:
    try:
        return json.loads(answer)
    except ValueError:
        return None


_ARITHMETIC = matching(r"(?:(?!\*\*|//)[-+*/().\s\d])*", "numbers and the operators + - * /")
_INTEGERS = matching(r"[-\d\s]*", "whole numbers with spaces between them")


def four_numbers(row: Row, answer: str) -> Verdict | None:
    """`puzzle24` gives the full score to any expression for 24, whatever the row's numbers."""
    if (verdict := _ARITHMETIC(row, answer)) is not None:
        return verdict
    used = sorted(map(int, re.findall(r"\d{1,30}", answer)))
    right = sorted(row["metadata"]["numbers"])
    return None if used == right else failed(WRONG, f"other numbers than the row's: {answer[:200]}")


GUARDS: dict[str, Guard] = {
    # The answer is code to these: eval, or sympy's parser, which evals.
    "binary_matrix": _INTEGERS,
    "countdown": _ARITHMETIC,
    "intermediate_integration": integral,
    "n_queens": matching(r"[_Q\s]*", "a board of _ and Q"),
    "polynomial_multiplication": formula,
    "puzzle24": four_numbers,
    "simple_integration": integral,
    "spiral_matrix": _INTEGERS,
    "string_insertion": matching(r"[A-Za-z]*", "letters"),
    # These raise.
    "boxnet": plan,
    "game_of_life": board,
    "prime_factorization": matching(r"\d{1,30}(\s*×\s*\d{1,30})*", "numbers joined by ×"),
    # These give wrong answers the full score.
    "coin_flip": probability,
    "complex_arithmetic": number,
    "game_of_life_halting": truth,
    "gsm_symbolic": positive,
    "letter_jumble": same_count,
    "number_sorting": same_numbers,
    "propositional_logic": proposition,
    "spell_backward": same_length,
}
