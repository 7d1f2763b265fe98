"""Fakes shared by the tests of several rooms: a model that follows a script, and a task without a plugin."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from rrr_core.episode import Generation
from rrr_core.generation.engine import Engine, Sampling
from rrr_core.hookspecs import Message, Model, Row, hookimpl, trusted
from rrr_core.progress import Advance, Progress
from rrr_core.tasks import Task, TaskEntry
from rrr_core.tasks.hooks import checked_plugin
from rrr_core.verdicts import Verdict, failed, passed

Conversation = Sequence[Message]
Script = Callable[[Conversation, random.Random], str | Generation]
"""Gives the answer to a conversation, possibly at random: the randomness is a function of seed and conversation."""


def right_or_wrong(conversation: Conversation, chance: random.Random) -> str:
    """Right in six of ten tries; wrong answers come in twenty texts."""
    return "right" if chance.random() < 0.6 else f"wrong {chance.randrange(20)}"


class ScriptedGenerator(Engine):
    """An `Engine` with answers that are a pure function of sampling seed, conversation and repetition.

    At temperature 0, seed and repetition have no effect. `calls` records the requests; `delay` is in seconds per call;
    a token is a byte.
    """

    def __init__(
        self,
        script: Script = right_or_wrong,
        name: str = "scripted",
        delay: float = 0.0,
        tells_tokens: bool = True,
    ) -> None:
        self.script = script
        self.tells_tokens = tells_tokens
        self.model = Model(name)
        self.delay = delay
        self.calls: list[tuple[list[Conversation], Sampling]] = []

    def generate(
        self,
        conversations: Sequence[Conversation],
        sampling: Sampling,
        on_done: Callable[[int], None] | None = None,
    ) -> list[Generation]:
        time.sleep(self.delay)
        self.calls.append((list(conversations), sampling))
        asked: dict[str, int] = {}
        answers = []
        for conversation in conversations:
            words = repr([(message["role"], message["content"]) for message in conversation])
            nth = asked[words] = asked.get(words, -1) + 1
            drawn = f"{sampling.seed} {nth} {words}" if sampling.temperature else words
            chance = random.Random(hashlib.sha256(drawn.encode("utf-8", "surrogatepass")).digest())
            made = self.script(conversation, chance)
            if isinstance(made, str):
                tokens = tuple(made.encode("utf-8", "surrogatepass")) if self.tells_tokens else ()
                made = Generation(made, tokens)
            answers.append(made)
            if on_done:
                on_done(1)
        return answers

    def describe(self) -> dict[str, object]:
        return {"model": self.model.name, "backend": "scripted"}


def names(folder: Path) -> list[str]:
    """What a folder holds, hidden files included."""
    return sorted(entry.name for entry in folder.iterdir())


def numbers_task(size: int = 20) -> Task:
    """A task of `size` rows `{"number": n}`, with a real plugin module that no distribution installs.

    An answer passes where it begins with `right`; at `crash` the verifier raises; all else fails. The data option
    `first` shifts the numbers.
    """

    @hookimpl
    def rrr_load_dataset(split: str, options: Mapping[str, str]) -> Iterator[Row]:
        for number in range(int(options.get("first", "0")), int(options.get("first", "0")) + size):
            yield {"number": number}

    @hookimpl
    def rrr_prompt(row: Row) -> str:
        return f"Say number {row['number']}."

    @hookimpl
    @trusted
    def rrr_verify(row: Row, answer: str) -> Verdict:
        if answer.startswith("crash"):
            raise ZeroDivisionError("of the verifier")
        return passed() if answer.startswith("right") else failed("wrong number", answer)

    return task_of("numbers", rrr_load_dataset, rrr_prompt, rrr_verify)


def task_of(name: str, *hooks: Callable[..., object]) -> Task:
    """A task of these hooks, as if its plugin were installed."""
    module = ModuleType(f"rrr_{name}")
    for hook in hooks:
        hook.__module__ = module.__name__
        setattr(module, hook.__name__, hook)
    return Task(checked_plugin(TaskEntry(name, f"rrr-{name}", "1.0", module.__name__), module))


class KeptProgress(Progress):
    """Records what a person would see: lines, notes, and units done."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.notes: list[str] = []
        self.done = 0
        self.total = 0

    @contextmanager
    def track(self, title: str, total: int, done: int = 0) -> Iterator[Advance]:
        self.total, self.done = total, done

        def advance(count: int, note: str = "") -> None:
            self.done += count
            self.notes.append(note)

        yield advance

    def say(self, line: str) -> None:
        self.lines.append(line)
