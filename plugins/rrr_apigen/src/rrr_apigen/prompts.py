"""Every word that APIGen says to a model, by model family; the embedded model's own words are in `tiny`.

If a chat template takes tools and the family was trained to answer in a form that the verdict accepts, the tools go
into the template and the query stands alone. Otherwise the text lists the tools as in the data set, and asks for the
form of the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from rrr_apigen import tiny
from rrr_apigen.types import function_schema
from rrr_core import Model

TASK = (
    "You are given a question and a set of functions. Answer the question with the function calls that it takes, and "
    "with nothing else."
)
FORM = (
    'The calls are one JSON array: [{"name": "function_name", "arguments": {"argument_name": value}}]. Each call has '
    "exactly a name and its arguments. Call a function once for each time that the question needs it, take every value "
    "from the question, in the unit that the function asks for, and leave out an optional argument that the question "
    "does not mention."
)
TOOLS = "The functions, a line each as JSON:\n{tools}"

CLOSINGS = {
    "generic": "Reply with the JSON array alone.",
    "qwen": "Reply with the JSON array alone, without explanations.",
    # Llama's own tool format says "parameters" for "arguments" and takes one call per reply, so its native tool slot
    # is never used, and the wording forbids what it was trained to write.
    "llama": 'Write "arguments", never "parameters". Reply with the JSON array alone, without tags, as plain text.',
    "phi": "Your whole reply must be the JSON array, starting with [ and ending with ].",
    "palmyra": "Write nothing but the JSON array: no greeting, no explanation, and no code fence.",
}
"""The end of the instructions, for each family with its own wording."""
WITHOUT_SYSTEM = ("generic", "palmyra")
"""Families with templates that may refuse a system message: everything goes into the user message.

Palmyra's models have templates of several kinds, so its wording asks nothing of them.
"""

NATIVE_SYSTEMS = {
    # Qwen's template itself asks for <tool_call> blocks of {"name": …, "arguments": …}.
    "qwen": "",
    # Phi's template only shows the tools, so the form of the answer must be asked for.
    "phi": f"You are a helpful assistant with some tools. {FORM} {CLOSINGS['phi']}",
}
"""The system message, empty for none, of the families that get the tools in the native slot."""
WRITES_OTHER_CALLS = re.compile(r"qwen-?3(\.\d|-coder)", re.IGNORECASE)
"""Models of these families with a template that asks for calls in XML, which the verdict does not accept."""

REFLECTION = (
    "You tried performing the task, but failed in generating the correct tool call. Reflect on what went wrong and "
    "write a short explanation that will help you do better next time."
)
"""The paper's request for function calling (arXiv 2505.24726), for every family but the embedded one."""


def prompt(row: Mapping[str, Any], model: Model) -> list[dict[str, str]]:
    """The chat messages for a row: the query last, after the tools and the requested form."""
    if model.family == tiny.FAMILY:
        return [message("user", tiny.prompt(row))]
    if model.takes_tools and model.family in NATIVE_SYSTEMS and not WRITES_OTHER_CALLS.search(model.name):
        tools = json.dumps([function_schema(tool) for tool in row["tools"]], ensure_ascii=False)
        system = NATIVE_SYSTEMS[model.family]
        return [
            message("tools", tools),
            *([message("system", system)] if system else []),
            message("user", row["query"]),
        ]
    family = model.family if model.family in CLOSINGS else "generic"
    instructions = instructions_of(row["tools"], family)
    if family in WITHOUT_SYSTEM:
        return [message("user", f"{instructions}\n\nQuestion: {row['query']}")]
    return [message("system", instructions), message("user", row["query"])]


def reflection_prompt(model: Model) -> str:
    """The user message that asks what went wrong."""
    return tiny.REFLECTION if model.family == tiny.FAMILY else REFLECTION


def retry_prompt(row: Mapping[str, Any], model: Model) -> str | None:
    """The question again, as in the paper; tools and instructions are already in the conversation."""
    return tiny.retry_prompt(row) if model.family == tiny.FAMILY else row["query"]


def instructions_of(tools: list[dict[str, Any]], family: str) -> str:
    """The instructions for a family, with the tools in the text."""
    lines = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    return f"{TASK} {FORM} {CLOSINGS[family]}\n\n{TOOLS.format(tools=lines)}"


def message(role: str, content: str) -> dict[str, str]:
    """A chat message."""
    return {"role": role, "content": content}
