"""Every word that Countdown says to a model, by model family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rrr_core import Model

TINY = "rrr-tiny"
"""The family of the embedded model, which has a vocabulary of little more than these prompts."""

TASK = (
    "Using the numbers {nums}, create an equation that equals {target}. You can use the basic arithmetic operations "
    "+, -, * and /, and parentheses. Use every number exactly once."
)
PROMPTS = {
    "generic": TASK + " Think step by step, and give the final equation in <answer> </answer> tags, "
    "for example <answer>(1 + 2) / 3</answer>.",
    "qwen": TASK + " Show your work in <think> </think> tags, and return the final equation in "
    "<answer> </answer> tags, for example <answer>(1 + 2) / 3</answer>.",
    "llama": TASK + " Reason briefly. Then end your reply with the equation alone, as plain text without LaTeX, in "
    "<answer> </answer> tags, for example <answer>(1 + 2) / 3</answer>.",
    "phi": TASK + " Explain your steps in a few sentences. Your reply must end with one line that holds only the "
    "final equation in <answer> </answer> tags, for example <answer>(1 + 2) / 3</answer>.",
    "palmyra": TASK
    + " First work it out in a few short steps. Then write the final equation, and nothing after it, in "
    "<answer> </answer> tags, for example <answer>(1 + 2) / 3</answer>.",
    TINY: "Numbers: {spaced}. Target: {target}.",
}
SYSTEMS = {
    "qwen": "You are a helpful assistant. You first think about the reasoning process in the mind and then provide "
    "the user with the answer.",
}
"""System messages, for the families that were tuned with one; the wording is TinyZero's."""

REFLECTION = (
    "You tried solving the problem and got the wrong answer. Reflect on what went wrong and write a short "
    "explanation that will help you do better next time."
)
"""The paper's request (arXiv 2505.24726), for every family but the embedded one."""
TINY_REFLECTION = "Wrong. Reflect on what went wrong."


def prompt(row: Mapping[str, Any], model: Model) -> list[dict[str, str]]:
    """The chat messages for a row: one user message, after a system message if the family has one."""
    family = model.family if model.family in PROMPTS else "generic"
    nums = [int(n) for n in row["nums"]]
    content = PROMPTS[family].format(nums=nums, spaced=" ".join(map(str, nums)), target=row["target"])
    messages = [{"role": "user", "content": content}]
    if family in SYSTEMS:
        messages.insert(0, {"role": "system", "content": SYSTEMS[family]})
    return messages


def reflection_prompt(model: Model) -> str:
    """The user message that asks what went wrong."""
    return TINY_REFLECTION if model.family == TINY else REFLECTION


def tiny_turns(nums: list[int], target: int) -> tuple[str, str, str]:
    """The three user messages of an episode with the embedded model: prompt, reflection prompt, retry prompt."""
    model = Model(TINY, TINY)
    question = prompt({"nums": nums, "target": target}, model)[-1]["content"]
    return question, reflection_prompt(model), question
