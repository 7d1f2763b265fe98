"""Mutations of a right answer: small changes, the same in every run, most of which make it wrong."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

TOKEN = re.compile(r"\w+|[^\w\s]")
NUMBER = re.compile(r"(?<![0-9.])[0-9]+")
UNSIGNED = re.compile(r"(?<![0-9.+-])[0-9]+")
BETWEEN_DIGITS = re.compile(r"(?<=[0-9])(?=[0-9])")
DIGITS = "0123456789"
FOLDED = {"i": "\u0131", "I": "\u0131", "s": "\u017f", "S": "\u017f", "k": "\u212a", "K": "\u212a"}
"""Letter → another that `upper`, `lower` or `casefold` turns into it: dotless i, long s, the Kelvin sign."""
FULL_WIDTH = {character: chr(ord(character) + 0xFEE0) for character in DIGITS + string.ascii_letters}
"""Character → its full-width form, which NFKC turns into it, and so does `int` if it is a digit."""
ARABIC_INDIC = {digit: chr(0x0660 + int(digit)) for digit in DIGITS}
"""Digit → one of another script, which `int`, `isdigit` and `\\d` take as well."""
ZERO_WIDTH_SPACE = "\u200b"
PLACES = 2
"""How many places of one answer each way is tried at."""

Way: TypeAlias = Callable[[str, random.Random], str]
"""Gives the changed text, or the same text if there is nothing to change in this way."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A changed answer, and how it was changed."""

    way: str
    text: str


def character_left_out(text: str, chance: random.Random) -> str:
    """
    >>> character_left_out("7", random.Random(0))
    ''
    """
    place = _place(text, chance)
    return text[:place] + text[place + 1 :]


def character_doubled(text: str, chance: random.Random) -> str:
    place = _place(text, chance)
    return text[: place + 1] + text[place:]


def characters_swapped(text: str, chance: random.Random) -> str:
    """Two different neighbours swap places."""
    places = [place for place in range(len(text) - 1) if text[place] != text[place + 1]]
    if not places:
        return text
    place = chance.choice(places)
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]


def digit_changed(text: str, chance: random.Random) -> str:
    """
    >>> digit_changed("no number", random.Random(0))
    'no number'
    """
    places = [place for place, character in enumerate(text) if character in DIGITS]
    if not places:
        return text
    place = chance.choice(places)
    return text[:place] + chance.choice(DIGITS.replace(text[place], "")) + text[place + 1 :]


def letter_changed(text: str, chance: random.Random) -> str:
    places = [place for place, character in enumerate(text) if character.isalpha()]
    if not places:
        return text
    place = chance.choice(places)
    return text[:place] + ("q" if text[place] != "q" else "z") + text[place + 1 :]


def token_left_out(text: str, chance: random.Random) -> str:
    tokens = list(TOKEN.finditer(text))
    if not tokens:
        return text
    token = chance.choice(tokens)
    return text[: token.start()] + text[token.end() :]


def token_doubled(text: str, chance: random.Random) -> str:
    tokens = list(TOKEN.finditer(text))
    if not tokens:
        return text
    token = chance.choice(tokens)
    return f"{text[: token.end()]} {text[token.start() :]}"


def tokens_swapped(text: str, chance: random.Random) -> str:
    """Two different tokens, neighbours or not, swap places."""
    tokens = list(TOKEN.finditer(text))
    if len({token.group() for token in tokens}) < 2:
        return text
    one = chance.choice(tokens)
    other = chance.choice([token for token in tokens if token.group() != one.group()])
    left, right = sorted((one, other), key=re.Match.start)
    between = text[left.end() : right.start()]
    return text[: left.start()] + right.group() + between + left.group() + text[right.end() :]


def last_character_cut(text: str, chance: random.Random) -> str:  # noqa: ARG001 - a way takes what all take
    return text[:-1]


def half_cut(text: str, chance: random.Random) -> str:  # noqa: ARG001
    return text[: len(text) // 2]


def digit_appended(text: str, chance: random.Random) -> str:
    return text + chance.choice(DIGITS)


def word_appended(text: str, chance: random.Random) -> str:  # noqa: ARG001
    return f"{text} not"


def letter_that_folds(text: str, chance: random.Random) -> str:
    """
    >>> ascii(letter_that_folds("iv", random.Random(0)))
    "'\\\\u0131v'"
    """
    return _replaced(text, FOLDED, chance)


def full_width(text: str, chance: random.Random) -> str:
    return _replaced(text, FULL_WIDTH, chance)


def digit_of_another_script(text: str, chance: random.Random) -> str:
    return _replaced(text, ARABIC_INDIC, chance)


def zero_width_inside(text: str, chance: random.Random) -> str:
    if len(text) < 2:
        return text
    place = chance.randrange(1, len(text))
    return text[:place] + ZERO_WIDTH_SPACE + text[place:]


def leading_zero(text: str, chance: random.Random) -> str:
    """A number loses its leading zero, or gets one.

    >>> [leading_zero(text, random.Random(0)) for text in ("7", "0", "007", "0.5")]
    ['07', '00', '07', '.5']
    """
    numbers = list(NUMBER.finditer(text))
    if not numbers:
        return text
    place = chance.choice(numbers).start()
    before, number = text[:place], text[place:]
    return before + (number[1:] if re.match(r"0\.?[0-9]", number) else f"0{number}")


def plus_before(text: str, chance: random.Random) -> str:
    numbers = list(UNSIGNED.finditer(text))
    if not numbers:
        return text
    place = chance.choice(numbers).start()
    return f"{text[:place]}+{text[place:]}"


def underscore_between_digits(text: str, chance: random.Random) -> str:
    places = [gap.start() for gap in BETWEEN_DIGITS.finditer(text)]
    if not places:
        return text
    place = chance.choice(places)
    return f"{text[:place]}_{text[place:]}"


SLIPS: dict[str, Way] = {
    "a character left out": character_left_out,
    "a character doubled": character_doubled,
    "two characters swapped": characters_swapped,
    "a digit changed": digit_changed,
    "a letter changed": letter_changed,
    "a token left out": token_left_out,
    "a token doubled": token_doubled,
    "two tokens swapped": tokens_swapped,
    "the last character cut off": last_character_cut,
    "half cut off": half_cut,
    "a digit appended": digit_appended,
    "a word appended": word_appended,
}
"""Changes that nearly always make it a different answer."""
WRITINGS: dict[str, Way] = {
    "a letter that folds into ASCII": letter_that_folds,
    "a full-width character": full_width,
    "a digit of another script": digit_of_another_script,
    "a zero-width space inside": zero_width_inside,
    "a leading zero more or less": leading_zero,
    "a plus before a number": plus_before,
    "an underscore between digits": underscore_between_digits,
}
"""Spellings that nobody asked for, which `upper`, `int` or normalising turns back into the answer. Some verifiers
accept them on purpose."""
WAYS = SLIPS | WRITINGS


def mutants(answer: str, part: str | None = None) -> Iterator[Mutant]:
    """The mutants of an answer, each text once.

    If `part`, the part that is judged, occurs in it exactly once, only that is changed. A change of white space or
    case alone is no mutant.
    """
    before, inside, after = "", answer, ""
    if part and answer.count(part) == 1:
        before, inside, after = answer.partition(part)
    known = {_plain(answer)}
    for name, way in WAYS.items():
        for place in range(PLACES):
            text = before + way(inside, random.Random(f"{name} {place} {answer}")) + after
            if _plain(text) not in known:
                known.add(_plain(text))
                yield Mutant(name, text)


def _place(text: str, chance: random.Random) -> int:
    return chance.randrange(max(1, len(text)))


def _replaced(text: str, others: Mapping[str, str], chance: random.Random) -> str:
    """The text with one character that `others` maps replaced."""
    places = [place for place, character in enumerate(text) if character in others]
    if not places:
        return text
    place = chance.choice(places)
    return text[:place] + others[text[place]] + text[place + 1 :]


def _plain(text: str) -> str:
    """The text without white space and case. A letter that only folding makes ASCII is no matter of case, and stays."""
    folded = ((character, character.casefold()) for character in "".join(text.split()))
    return "".join(character if plain.isascii() and not character.isascii() else plain for character, plain in folded)
