"""Headroom: how much better retries are after a concrete reflection than after a vague one, before any training.

Below 30 points there is nothing to teach. Retries after *another* row's concrete reflection show whether a retry needs
what its own row's reflection found. The rows are unseen (the `test` split, unless another is named).

    python benchmarks/headroom.py [TASK] [--model FOLDER] [--rows 1000] [--split test] [--json FILE]

TASK is countdown, apigen, or one of reasoning-gym's that has lessons.
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from rrr_core.conversation import reflection_conversation, retry_conversation, with_reflection
from rrr_core.episode import Episode, Segment
from rrr_core.evaluation.statistics import wilson
from rrr_core.generation.engine import Sampling
from rrr_core.generation.transformers_backend import load_transformers
from rrr_core.tasks import load_task


@dataclass(frozen=True)
class Lessons:
    """A plugin's warm-up reflections."""

    vague: Mapping[str, float]
    marks: tuple[str, ...]
    """Words found only in worked reflections."""
    concrete: Callable[[Mapping[str, Any], str], str]
    """Row and failed attempt → a worked reflection."""
    tokens: int
    """The longest text of an episode."""
    data: Mapping[str, str] = field(default_factory=dict)
    """The data options of the lessons' rows."""

    def kind_of(self, reflection: str) -> str:
        """The kind of a reflection written by the model."""
        if any(mark in reflection for mark in self.marks):
            return "worked"
        return "vague" if reflection in self.vague else "named or other"


GYM = "reasoning-gym."


def lessons_of(task: str) -> Lessons:
    if task.startswith(GYM):
        return gym_lessons(task.removeprefix(GYM))
    warmup = importlib.import_module(f"rrr_{task}.warmup")

    def countdown(row: Mapping[str, Any], attempt: str) -> str:
        nums, target = row["nums"], row["target"]
        return f"{warmup.slip_in(nums, target, attempt)} {warmup.worked(nums, target)}"

    def apigen(row: Mapping[str, Any], attempt: str) -> str:
        return f"{warmup.slip_in(row['answers'], attempt)} {warmup.worked(row['answers'])}"

    if task == "countdown":
        return Lessons(warmup.VAGUE, ("half is",), countdown, 96)
    return Lessons(warmup.VAGUE, ("It asks to", "="), apigen, 160)


def gym_lessons(dataset: str) -> Lessons:
    making = importlib.import_module("rrr_reasoning_gym.lessons.making")

    def concrete(row: Mapping[str, Any], attempt: str) -> str:
        puzzle = making.puzzle_of(dataset, row)
        return f"{puzzle.slip_in(attempt)} {puzzle.worked(puzzle.parts())}"

    return Lessons(making.VAGUE, ("=",), concrete, 96, making.TAUGHT[dataset].OPTIONS)


def measure(name: str, model: str | None, rows: int, split: str, skip: int, temperature: float) -> dict[str, object]:
    task, lessons = load_task(name), lessons_of(name)
    engine = load_transformers(model or str(task.default_model()))
    sample = Sampling(temperature=temperature, max_tokens=lessons.tokens, seed=11)
    data = list(islice(task.load_dataset(split, lessons.data), skip, skip + rows))
    prompts = [task.prompt(row, engine.model) for row in data]
    attempts = [made.text for made in engine.generate(prompts, sample)]
    verdicts = [task.verify(row, attempt) for row, attempt in zip(data, attempts, strict=True)]
    failed = [
        Episode(index, row, (Segment("prompt", prompt), Segment("attempt", text=attempt, verdict=verdict)))
        for index, (row, prompt, attempt, verdict) in enumerate(zip(data, prompts, attempts, verdicts, strict=True))
        if verdict.is_failed
    ]
    asked = [reflection_conversation(task, case, engine.model) for case in failed]
    own = [made.text for made in engine.generate(asked, sample)]
    vague = max(lessons.vague, key=lambda text: lessons.vague[text])
    concrete = [lessons.concrete(case.row, case.attempt.text) for case in failed]

    def second_tries(reflections: list[str]) -> list[bool]:
        conversations = [
            retry_conversation(task, with_reflection(task, case, reflection, engine.model), engine.model)
            for case, reflection in zip(failed, reflections, strict=True)
        ]
        retries = engine.generate(conversations, sample)
        return [task.verify(case.row, made.text).is_passed for case, made in zip(failed, retries, strict=True)]

    own_right = second_tries(own)
    plain = engine.generate([retry_conversation(task, case, engine.model) for case in failed], sample)
    right = {
        "own reflection": own_right,
        "given a vague reflection": second_tries([vague] * len(failed)),
        "given a concrete reflection": second_tries(concrete),
        "given another row's concrete reflection": second_tries(concrete[1:] + concrete[:1]),
        "no reflection": [task.verify(case.row, made.text).is_passed for case, made in zip(failed, plain, strict=True)],
    }
    for kind in ("worked", "vague", "named or other"):
        right[f"own reflection, {kind}"] = [
            passed for passed, reflection in zip(own_right, own, strict=True) if lessons.kind_of(reflection) == kind
        ]
    figures: dict[str, object] = {
        "temperature": temperature,
        "first try": wilson(sum(verdict.is_passed for verdict in verdicts), len(verdicts)),
        **{name: wilson(sum(passed), len(passed)) for name, passed in right.items() if passed},
    }
    concrete_share, vague_share = (
        sum(right[f"given a {kind} reflection"]) / len(failed) for kind in ("concrete", "vague")
    )
    figures["headroom in points"] = round(100 * (concrete_share - vague_share), 1)
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", nargs="?", default="countdown")
    parser.add_argument("--model")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--split", default="test")
    parser.add_argument("--skip", type=int, default=0, help="rows of the split to leave out, such as mined ones")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    chosen = options.task, options.model, options.rows, options.split, options.skip
    result = [measure(*chosen, temperature) for temperature in (0.0, 1.0)]
    for figures in result:
        for name, value in figures.items():
            print(f"{name:40} {value}")
        print()
    if options.json:
        options.json.write_text(json.dumps(result, indent=2, default=str))
