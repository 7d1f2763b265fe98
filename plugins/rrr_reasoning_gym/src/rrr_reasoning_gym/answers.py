"""The prompt of a puzzle, and which part of a text answers it: both as in reasoning-gym."""

from __future__ import annotations

OPENING, CLOSING = "<answer>", "</answer>"

INSTRUCTIONS = """\
Think step by step. Then give the final answer in this form:
<answer>answer here</answer>
Do not explain your reasoning inside the answer tags, provide only the final answer. \
When an example is provided, strictly follow the format of the answer in that example."""
"""After reasoning-gym's own system prompt (`reasoning_gym.utils.SYSTEM_PROMPTS["default"]`)."""


def prompt(question: str) -> str:
    """The one user message with a puzzle."""
    return f"{question.rstrip()}\n\n{INSTRUCTIONS}"


def tagged(answer: str) -> str:
    """A whole text with `answer` as its final answer."""
    return f"{OPENING}{answer}{CLOSING}"


def final_answer(text: str) -> str | None:
    """The text in the last pair of answer tags, stripped; None if there is no pair.

    The same as `reasoning_gym.utils.extract_answer`, in time linear in the text: a pair is an opening tag with the
    first closing tag after it, and the search for the next pair starts after that.

    >>> final_answer("<answer>1</answer> No: <answer> 2 </answer>")
    '2'
    """
    found, place = None, 0
    while (start := text.find(OPENING, place)) >= 0 and (stop := text.find(CLOSING, start)) >= 0:
        found = text[start + len(OPENING) : stop]
        place = stop + len(CLOSING)
    return None if found is None else found.strip()
