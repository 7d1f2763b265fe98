"""A planted world: a task, and a model that is right with known probabilities.

As a program it evaluates into a folder and kills itself at a given request: `planted_world.py FOLDER REQUEST`.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rrr_core.episode import Generation
from rrr_core.evaluation import EvalSettings, Figures, evaluate
from rrr_core.generation.engine import Engine, Sampling
from rrr_core.hookspecs import Model
from rrr_core.verdicts import Verdict, abstained, failed, passed


@dataclass
class PlantedTask:
    """Rows `{"n": 0}`, `{"n": 1}`, …; answers starting with `right` pass, with `wrong` fail, others are withheld."""

    size: int = 10_000
    offset: int = 0
    name: str = "planted"
    distribution: str = "rrr-planted"
    version: str = "1.0"
    overlays: tuple[str, ...] = ()
    trusted: bool = True
    judges: tuple[str, ...] = ()
    combines: bool = False
    has_steps: bool = False
    steps_trusted: bool = True

    def load_dataset(self, split: str, options: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        assert split == "test"
        return ({"n": self.offset + n} for n in range(self.size))

    def prompt(self, row: Mapping[str, Any], model: Model) -> tuple[dict[str, str], ...]:
        return ({"role": "user", "content": f"Row {row['n']}."},)

    def reflection_prompt(self, row: Mapping[str, Any], attempt: str, model: Model) -> str:
        return "Reflect."

    def retry_prompt(self, row: Mapping[str, Any], model: Model) -> str:
        return f"Row {row['n']}."

    def verify(self, row: Mapping[str, Any], answer: str) -> Verdict:
        if answer.startswith("right"):
            return passed()
        if answer.startswith("wrong"):
            return failed(answer.removeprefix("wrong: "))
        return abstained("exception", "rrr-planted 1.0, hook rrr_verify: planted")

    def final_answer(self, row: Mapping[str, Any], text: str) -> str | None:
        return None

    def provenance(self) -> dict[str, Any]:
        return {"task": self.name, "distribution": self.distribution, "version": self.version, "overlays": []}


@dataclass
class PlantedModel(Engine):
    """Right with a given probability at each kind of try; its reflections name their row."""

    first: float = 0.3
    own: float = 0.8
    other: float = 0.2
    none: float = 0.2
    doubtful: float = 0.0
    """Probability of an answer that the verifier abstains from."""
    name: str = "planted-model"
    write_reflection: Callable[[str], str] = "A note on {}".format
    counts_tokens: bool = True
    before_request: Callable[[int], None] = lambda request: None
    """Called with the number of earlier requests."""
    requests: list[tuple[list[list[dict[str, str]]], Sampling]] = field(default_factory=list)

    @property
    def model(self) -> Model:
        return Model(self.name)

    def describe(self) -> dict[str, object]:
        return {"name": self.name, "revision": "r1"}

    def generate(
        self,
        conversations: Sequence[Sequence[Mapping[str, str]]],
        sampling: Sampling,
        on_done: Callable[[int], None] | None = None,
    ) -> list[Generation]:
        self.before_request(len(self.requests))
        self.requests.append(([[dict(message) for message in each] for each in conversations], sampling))
        return [self._answer(conversation, sampling) for conversation in conversations]

    def _answer(self, conversation: Sequence[Mapping[str, str]], sampling: Sampling) -> Generation:
        contents = [message["content"] for message in conversation]
        if contents[-1] == "Reflect.":
            text = self.write_reflection(contents[0])
            return self._generation(text)
        if len(contents) == 1:
            chance = self.first
        elif len(contents) == 3:
            chance = self.none
        else:
            chance = self.own if contents[3] == self.write_reflection(contents[0]) else self.other
        seed = sampling.seed if sampling.temperature else "greedy"
        draw = random.Random(f"{self.name} {seed} {contents}")
        if draw.random() < self.doubtful:
            return self._generation("who knows")
        if draw.random() < chance:
            return self._generation("right")
        return self._generation(f"wrong: {draw.choice(['sum', 'sum', 'form'])}")

    def _generation(self, text: str) -> Generation:
        return Generation(text, tuple(range(len(text.split()) + 1)) if self.counts_tokens else ())


def run(
    folder: Path, model: PlantedModel, task: PlantedTask | None = None, label: str = "m", **settings: Any
) -> Figures:
    return evaluate(task or PlantedTask(), model, folder, label, EvalSettings(**settings), {})  # type: ignore[arg-type]


KILLED = {"rows": 50, "shard_rows": 20, "seed": 5}

if __name__ == "__main__":

    def kill_at(request: int) -> None:
        if request == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)

    run(Path(sys.argv[1]), PlantedModel(before_request=kill_at), **KILLED)
