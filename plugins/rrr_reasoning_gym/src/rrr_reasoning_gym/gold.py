"""A right answer to a row: upstream's own, or one found here if upstream gives none."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from rrr_core import Row
from rrr_reasoning_gym import answers, metadata, solvers


def gold_text(dataset: str, row: Row) -> str | None:
    """A whole text that passes, or None if none is known."""
    answer = row["answer"]
    if answer is None and dataset in FOUND:
        answer = FOUND[dataset](row["question"], metadata.decode(row["metadata"]))
    return None if answer is None else answers.tagged(answer)


def coloring(_question: str, known: Mapping[str, Any]) -> str:
    return json.dumps({str(vertex): color for vertex, color in known["possible_answer"].items()})


FOUND: dict[str, Callable[[str, Mapping[str, Any]], str | None]] = {
    "boxnet": lambda _question, known: solvers.carried(known),
    "graph_color": coloring,
    "propositional_logic": lambda _question, known: str(known["example_answer"]),
    "rubiks_cube": lambda _question, known: str(known["example_correct_answer"]),
    "rush_hour": lambda question, _known: solvers.freed(question),
}
"""The data sets with None as the answer, because many are right."""
