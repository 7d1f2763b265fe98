"""A task as TRL has it: a reward function for `GRPOTrainer(reward_funcs=…)`, and the data set that goes with it.

This trains every token of an answer, as TRL does by itself; `rrr train` trains the reflection's alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rrr_core.errors import DataError
from rrr_core.exports.posing import ROWS, named_model, posed_rows
from rrr_core.tasks import load_task
from rrr_core.verification import Judge, VerifySettings

if TYPE_CHECKING:
    from datasets import Dataset

Completion = str | Sequence[Mapping[str, Any]]
"""A text, or the messages that end with the model's."""


def dataset(
    name: str,
    split: str = "train",
    rows: int | None = ROWS,
    data: Mapping[str, str] | None = None,
    overlays: Sequence[str] = (),
    model: str = "",
    family: str | None = None,
) -> Dataset:
    """The first `rows` rows of a split: the columns `prompt`, as messages, and `row`, as JSON text.

    `data` and `overlays` are as in `--data` and `--with`; `model` is the name of the model that prompts are worded for.
    A row is kept as text, since a table would give all rows the same keys. Raises RrrError.
    """
    from datasets import Dataset

    posed = posed_rows(load_task(name, overlays), split, rows, data, named_model(model, family))
    table = [{"prompt": list(each.messages), "row": json.dumps(each.row)} for each in posed]
    if not table:
        raise DataError(f"The task {name!r} has no rows in its split {split!r}.")
    return Dataset.from_list(table)


class RewardFunction:
    """Rewards a batch of answers: 1.0 passed, 0.0 failed, None where the verdict was withheld.

    TRL leaves a None out of the group's baseline and advantages. It logs the share of them as `NAME/abstained`, and the
    verdicts beside the completions that it prints. A copy in another process, by pickle, has a judge of its own.
    """

    def __init__(
        self, name: str, overlays: Sequence[str] = (), max_abstain: float = 0.01, verify: VerifySettings | None = None
    ) -> None:
        self.__name__ = name
        """The task's name, by which TRL logs the reward."""
        self._arguments = (name, tuple(overlays), max_abstain, verify)
        self._judge = Judge(load_task(name, overlays), max_abstain, settings=verify)

    def __call__(
        self,
        completions: Sequence[Completion],
        row: Sequence[str] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **columns: object,
    ) -> list[float | None]:
        """One reward for each completion, in order.

        Raises TooManyAbstentions, so that a run does not go on with what a broken verifier leaves of it, and DataError
        where the data set has no column `row`.
        """
        if row is None:
            raise DataError(
                f"The reward function of task {self.__name__!r} needs the column 'row': "
                "make the data set with rrr_core.exports.trl.dataset."
            )
        answers = [answer_of(completion) for completion in completions]
        verdicts = self._judge.judge([(json.loads(text), answer) for text, answer in zip(row, answers, strict=True)])
        if log_extra is not None:
            log_extra("verdict", [verdict.category or verdict.outcome for verdict in verdicts])
        if log_metric is not None and verdicts:
            log_metric(f"{self.__name__}/abstained", sum(each.is_abstained for each in verdicts) / len(verdicts))
        return [verdict.reward for verdict in verdicts]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return RewardFunction, self._arguments

    def close(self) -> None:
        """End the verifier's processes. They end with this process in any case."""
        self._judge.close()


def reward_function(
    name: str, overlays: Sequence[str] = (), max_abstain: float = 0.01, verify: VerifySettings | None = None
) -> RewardFunction:
    """The reward of the task `name`, with `overlays` as in `--with`.

    At most the share `max_abstain` of verdicts may be withheld; `verify` says how verifiers are run. Raises RrrError.
    """
    return RewardFunction(name, overlays, max_abstain, verify)


def answer_of(completion: Completion) -> str:
    """The text that the model wrote.

    >>> answer_of([{"role": "assistant", "content": "3 + 4"}])
    '3 + 4'
    """
    if isinstance(completion, str):
        return completion
    return str(completion[-1]["content"] or "") if completion else ""
