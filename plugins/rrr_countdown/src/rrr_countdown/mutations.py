"""The mutation score: right answers perturbed in named ways, and how often the verdict is wrong.

A way takes a row's right equation, its tokens and a seeded random generator, and gives the text to judge, or None if
it does not apply to the row (no number below 10 to join, no division to respell).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from rrr_countdown.equations import CLOSING, OPENING, verify
from rrr_countdown.gold import gold_answer

NUMBER = re.compile(r"[0-9]+")
LAST_TERM = re.compile(r"[-+*/][0-9]+(?=\)*$)")
PIECE = re.compile(r"[0-9]+|[-+*/()]")


@dataclass(frozen=True, slots=True)
class Gold:
    """A right equation and its row."""

    nums: tuple[int, ...]
    target: int
    equation: str
    rng: random.Random

    @property
    def pieces(self) -> list[str]:
        """Numbers, operators and parentheses in order."""
        return PIECE.findall(self.equation)

    def places(self, *pieces: str) -> list[int]:
        """The places in `pieces` of the given operators or parentheses."""
        return [place for place, piece in enumerate(self.pieces) if piece in pieces]

    def change_number(self, change: Callable[[str], str]) -> str:
        """The equation with one number's text changed."""
        found = self.rng.choice(list(NUMBER.finditer(self.equation)))
        return self.equation[: found.start()] + change(found.group()) + self.equation[found.end() :]

    def replace_piece(self, place: int, text: str) -> str:
        """The equation with one piece replaced."""
        pieces = self.pieces
        pieces[place] = text
        return "".join(pieces)


Way: TypeAlias = Callable[[Gold], str | None]


def a_digit_changed(gold: Gold) -> str:
    place = gold.rng.choice([place for place, character in enumerate(gold.equation) if character.isdigit()])
    others = [digit for digit in "0123456789" if digit != gold.equation[place]]
    return gold.equation[:place] + gold.rng.choice(others) + gold.equation[place + 1 :]


def two_numbers_joined(gold: Gold) -> str:
    place = gold.rng.choice([place for place, piece in enumerate(gold.pieces) if piece in set("+-*/")])
    return gold.replace_piece(place, "")


def an_operator_doubled(gold: Gold) -> str | None:
    """`**`, `//`, `++`; never `--`, which the grammar reads as minus a negative number."""
    places = gold.places("+", "*", "/")
    return gold.replace_piece(place, gold.pieces[place] * 2) if places and (place := gold.rng.choice(places)) else None


def a_sum_turned_over(gold: Gold) -> str | None:
    """One plus becomes a minus or the reverse: the value moves by twice a term, which must not be zero."""
    if gold.target == 0 or "(" in gold.equation or not gold.places("+", "-") or gold.places("*", "/"):
        return None
    place = gold.rng.choice(gold.places("+", "-"))
    if gold.pieces[place + 1] == "0":
        return None
    return gold.replace_piece(place, "-" if gold.pieces[place] == "+" else "+")


def a_division_rounded_down(gold: Gold) -> str | None:
    places = gold.places("/")
    return gold.replace_piece(gold.rng.choice(places), "//") if places else None


def a_parenthesis_lost(gold: Gold) -> str | None:
    places = gold.places("(", ")")
    return gold.replace_piece(gold.rng.choice(places), "") if places else None


def in_tags(text: str) -> str:
    return f"{OPENING}{text}{CLOSING}"


MUST_FAIL: dict[str, Way] = {
    "a digit changed": a_digit_changed,
    "a number one larger": lambda gold: gold.change_number(lambda n: str(int(n) + 1)),
    "a number negated": lambda gold: None if gold.target == 0 else f"-({gold.equation})",
    "a number ten times": lambda gold: gold.change_number(lambda n: f"{int(n) + 1}0"),
    "a number left out": lambda gold: LAST_TERM.sub("", gold.equation),
    "the target alone": lambda gold: str(gold.target),
    "zero added": lambda gold: f"{gold.equation}+0",
    "multiplied by one": lambda gold: f"({gold.equation})*1",
    "a number added and taken away": lambda gold: f"{gold.equation}+{gold.nums[0]}-{gold.nums[0]}",
    "the equation times its own quotient": lambda gold: f"({gold.equation})*({gold.equation})/({gold.equation})",
    "a division by zero made nothing": lambda gold: f"{gold.equation}+0*(1/0)",
    "two numbers joined": two_numbers_joined,
    "an operator doubled": an_operator_doubled,
    "an operator at the end": lambda gold: f"{gold.equation}{gold.rng.choice('+-*/')}",
    "a plus in front": lambda gold: f"+{gold.equation}",
    "a sum turned over": a_sum_turned_over,
    "a division rounded down": a_division_rounded_down,
    "a power of one": lambda gold: f"({gold.equation})**1",
    "a leading zero": lambda gold: gold.change_number(lambda n: f"0{n}"),
    "a decimal point": lambda gold: gold.change_number(lambda n: f"{n}.0"),
    "a point after a number": lambda gold: gold.change_number(lambda n: f"{n}."),
    "an exponent": lambda gold: gold.change_number(lambda n: f"{n}e0"),
    "an underscore": lambda gold: gold.change_number(lambda n: f"{n}_0"),
    "hexadecimal": lambda gold: gold.change_number(lambda n: hex(int(n))),
    "full-width digits": lambda gold: gold.change_number(lambda n: "".join(chr(ord(d) + 0xFEE0) for d in n)),
    "Arabic-Indic digits": lambda gold: gold.change_number(lambda n: "".join(chr(ord(d) + 0x630) for d in n)),
    "a zero-width space": lambda gold: gold.change_number(lambda n: f"{n}\u200b"),
    "a null character": lambda gold: f"{gold.equation}\x00",
    "a call": lambda gold: gold.change_number(lambda n: f"int({n})"),
    "a comment": lambda gold: f"{gold.equation}#",
    "a parenthesis lost": a_parenthesis_lost,
    "a parenthesis too many": lambda gold: f"({gold.equation}",
    "another claim": lambda gold: f"{gold.equation}={gold.target + 1}",
    "a claim with a point": lambda gold: f"{gold.equation}={gold.target}.0",
    "the equation on the right": lambda gold: f"{gold.target}={gold.equation}",
    "two claims": lambda gold: f"{gold.equation}={gold.target}={gold.target}",
    "in LaTeX": lambda gold: f"\\boxed{{{gold.equation}}}",
    "a remark": lambda gold: f"{gold.equation} is it",
}
"""Ways to spoil the text between the tags."""

MUST_FAIL_WHOLE: dict[str, Way] = {
    "no tags": lambda gold: gold.equation,
    "no closing tag": lambda gold: f"{OPENING}{gold.equation}",
    "tags in capitals": lambda gold: f"<ANSWER>{gold.equation}</ANSWER>",
    "withdrawn": lambda gold: f"{in_tags(gold.equation)} no: {in_tags(str(gold.target))}",
}
"""Ways to spoil the text around the equation."""

MUST_PASS: dict[str, Way] = {
    "as it is": lambda gold: gold.equation,
    "blanks between all pieces": lambda gold: " ".join(gold.pieces),
    "random white space": lambda gold: "".join(
        p + gold.rng.choice(["", " ", "\n", "\t", "\r\n "]) for p in gold.pieces
    ),
    "in parentheses": lambda gold: f"({gold.equation})",
    "a number in parentheses": lambda gold: gold.change_number(lambda n: f"({n})"),
    "every number in parentheses": lambda gold: NUMBER.sub(lambda found: f"(({found.group()}))", gold.equation),
    "two minuses in front": lambda gold: f"--({gold.equation})",
    "negated twice": lambda gold: f"-(-({gold.equation}))",
    "the last number first": lambda gold: commuted(gold),
    "×": lambda gold: gold.equation.replace("*", "×") if "*" in gold.equation else None,
    "·": lambda gold: gold.equation.replace("*", "·") if "*" in gold.equation else None,
    "÷": lambda gold: gold.equation.replace("/", "÷") if "/" in gold.equation else None,
    "−": lambda gold: gold.equation.replace("-", "−") if "-" in gold.equation else None,
    "its claim": lambda gold: f"{gold.equation}={gold.target}",
    "its claim between blanks": lambda gold: f" {gold.equation}\n=\t{gold.target} ",
}
"""Ways to rewrite the same right equation."""

MUST_PASS_WHOLE: dict[str, Way] = {
    "after another answer": lambda gold: f"{in_tags('1')} no: {in_tags(gold.equation)}",
    "before an answer that is cut off": lambda gold: f"{in_tags(gold.equation)} or {OPENING}1",
    "among words": lambda gold: f"So 1+1 = 2.\n{in_tags(gold.equation)}\nDone \ud800\x00.",
}
"""Ways to rewrite the text around it."""


def commuted(gold: Gold) -> str | None:
    """`a+b` as `b+a` for the last plus outside parentheses of an equation that has no product and no bracket."""
    left, plus, right = gold.equation.rpartition("+")
    if not plus or set(gold.equation) & set("()") or set(right) & set("-"):
        return None
    return f"{right}+{left}"


@dataclass
class Score:
    """The result over one or more rows."""

    judged: dict[str, int] = field(default_factory=dict)
    """Answers judged, by the name of the way."""
    false_accepts: dict[str, int] = field(default_factory=dict)
    """Wrong answers that passed, by the name of the way."""
    false_rejects: dict[str, int] = field(default_factory=dict)
    """Right answers that did not pass, by the name of the way."""
    examples: list[tuple[str, Mapping[str, Any], str]] = field(default_factory=list)
    """(way, row, answer) of every false verdict."""


def score(rows: Iterable[Mapping[str, Any]], seed: int = 0) -> Score:
    """Judge every perturbation of every row of two numbers or more that has a right answer.

    A perfect verifier has no false verdict.
    """
    result = Score()
    rng = random.Random(seed)
    for row in rows:
        answer = gold_answer(tuple(row["nums"]), row["target"])
        if answer is None or len(row["nums"]) < 2:
            continue
        gold = Gold(tuple(row["nums"]), row["target"], answer[len(OPENING) : -len(CLOSING)], rng)
        for ways, right, tagged in (
            (MUST_FAIL, False, True),
            (MUST_FAIL_WHOLE, False, False),
            (MUST_PASS, True, True),
            (MUST_PASS_WHOLE, True, False),
        ):
            for name, way in ways.items():
                text = way(gold)
                if text is None:
                    continue
                text = in_tags(text) if tagged else text
                result.judged[name] = result.judged.get(name, 0) + 1
                if verify(row, text).is_passed != right:
                    wrong = result.false_rejects if right else result.false_accepts
                    wrong[name] = wrong.get(name, 0) + 1
                    result.examples.append((name, row, text))
    return result
