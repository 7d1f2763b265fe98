"""The whole contract between the core and a task plugin.

A task plugin is a module of plain functions marked `@hookimpl`; its entry point in the group `rrr.tasks` names
the task. An implementation may take any subset of a hook's arguments. Every hook gets `task`, so one module
can serve many tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import pluggy

from rrr_core.verdicts import Verdict

PROJECT = "rrr"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
TRUSTED = f"{PROJECT}_trusted"
Function = TypeVar("Function", bound=Callable[..., Any])


def trusted(function: Function) -> Function:
    """Mark an `rrr_verify`, `rrr_reward` or `rrr_step` as pure Python that is safe on any text, so the core may run it.

    Put it below `@hookimpl`. It promises that no text makes the hook run code, hang, exhaust memory or change its
    row. One that cannot promise this runs in a sandboxed process, which costs a few microseconds per verdict.
    """
    setattr(function, TRUSTED, True)
    return function


Row: TypeAlias = Mapping[str, Any]
"""One row of a data set; it must be JSON-able."""
Message: TypeAlias = Mapping[str, str]
"""A chat message: `{"role": "user", "content": "…"}`."""
Prompt: TypeAlias = str | Sequence[Message]
"""Chat messages; a `str` is one user message."""


@dataclass(frozen=True, slots=True)
class Model:
    """What a plugin knows about the model it writes a prompt for."""

    name: str
    """The name the user gave: a hub name, a folder or a server's model name."""
    family: str = "generic"
    """`qwen`, `llama`, `phi`, …, or `generic`; a model's configuration may set its own as `rrr_family`."""
    takes_tools: bool = False
    """Whether its chat template has a place for tools: a prompt may then begin with a message of the role `tools`."""
    calls: bool = False
    """Whether its calls can be read: a task with steps may then show it tools likewise, and `rrr_step` gets `calls`."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool, as a model wrote it: its name may be unknown, and its arguments need not fit the schema."""

    name: str
    arguments: Mapping[str, Any]
    """JSON values."""


@dataclass(frozen=True, slots=True)
class Action:
    """An action that calls tools, for a course that is given; one that calls none is its text alone."""

    text: str = ""
    """What comes before the calls."""
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """An answer with a known verdict, for the conformance checks."""

    row: Row
    answer: str
    outcome: str
    """`passed` or `failed`."""
    category: str = ""
    """The error class of a failing answer."""
    reason: str = ""
    """The reason for the verdict, in a few words."""
    hostile: bool = False
    """True where the answer attacks the verifier."""
    actions: tuple[str | Action, ...] = ()
    """In a task that acts in steps, a course of actions that ends in `final(answer)`."""


@dataclass(frozen=True, slots=True)
class Step:
    """What an action of the model leads to. A plugin makes `observed(…)` and `final(…)`."""

    observation: str = ""
    """What the model reads before it acts again; empty at the end."""
    state: Any = None
    """What the next step starts from: JSON, with nothing hidden behind it. The model never sees it."""
    answer: str | None = None
    """At the end, what is judged; None while the model is to act again."""


def observed(observation: str, state: Any = None) -> Step:
    """The model reads this and acts again; its next step starts from the state."""
    return Step(observation, state)


def final(answer: str) -> Step:
    """The course of actions is over, and `rrr_verify` judges this: its last action, its last state, or all of it."""
    return Step(answer=answer)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a plugin declares about a task: where its rows come from, and what verdicts it gives.

    The code's own licence, homepage and core range are in its distribution's metadata.
    """

    summary: str = ""
    """What the task asks, in one line."""
    source: str = ""
    """Where the rows come from: `generated`, a hub name, a URL."""
    revision: str = ""
    """What pins the rows: a commit, a tag, or the generator's version."""
    data_license: str = ""
    """The licence of the rows, as an SPDX expression such as `CC-BY-4.0`."""
    categories: tuple[str, ...] = ()
    """Every error class that a failed verdict may have."""
    deterministic: bool = True
    """Whether the same row and answer always get the same verdict."""


@dataclass(frozen=True, slots=True)
class DataOption:
    """One of a task's options `--data NAME=VALUE`."""

    name: str
    help: str = ""
    """What it sets, in a few words."""
    kind: str = "text"
    """What a value is: `text`, `whole number`, `number` or `true or false`."""
    default: str = ""
    """The value taken if the user gives none, as they would write it; empty where no value says the same."""
    bounds: tuple[float, float] | None = None
    """The smallest and the largest number."""
    choices: tuple[str, ...] = ()
    """The only values, where they are few."""
    sources: tuple[str, ...] = ()
    """The kinds of `source` it belongs to (`generated`, `hub`, `a file`, `a folder`); empty for all."""


@hookspec(firstresult=True)
def rrr_load_dataset(task: str, split: str, options: Mapping[str, str]) -> Iterable[Row]:  # type: ignore[empty-body]
    """Give the rows of `train` or `test`, lazily, in a fixed order. `options` are the user's `--data KEY=VALUE`."""


@hookspec(firstresult=True)
def rrr_data_options(task: str) -> Iterable[DataOption]:  # type: ignore[empty-body]
    """Give every `--data` option of the task. The core refuses all others, and values that do not fit."""


@hookspec(firstresult=True)
def rrr_row(task: str, row: Row) -> Row:  # type: ignore[empty-body]
    """Give the task's own row for one from outside, as published or already the task's own. Raise RowError."""


@hookspec(firstresult=True)
def rrr_prompt(task: str, row: Row, model: Model) -> Prompt:  # type: ignore[empty-body]
    """Give the prompt for a row, as chat messages."""


@hookspec(firstresult=True)
def rrr_verify(task: str, row: Row, answer: str) -> Verdict:  # type: ignore[empty-body]
    """Judge the model's whole output: `passed()` or `failed(category, detail)`. Pure, and safe on any text."""


@hookspec(firstresult=True)
def rrr_step(task: str, row: Row, state: Any, action: str, calls: Sequence[Call]) -> Step:  # type: ignore[empty-body]
    """Give what the model's action leads to: `observed(text, state)` or `final(answer)`. Pure, and safe on any text.

    The state of a course's first step is None. If the prompt shows tools, `calls` are the action's, and `action` is the
    text before them; otherwise, and where a call is malformed, all of it is in `action`. A task with this hook acts
    instead of answering at once.
    """


@hookspec(firstresult=True)
def rrr_reward(task: str, row: Row, answer: str, verdict: Verdict) -> float | None:
    """Give the reward of a judged answer, a number from 0 to 1, or None for the verdict's own 1 or 0."""


@hookspec(firstresult=True)
def rrr_reflection_prompt(task: str, row: Row, attempt: str, model: Model) -> str:  # type: ignore[empty-body]
    """Give the user message that asks what went wrong. It sees no verdict, so feedback stays binary."""


@hookspec(firstresult=True)
def rrr_retry_prompt(task: str, row: Row, model: Model) -> str:  # type: ignore[empty-body]
    """Give the user message that asks for a retry after the reflection. The default is the row's own prompt."""


@hookspec(firstresult=True)
def rrr_examples(task: str) -> Iterable[Example]:  # type: ignore[empty-body]
    """Give answers with known verdicts: passing, failing and hostile."""


@hookspec(firstresult=True)
def rrr_warmup(task: str, split: str, count: int, seed: int) -> Iterable[Sequence[Mapping[str, Any]]]:  # type: ignore[empty-body]
    """Give `count` worked conversations, in training order, for a model that lacks basic ability.

    They may begin with tools; an assistant's message may then have `calls`, and a message of the role `tool` follows.
    """


@hookspec(firstresult=True)
def rrr_gold_answer(task: str, row: Row) -> str | None:
    """Give an answer that passes, or None if none is known. Used to measure leaks, never shown to a model."""


@hookspec(firstresult=True)
def rrr_final_answer(task: str, row: Row, text: str) -> str | None:
    """Give the part of a model's text that `rrr_verify` judges, or None if there is none. Used to measure leaks."""


@hookspec(firstresult=True)
def rrr_worked_reflection(task: str, row: Row, attempt: str) -> str | None:
    """Give a reflection on a failed attempt that helps, or None. Used to measure headroom, never trained on."""


@hookspec(firstresult=True)
def rrr_default_model(task: str) -> str | None:
    """Give the folder (or hub name) of the model to use when the user names none."""


@hookspec(firstresult=True)
def rrr_presets(task: str, command: str) -> Mapping[str, Mapping[str, Any]] | None:
    """Give the settings, by section, that suit the task in `demo` or `warmup`. The user's own override them."""


@hookspec(firstresult=True)
def rrr_manifest(task: str) -> Manifest:  # type: ignore[empty-body]
    """Give the task's provenance: source, revision and licence of its rows, and its error classes."""


@hookspec(firstresult=True)
def rrr_configure(options: Mapping[str, str]) -> Iterable[Callable[..., Any]]:  # type: ignore[empty-body]
    """Give the hook functions of an overlay requested as `--with NAME:KEY=VALUE,…`. Overlays only."""


@hookspec(firstresult=True)
def rrr_judge(task: str, pairs: Sequence[tuple[Row, str]]) -> Sequence[Verdict | None] | None:
    """Judge a batch of (row, answer) in the core's process. `rrr_verify` judges the pairs left as None."""


@hookspec(firstresult=True)
def rrr_combine(task: str, row: Row, answer: str, votes: Mapping[str, Verdict]) -> Verdict:  # type: ignore[empty-body]
    """Combine every judge's verdict into one. `votes` is keyed by name, in the order asked, `verifier` last."""
