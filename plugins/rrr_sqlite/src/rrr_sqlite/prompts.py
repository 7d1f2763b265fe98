"""Every word that the task says to a model, by model family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rrr_core import Model

TINY = "rrr-tiny"
"""The family of the embedded model, which has a vocabulary of little more than its own prompts."""

TASK = """Answer the question with one SQLite query. You act in steps, and each of your messages is one step.
End it with one of these:
schema
    shows the tables and their columns
sql: SELECT ...
    shows the first rows of a query's result, or its error
answer: SELECT ...
    gives the query that answers the question; this is the last step

The database can only be read. Use one statement, and select exactly the columns that the question asks for.

Tables: {tables}
Question: {question}"""
REFLECTION = (
    "You tried solving the problem and got the wrong answer. Reflect on what went wrong and write a short "
    "explanation that will help you do better next time."
)
"""The paper's request (arXiv 2505.24726), for every family but the embedded one."""
TINY_REFLECTION = "Wrong. Reflect on what went wrong."


def prompt(row: Mapping[str, Any], model: Model) -> str:
    """The first user message: for the embedded model the question alone."""
    if model.family == TINY:
        return str(row["question"])
    return TASK.format(tables=", ".join(table["name"] for table in row["tables"]), question=row["question"])


def reflection_prompt(model: Model) -> str:
    """The user message that asks what went wrong."""
    return TINY_REFLECTION if model.family == TINY else REFLECTION


def retry_prompt(row: Mapping[str, Any], model: Model) -> str | None:
    """The question again; for the other families the core repeats the whole prompt."""
    return tiny_again(row) if model.family == TINY else None


def tiny_again(row: Mapping[str, Any]) -> str:
    """The embedded model's second prompt."""
    return f"Again: {row['question']}"
