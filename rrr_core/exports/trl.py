"""A task for TRL: a reward function for `GRPOTrainer(reward_funcs=…)`, and the matching data set.

This trains every token of an answer, as TRL does by default; `rrr train` trains only the reflection's tokens.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rrr_core.chat.marks import generation_of, marks_from
from rrr_core.errors import DataError
from rrr_core.exports.prompts import ROWS, named_model, prompted_rows
from rrr_core.tasks import load_task
from rrr_core.verification import Judge, VerifySettings

if TYPE_CHECKING:
    from datasets import Dataset

Completion = str | Sequence[Mapping[str, Any]]
"""A string, or messages that end with the model's."""


def dataset(
    name: str,
    split: str = "train",
    rows: int | None = ROWS,
    data: Mapping[str, str] | None = None,
    overlays: Sequence[str] = (),
    model: str = "",
    family: str | None = None,
) -> Dataset:
    """The first `rows` rows of a split, in the columns `prompt` (messages) and `row` (JSON text).

    `data` and `overlays` are as in `--data` and `--with`; `model` names the model that prompts are written for. Rows
    are kept as text, since a table would give all rows the same keys. Raises RrrError.
    """
    from datasets import Dataset

    prompted = prompted_rows(load_task(name, overlays), split, rows, data, named_model(model, family))
    table = [{"prompt": list(each.messages), "row": json.dumps(each.row)} for each in prompted]
    if not table:
        raise DataError(f"The task {name!r} has no rows in its split {split!r}.")
    return Dataset.from_list(table)


class RewardFunction:
    """Rewards a batch of answers: 1.0 for passed, 0.0 for failed, None if the verdict was withheld.

    TRL leaves None out of the group's baseline and advantages. It logs the share of None as `NAME/abstained`, and the
    verdicts next to the completions that it prints. A pickled copy in another process has a judge of its own.
    """

    def __init__(
        self,
        name: str,
        overlays: Sequence[str] = (),
        max_abstain: float = 0.01,
        verify: VerifySettings | None = None,
        thought_marks: str = "<think> </think>",
    ) -> None:
        self.__name__ = name
        """The task's name, under which TRL logs the reward."""
        self._arguments = (name, tuple(overlays), max_abstain, verify, thought_marks)
        self._marks = marks_from(thought_marks)
        self._judge = Judge(load_task(name, overlays), max_abstain, settings=verify)

    def __call__(
        self,
        completions: Sequence[Completion],
        row: Sequence[str | Mapping[str, Any]] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **columns: object,
    ) -> list[float | None]:
        """One reward for each completion, in order.

        Raises TooManyAbstentions, so a run does not continue on what a broken verifier leaves of it, and DataError if
        the data set has no column `row`.
        """
        if row is None:
            raise DataError(
                f"The reward function of task {self.__name__!r} needs the column 'row': "
                "make the data set with rrr_core.exports.trl.dataset."
            )
        answers = [generation_of(answer_of(completion), self._marks) for completion in completions]
        verdicts = self._judge.judge_written(
            [(self._own_row(given), answer) for given, answer in zip(row, answers, strict=True)]
        )
        if log_extra is not None:
            log_extra("verdict", [verdict.category or verdict.outcome for verdict in verdicts])
        if log_metric is not None and verdicts:
            log_metric(f"{self.__name__}/abstained", sum(each.is_abstained for each in verdicts) / len(verdicts))
        return [verdict.reward for verdict in verdicts]

    def _own_row(self, given: str | Mapping[str, Any]) -> Mapping[str, Any]:
        """The task's row in the column `row`: JSON text or an object, as published or as the task gives it."""
        row = json.loads(given) if isinstance(given, str) else copy.deepcopy(dict(given))
        return self._judge.task.row(row, "the column 'row'")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return RewardFunction, self._arguments

    def close(self) -> None:
        """Stop the verifier's processes. They end with this process in any case."""
        self._judge.close()


def reward_function(
    name: str,
    overlays: Sequence[str] = (),
    max_abstain: float = 0.01,
    verify: VerifySettings | None = None,
    thought_marks: str = "<think> </think>",
) -> RewardFunction:
    """The reward of the task `name`, with `overlays` as in `--with`.

    At most the share `max_abstain` of verdicts may be withheld; `verify` sets how verifiers run. What stands in
    `thought_marks` (`OPEN CLOSE`, or `none`) is a thought, which the verifier does not see. Raises RrrError.
    """
    return RewardFunction(name, overlays, max_abstain, verify, thought_marks)


def answer_of(completion: Completion) -> str:
    """The text the model wrote.

    >>> answer_of([{"role": "assistant", "content": "3 + 4"}])
    '3 + 4'
    """
    if isinstance(completion, str):
        return completion
    return str(completion[-1]["content"] or "") if completion else ""
