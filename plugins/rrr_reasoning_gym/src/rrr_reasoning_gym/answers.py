"""How a puzzle is posed, and which part of a text answers it: both as reasoning-gym does."""

from __future__ import annotations

OPENING, CLOSING = "<answer>", "</answer>"

INSTRUCTIONS = """\
Think step by step. Then give the final answer in this form:
<answer>answer here</answer>
Do not explain your reasoning inside the answer tags, provide only the final answer. \
When an example is provided, strictly follow the format of the answer in that example."""
"""After reasoning-gym's own system prompt (`reasoning_gym.utils.SYSTEM_PROMPTS["default"]`)."""


def prompt(question: str) -> str:
    """The one user message that poses a puzzle."""
    return f"{question.rstrip()}\n\n{INSTRUCTIONS}"


def tagged(answer: str) -> str:
    """A whole text whose final answer is `answer`."""
    return f"{OPENING}{answer}{CLOSING}"


def final_answer(text: str) -> str | None:
    """What stands in the last pair of answer tags, without white space around it; None where there is no pair.

    It gives what `reasoning_gym.utils.extract_answer` gives, in time linear in the text: a pair is an opening tag with
    the first closing tag after it, and the next pair is looked for behind that.

    >>> final_answer("<answer>1</answer> No: <answer> 2 </answer>")
    '2'
    """
    found, place = None, 0
    while (start := text.find(OPENING, place)) >= 0 and (stop := text.find(CLOSING, start)) >= 0:
        found = text[start + len(OPENING) : stop]
        place = stop + len(CLOSING)
    return None if found is None else found.strip()
