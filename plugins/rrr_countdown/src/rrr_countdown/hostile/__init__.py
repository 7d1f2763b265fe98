"""The hostile corpus: attacks on this verifier and its peers, each with a reason and the one right verdict.

Most answers are built to pass a careless verifier: a peer that evaluates text, ignores what it does not know or takes
any run of digits for a number reaches the target. Others hang, raise, or do damage. The last group looks hostile but is
right, so a verifier that refuses everything scores badly too.
"""

from __future__ import annotations

from rrr_core import Example
from rrr_countdown.hostile import characters, code, grammar, numbers, numerals, sizes, tags, unusual

GROUPS: dict[str, tuple[Example, ...]] = {
    "operators": grammar.OPERATORS,
    "brackets and order": grammar.STRUCTURE,
    "claims": grammar.CLAIMS,
    "numerals": numerals.NUMERALS,
    "characters": characters.CHARACTERS,
    "code": code.CODE,
    "other languages": code.OTHER_LANGUAGES,
    "tags": tags.TAGS,
    "echoes": tags.ECHOES,
    "numbers": numbers.NUMBERS,
    "values": numbers.VALUES,
    "huge powers": sizes.POWERS,
    "floods": sizes.FLOODS,
    "right all the same": unusual.RIGHT,
}
"""The cases by what they attack."""

CASES: list[Example] = [example for group in GROUPS.values() for example in group]
"""Every case; no two share row and answer."""
