"""A sample of an inspect_ai task played with a given answer: its own solvers, with that answer as what is generated.

This is the only module that imports inspect_ai, which takes seconds; the others import it when they need it.
"""

from __future__ import annotations

import copy
import importlib
import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from inspect_ai._util.registry import registry_create, registry_info, registry_lookup, registry_params
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageAssistant, ChatMessageUser, ModelName, ModelOutput
from inspect_ai.scorer import Score, Target, value_to_float
from inspect_ai.solver import TaskState

from rrr_core import Row, Verdict, failed, passed
from rrr_core.rewards import run_coroutine
from rrr_inspect.options import WRONG

TOLERANCE = 1e-9
MODEL = "none/rrr"
"""The model that a state names: nothing is ever asked of it."""


class Unserved(Exception):
    """The task asks for something that has no place here; the text says what."""


class Unscored(Exception):
    """A scorer gave no score for this answer, so there is no verdict."""


class Asked(BaseException):
    """The solvers ask the model. Not an Exception, so that no solver takes it for a fault of its own."""

    def __init__(self, messages: Sequence[Any]) -> None:
        super().__init__()
        self.messages = messages


def recipe(made: Any) -> dict[str, Any]:
    """What makes a solver or a scorer again in another process: its kind, name, arguments and module."""
    try:
        info, arguments = registry_info(made), registry_params(made)
    except Exception as error:
        raise Unserved(f"{type(made).__name__} is no registered solver or scorer") from error
    factory = registry_lookup(info.type, info.name)
    return {"kind": info.type, "name": info.name, "args": arguments, "module": getattr(factory, "__module__", "")}


@lru_cache(maxsize=64)
def _made(kind: str, name: str, module: str, arguments: str) -> Any:
    importlib.import_module(module)
    return registry_create(kind, name, **json.loads(arguments))


def made(given: Mapping[str, Any]) -> Any:
    """The solver or the scorer of a recipe."""
    arguments = json.dumps(given["args"], sort_keys=True)
    return _made(given["kind"], given["name"], given["module"], arguments)


def opening(row: Row) -> list[dict[str, str]]:
    """The messages that the solvers show the model. Raises Unserved."""
    try:
        run_coroutine(_played(row, None))
    except Asked as asked:
        return [_plain(message) for message in asked.messages]
    raise Unserved("its solvers ask the model nothing")


def verify(row: Row, answer: str) -> Verdict:
    """Passed if every scorer gives at least the full score. Raises whatever the task raises, and Unscored."""
    full = float(row["full"])
    for name, score in run_coroutine(_scored(row, answer)):
        value = number(name, score)
        if value < full - TOLERANCE:
            return failed(WRONG, f"{name} gives {value:g}, and {full:g} passes")
    return passed()


def number(name: str, score: Any) -> float:
    """A score as a number. Raises Unscored for none, and TypeError for several in one."""
    if score is None:
        raise Unscored(f"{name} gave no score")
    if isinstance(score.value, dict | list):
        raise TypeError(f"{name} gave {type(score.value).__name__} of scores, and one is compared")
    value = float(value_to_float()(score.value))
    if not math.isfinite(value):
        raise Unscored(f"{name} left the answer unscored: {score.explanation or score.value}"[:300])
    return value


async def _scored(row: Row, answer: str) -> list[tuple[str, Score | None]]:
    state = await _played(row, answer)
    target = Target(row["sample"]["target"])
    return [(each["name"].rpartition("/")[2], await made(each)(state, target)) for each in row["scorers"]]


async def _played(row: Row, answer: str | None) -> Any:
    """The state after the solvers, of which one asks the model once. Without an answer that raises Asked."""
    sample = Sample.model_validate(copy.deepcopy(row["sample"]))
    said = sample.input
    asked = 0

    async def generate(state: Any, *_: Any, **__: Any) -> Any:
        nonlocal asked
        asked += 1
        if state.tools:
            raise Unserved("it gives the model tools")
        if asked > 1:
            raise Unserved("it asks the model more than once a sample")
        if answer is None:
            raise Asked(list(state.messages))
        state.messages.append(ChatMessageAssistant(content=answer))
        state.output = ModelOutput.from_content(MODEL, answer)
        return state

    state = TaskState(
        model=ModelName(MODEL),
        sample_id=sample.id if sample.id is not None else 1,
        epoch=1,
        input=said,
        messages=[ChatMessageUser(content=said)] if isinstance(said, str) else list(said),
        target=Target(sample.target),
        choices=sample.choices,
        metadata=dict(sample.metadata or {}),
    )
    for each in row["solvers"]:
        state = await made(each)(state, generate)
        if state.completed:
            break
    if answer is not None and not asked:
        raise Unserved("its solvers ask the model nothing")
    return state


def _plain(message: Any) -> dict[str, str]:
    if message.role == "tool" or getattr(message, "tool_calls", None):
        raise Unserved("its conversation has tool calls")
    if isinstance(message.content, list) and any(part.type != "text" for part in message.content):
        raise Unserved("it shows the model more than text")
    return {"role": message.role, "content": message.text}
