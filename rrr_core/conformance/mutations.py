"""Mutations of a right answer: small changes, the same at every run, most of which make it wrong."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

TOKEN = re.compile(r"\w+|[^\w\s]")
PLACES = 2
"""Places of one answer that a way is tried at."""

Way: TypeAlias = Callable[[str, random.Random], str]
"""Gives the changed text, or the same text where it does not lend itself to the way."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A changed answer, and the way in which it was changed."""

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
    """Two neighbours that differ change places."""
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
    places = [place for place, character in enumerate(text) if character in "0123456789"]
    if not places:
        return text
    place = chance.choice(places)
    return text[:place] + chance.choice("0123456789".replace(text[place], "")) + text[place + 1 :]


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
    """Two different tokens, neighbours or not, change places."""
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
    return text + chance.choice("0123456789")


def word_appended(text: str, chance: random.Random) -> str:  # noqa: ARG001
    return f"{text} not"


WAYS: dict[str, Way] = {
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


def mutants(answer: str, part: str | None = None) -> Iterator[Mutant]:
    """The mutants of an answer, each text once. Where `part`, what is judged of it, stands in it once, only that is
    changed. A change of white space or of case alone is none.
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


def _plain(text: str) -> str:
    return "".join(text.split()).casefold()
