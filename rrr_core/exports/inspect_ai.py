"""A task for inspect_ai: rows as samples, verdicts as scores, and the second try as a solver.

inspect_ai finds every installed task through our entry point: `inspect eval rrr_core/countdown`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import inspect_ai
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser
from inspect_ai.scorer import CORRECT, INCORRECT, Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, generate, solver

from rrr_core.errors import RrrError
from rrr_core.exports.judging import AwaitedJudge, explained, shared_judge
from rrr_core.exports.prompts import ROWS, named_model, prompted_rows
from rrr_core.generation.missing import FILTERED
from rrr_core.hookspecs import Message, Model
from rrr_core.judging.answer_files import verdict_record
from rrr_core.tasks import load_task
from rrr_core.tasks.discovery import find_tasks
from rrr_core.verdicts import Verdict, no_answer

_MESSAGES = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}
_FIRST_TRY = "rrr_first_try"
"""The key in a sample's store for the verdict on the first try."""


class Refused(RrrError, PrerequisiteError):  # type: ignore[misc]
    """Something the user can fix: an RrrError in Python, one line without a traceback on inspect_ai's command line."""


def task(
    name: str,
    split: str = "test",
    rows: int | None = ROWS,
    data: Any = None,
    overlays: Any = (),
    model: str = "",
    family: str | None = None,
    second_try: bool = False,
) -> inspect_ai.Task:
    """The first `rows` rows of a split, scored by the task's verdicts. `inspect eval` takes the same as `-T KEY=VALUE`.

    `data` is a mapping or strings `KEY=VALUE`, as in `--data`; `overlays` are names, as in `--with`. `model` names the
    model that prompts are written for. With `second_try`, the model reflects on a failed answer and tries again, and
    both tries are scored. Raises RrrError.
    """
    load_task(name, texts(overlays))
    made: inspect_ai.Task = _factory(name)(split, rows, data, overlays, model, family, second_try)
    return made


@solver  # type: ignore[untyped-decorator]
def reflect_and_retry() -> Solver:
    """Try; after a failed verdict, reflect and try once more in the same conversation.

    A first try that passed, or got no verdict, is the answer: there is nothing to reflect on.
    """

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        sample = _Sample(state)
        state = await generate(state)
        attempt = state.output.completion
        verdict = await sample.verdict(state)
        state.store.set(_FIRST_TRY, {**verdict_record(verdict), "answer": attempt})
        if not verdict.is_failed:
            return state
        rrr_task = sample.judge.task
        for question in (
            rrr_task.reflection_prompt(sample.row, attempt, sample.model),
            rrr_task.retry_prompt(sample.row, sample.model),
        ):
            state.messages.append(ChatMessageUser(content=question))
            state = await generate(state)
            if _is_filtered(state):  # without a reflection there is nothing to retry after
                break
        return state

    return solve


@scorer(metrics=[accuracy(), stderr()])  # type: ignore[untyped-decorator]
def verdict() -> Scorer:
    """The task's verdict on the final answer; unscored if it was withheld."""

    async def score(state: TaskState, target: Target) -> Score:  # noqa: ARG001 - inspect_ai's argument names
        sample, answer = _Sample(state), state.output.completion
        return score_of(await sample.verdict(state), answer)

    return score


@scorer(metrics=[accuracy(), stderr()])  # type: ignore[untyped-decorator]
def first_try() -> Scorer:
    """The verdict on the first try of `reflect_and_retry`; without that solver nothing is scored."""

    async def score(state: TaskState, target: Target) -> Score:  # noqa: ARG001 - inspect_ai's argument names
        kept = state.store.get(_FIRST_TRY)
        if kept is None:
            return Score.unscored(reason="scoring_failed", explanation="there was no first try: use reflect_and_retry")
        return score_of(Verdict(kept["verdict"], kept["category"], kept["detail"]), kept["answer"])

    return score


def score_of(verdict: Verdict, answer: str) -> Score:
    """A verdict as a score. inspect_ai excludes unscored samples from every metric, and counts them."""
    if verdict.is_abstained:
        return Score.unscored(
            reason="scoring_failed", answer=answer, explanation=explained(verdict), metadata=verdict_record(verdict)
        )
    return Score(
        value=CORRECT if verdict.is_passed else INCORRECT,
        answer=answer,
        explanation=explained(verdict),
        metadata=verdict_record(verdict),
    )


def texts(given: Any) -> tuple[str, ...]:
    """One string or several as a tuple: inspect_ai turns a `-T` value with commas into a list."""
    return (given,) if isinstance(given, str) else tuple(map(str, given or ()))


def data_options(given: Any) -> dict[str, str]:
    """Data options from a mapping or from strings `KEY=VALUE`. Raises RrrError.

    >>> data_options("numbers=4"), data_options(["numbers=4", "largest=9"])
    ({'numbers': '4'}, {'numbers': '4', 'largest': '9'})
    """
    if isinstance(given, dict):
        return {str(key): str(value) for key, value in given.items()}
    options = {}
    for text in texts(given):
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise RrrError(f"data = {text!r}: expected KEY=VALUE.")
        options[key] = value
    return options


def _is_filtered(state: TaskState) -> bool:
    return bool(state.output.stop_reason == "content_filter")


class _Sample:
    """A sample's row, model and judge, read from its metadata, so solver and scorers need no arguments."""

    def __init__(self, state: TaskState) -> None:
        self.row = state.metadata["row"]
        self.model = Model(**state.metadata["model"])
        self.judge: AwaitedJudge = shared_judge(state.metadata["task"], tuple(state.metadata["overlays"]))

    async def verdict(self, state: TaskState) -> Verdict:
        """On the model's last answer; none where a filter took it, which is nobody's failure."""
        if _is_filtered(state):
            return no_answer(FILTERED)
        return await self.judge.judge(self.row, state.output.completion)


@lru_cache
def _factory(name: str) -> Callable[..., inspect_ai.Task]:
    """The function that makes the task `name`, registered with inspect_ai, which calls it to rerun a log's task."""

    @inspect_ai.task(name=name)  # type: ignore[untyped-decorator]
    def make(
        split: str = "test",
        rows: int | None = ROWS,
        data: Any = None,
        overlays: Any = (),
        model: str = "",
        family: str | None = None,
        second_try: bool = False,
    ) -> inspect_ai.Task:
        try:
            return _made(name, split, rows, data_options(data), texts(overlays), named_model(model, family), second_try)
        except RrrError as error:
            raise Refused(str(error)) from error

    made: Callable[..., inspect_ai.Task] = make
    return made


def _made(
    name: str,
    split: str,
    rows: int | None,
    data: dict[str, str],
    overlays: tuple[str, ...],
    model: Model,
    second_try: bool,
) -> inspect_ai.Task:
    loaded = load_task(name, overlays)
    known = {"task": name, "overlays": list(overlays), "model": asdict(model)}
    samples = [
        Sample(
            id=f"{split}-{prompted.index}",
            input=[_message(message) for message in prompted.messages],
            metadata={**known, "row": dict(prompted.row), "row_index": prompted.index},
        )
        for prompted in prompted_rows(loaded, split, rows, data, model)
    ]
    return inspect_ai.Task(
        dataset=MemoryDataset(samples, name=f"{name} {split}"),
        solver=reflect_and_retry() if second_try else generate(),
        scorer=[verdict(), first_try()] if second_try else verdict(),
        version=loaded.version,
        metadata=loaded.provenance(),
    )


def _message(message: Message) -> Any:
    return _MESSAGES[message["role"]](content=message["content"])


def _register(names: Sequence[str]) -> None:
    for name in names:
        _factory(name)


_register([entry.name for entry in find_tasks() if entry.value])
