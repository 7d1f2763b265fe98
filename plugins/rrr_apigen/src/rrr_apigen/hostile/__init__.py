"""The hostile corpus: attacks on this verifier and its peers, each with a reason and the one right verdict.

Most must fail, each in its class; some are right answers that look hostile, and must pass.
"""

from __future__ import annotations

from rrr_apigen.hostile import floods, json_texts, rows, structures, values, wrapped
from rrr_core import Example

CASES: list[Example] = [
    *values.CASES,
    *rows.CASES,
    *json_texts.CASES,
    *structures.CASES,
    *wrapped.CASES,
    *floods.CASES,
]
