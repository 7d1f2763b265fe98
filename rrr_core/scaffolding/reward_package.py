"""A package around a reward function: the answers to the template's questions, and the files that it does not have."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rrr_core.errors import RrrError
from rrr_core.rewards import scorer
from rrr_core.scaffolding.answers import Answers
from rrr_core.scaffolding.reward_columns import require_what_it_takes
from rrr_core.scaffolding.reward_faults import described
from rrr_core.scaffolding.reward_rows import Trial, examples_of, prompt_column, read_data, tried
from rrr_core.scaffolding.reward_source import RewardSource, read_source

PACKED_FROM = 5 << 20
"""Bytes from which rows are packed."""


@dataclass(frozen=True, slots=True)
class RewardPackage:
    """What a package around a reward function is made of."""

    source: RewardSource
    rows: Mapping[str, list[dict[str, Any]]]
    """Split → rows."""
    trial: Trial
    threshold: float

    def answers(self, answers: Answers) -> Answers:
        """The template's answers with those that the function and its data give."""
        rows = [row for each in self.rows.values() for row in each]
        column = prompt_column(rows)
        trial = self.trial
        knows_gold = trial.form is not None and trial.passed == trial.tried
        return replace(
            answers,
            reward=f"{own_module(answers.name)}:{self.source.name}" if self.source.copied else self.source.target,
            shape=self.source.shape.name,
            threshold=self.threshold,
            is_slow=self.source.is_slow,
            requires=self.source.requires,
            prompt_column=column,
            columns=tuple(dict.fromkeys(name for row in rows for name in row if name != column)),
            gold=trial.form.code if trial.form is not None and knows_gold else "",
        )

    def files(self) -> dict[str, bytes]:
        """The files of the package's module, by their names."""
        files = dict(_data_file(split, rows) for split, rows in self.rows.items())
        files["examples.jsonl"] = _lines(examples_of(self.trial, self.rows["train"]))
        if self.source.copied is not None:
            files["reward.py"] = self.source.copied.read_bytes()
        return files

    def said(self) -> list[str]:
        """What was found, in a line each."""
        trial, source = self.trial, self.source
        lines = [
            f"{source.target} judges, as {source.shape.name} {source.shape.signature}; {self.threshold:g} passes.",
            "Rows: " + ", ".join(f"{len(rows):,} {split}" for split, rows in self.rows.items()) + ".",
        ]
        if trial.form is not None:
            lines.append(f"Answers that pass: {trial.form}; {trial.passed:,} of {trial.tried:,} rows tried.")
        else:
            lines.append(
                f"No column holds an answer that passes.{what_was_tried(trial)} Add one to examples.jsonl, or `rrr "
                "check` fails."
            )
        if trial.fault is not None:
            fault = described(trial.fault, source, trial.faulty)
            lines.append(f"On some of the texts tried, {fault}. Such verdicts are withheld.")
        if source.is_slow:
            lines.append(f"Importing {source.module} takes long, so the first verdict does it.")
        return lines


def what_was_tried(trial: Trial) -> str:
    """Sentences on the texts of which none passed, each after a space.

    >>> what_was_tried(Trial(highest=0.0, columns={"answer": "int"}))
    " The highest reward of what was tried is 0: 'answer' (int), written as text."
    """
    if trial.highest is None:
        return ""
    columns = ", ".join(f"{column!a} ({kind})" for column, kind in trial.columns.items())
    texts = f": {columns}, written as text" if columns else ""
    return f" The highest reward of what was tried is {trial.highest:g}{texts}."


def own_module(name: str) -> str:
    """The module that a copied function is in.

    >>> own_module("word-sums")
    'rrr_word_sums.reward'
    """
    return f"rrr_{name.replace('-', '_')}.reward"


def reward_package(target: str, data: Path, shape: str = "", threshold: float = 1.0) -> RewardPackage:
    """Read a function and its data, and try the answers that the data hold.

    Raises RrrError for a function or data that cannot be used, and for a function that gives no number for all that was
    tried.
    """
    source = read_source(target, shape)
    train, test = read_data(data, partial(require_what_it_takes, source, data))
    trial = tried(scorer(source.function, source.shape.name), threshold, train)
    if trial.fault is not None and trial.highest is None:
        raise RrrError(
            f"--from-reward {target}: on the rows of {data}, {described(trial.fault, source, trial.faulty)}."
        )
    if trial.gave_none and trial.highest is None:
        raise RrrError(
            f"--from-reward {target}: it gave None, which is no reward, for every answer tried on the rows of {data}: "
            "give a number, and leave out rows that it does not apply to."
        )
    return RewardPackage(source, {"train": train, "test": test}, trial, threshold)


def _data_file(split: str, rows: Iterable[Mapping[str, Any]]) -> tuple[str, bytes]:
    content = _lines(rows)
    if len(content) < PACKED_FROM:
        return f"data/{split}.jsonl", content
    return f"data/{split}.jsonl.gz", gzip.compress(content, mtime=0)


def _lines(records: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()
