"""The shapes of reward functions: what each is called with, and how one is recognised by its parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, TypeAlias

from rrr_core.errors import nearest
from rrr_core.hookspecs import Row

Function: TypeAlias = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of reward function."""

    name: str
    signature: str
    """How one is written, for messages and pages."""
    marks: tuple[str, ...]
    """The parameters that it alone has, all of which show it."""
    arguments: Callable[[Row, str], dict[str, Any]]
    """What a function of this shape may be given for a row and an answer."""
    lacking: Mapping[str, str]
    """Parameter → why a verdict cannot give it."""
    takes_all: bool = True
    """Whether a function with `**kwargs` gets every argument; otherwise it gets those that it names."""


def _trl(row: Row, answer: str) -> dict[str, Any]:
    """As TRL's GRPOTrainer calls it on a batch of one: the columns are lists, completions are as the prompts are."""
    columns = {name: [value] for name, value in row.items() if name not in ("prompt", "completion", "completion_ids")}
    prompts = {"prompts": [row["prompt"]]} if "prompt" in row else {}
    completion = answer if isinstance(row.get("prompt", ""), str) else _messages(answer)
    return {**columns, **prompts, "completions": [completion], "log_extra": _log, "log_metric": _log}


def _rubric(row: Row, answer: str) -> dict[str, Any]:
    """As a rubric of verifiers before 0.4 calls it: `answer` is the row's, and the model's is `completion`."""
    prompt = row["prompt"] if "prompt" in row else [{"role": "user", "content": str(row.get("question", ""))}]
    completion = answer if isinstance(prompt, str) else _messages(answer)
    given = {"prompt": prompt, "completion": completion, "answer": row.get("answer", "")}
    given |= {"info": row.get("info", {}), "task": row.get("task", "default")}
    return {**given, "state": {**row, **given, "turn": 1}}


def _verifiers(row: Row, answer: str) -> dict[str, Any]:
    """As verifiers 0.4 calls it: `task` has the row's columns as attributes, and `trace` has one reply.

    A trace of verifiers knows more than these, such as tokens and times: there is none of that in a verdict.
    """
    prompt = row["prompt"] if "prompt" in row else str(row.get("question", ""))
    asked = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    reply = SimpleNamespace(role="assistant", content=answer, reasoning_content=None, tool_calls=None)
    messages = [*(SimpleNamespace(**message) for message in asked), reply]
    trace = SimpleNamespace(
        messages=messages,
        last_message=reply,
        assistant_messages=[reply],
        tool_messages=[],
        last_reply=answer.strip(),
        num_turns=1,
        is_truncated=False,
    )
    return {"task": SimpleNamespace(**row), "trace": trace}


def _reasoning_gym(row: Row, answer: str) -> dict[str, Any]:
    """As reasoning-gym calls it: `answer` is the model's, and the row's is in the entry."""
    return {"answer": answer, "entry": dict(row)}


def _verl(row: Row, answer: str) -> dict[str, Any]:
    """As verl calls it: the row is one of its Parquet files, whose right answer lies in `reward_model`."""
    held = row.get("reward_model")
    truth = held["ground_truth"] if isinstance(held, Mapping) and "ground_truth" in held else None
    truth = row.get("ground_truth", row.get("answer")) if truth is None else truth
    named = {"data_source": row.get("data_source", ""), "solution_str": answer}
    return {**named, "extra_info": row.get("extra_info") or {}, **({} if truth is None else {"ground_truth": truth})}


def _messages(answer: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": answer}]


def _log(*_arguments: object, **_named: object) -> None:
    """Takes what a function logs: a verdict has no log."""


SHAPES: dict[str, Shape] = {
    shape.name: shape
    for shape in (
        Shape(
            "trl",
            "(completions, **columns)",
            ("completions",),
            _trl,
            {
                "completion_ids": "token ids, which a verdict does not know",
                "trainer_state": "the trainer's state, so the same answer would get another verdict later",
                "environments": "environments, which play several steps",
            },
        ),
        Shape("verifiers", "(task, trace)", ("trace",), _verifiers, {"runtime": "a runtime"}, takes_all=False),
        Shape(
            "rubric",
            "(completion, answer, **kwargs)",
            ("completion",),
            _rubric,
            {"parser": "the rubric's parser: bind it with functools.partial(function, parser=…)"},
        ),
        Shape("reasoning-gym", "(answer, entry)", ("answer", "entry"), _reasoning_gym, {}, takes_all=False),
        Shape(
            "verl",
            "(data_source, solution_str, ground_truth, extra_info)",
            ("solution_str", "ground_truth"),
            _verl,
            {},
        ),
    )
}
"""Shapes by their names: TRL's, verifiers 0.4's, a rubric's of verifiers before 0.4, reasoning-gym's and verl's."""


def shape_of(function: Function, name: str = "") -> Shape:
    """The shape called `name`, or the one that a function's parameters show.

    Raises ValueError for an unknown name, for parameters that show none or several, and for one that cannot be given.
    """
    if name and name not in SHAPES:
        raise ValueError(f"there is no shape {name!r}.{nearest(name, SHAPES)} There are {', '.join(SHAPES)}")
    known = parameters(function)
    shown = [shape for shape in SHAPES.values() if set(shape.marks) <= set(known)]
    if not name and len(shown) != 1:
        kinds = ", ".join(f"{shape.name} {shape.signature}" for shape in shown or SHAPES.values())
        how = "fits several shapes" if shown else "fits no shape"
        raise ValueError(f"{called(function)}({', '.join(known)}) {how}: give one of {kinds}")
    shape = SHAPES[name] if name else shown[0]
    for parameter in known.values():
        if parameter.name in shape.lacking and parameter.default is parameter.empty:
            raise ValueError(f"{called(function)} takes {parameter.name}, {shape.lacking[parameter.name]}")
    return shape


def parameters(function: Function) -> dict[str, inspect.Parameter]:
    """The parameters that can be filled by name. Raises ValueError for a function that does not show them."""
    try:
        found = inspect.signature(function).parameters
    except (TypeError, ValueError):
        raise ValueError(f"{called(function)} does not show its parameters: wrap it in a function that does") from None
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: each for name, each in found.items() if each.kind in kinds}


def needs(function: Function) -> list[str]:
    """The parameters without a default. Raises ValueError as `parameters`."""
    return [name for name, each in parameters(function).items() if each.default is each.empty]


def takes_any(function: Function) -> bool:
    """Whether a function takes arguments that it does not name."""
    return any(each.kind is each.VAR_KEYWORD for each in inspect.signature(function).parameters.values())


def called(function: Function) -> str:
    """A function's name, for messages."""
    inner = getattr(function, "func", function)  # functools.partial
    return str(getattr(inner, "__name__", type(inner).__name__))
