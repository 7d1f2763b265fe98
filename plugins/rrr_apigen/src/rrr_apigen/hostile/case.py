"""How a hostile case is written: a row, a text, the expected verdict and the reason."""

from __future__ import annotations

from typing import Any

from rrr_apigen.calls import FORMAT, PARAMETER_NAMES, PARAMETER_VALUES, TOOL_CHOICE
from rrr_apigen.examples import OSLO
from rrr_core import Example

PASSED, BAD, TOOL, NAMES, VALUES = "", FORMAT, TOOL_CHOICE, PARAMETER_NAMES, PARAMETER_VALUES
"""The expected verdict: empty for a pass, or the error class."""

GOLD = '[{"name": "forecast", "arguments": {"city": "Oslo", "days": 5}}]'
"""The right answer to the row that most cases are about."""
CALL = GOLD[1:-1]


def case(answer: str, category: str, reason: str, row: dict[str, Any] | None = None) -> Example:
    """A hostile example; the default row is the weather in Oslo."""
    outcome = "failed" if category else "passed"
    return Example(OSLO if row is None else row, answer, outcome, category, reason, hostile=True)


def with_days(literal: str) -> str:
    """The right answer with its number replaced by a text."""
    return GOLD.replace("5", literal)


def with_city(literal: str) -> str:
    """The right answer with its string, including quotes, replaced by a text."""
    return GOLD.replace('"Oslo"', literal)
