"""What to see of a task before using it: its manifest, its package, and sample rows with verdicts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib import metadata
from typing import Any, TypeVar

from rrr_core.episode import Messages
from rrr_core.errors import RrrError
from rrr_core.hookspecs import DataOption, Example, Manifest, Model, Row
from rrr_core.tasks import Task, find_overlays
from rrr_core.tasks.hooks import HOOKS
from rrr_core.verdicts import Verdict
from rrr_core.verification import Judge, VerifySettings

SAMPLES = 3
"""Rows to show."""
MODEL = Model("any")
"""The model that prompts are written for."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Package:
    """A distribution's metadata; a missing field is empty."""

    name: str
    version: str
    license: str = ""
    homepage: str = ""
    core: str = ""
    """The range of rrr-core it is made for, such as `<0.2,>=0.1`."""


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer with its verdict."""

    kind: str
    """`gold`, `empty`, or `example`."""
    row: Row
    answer: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Sample:
    """One row, its prompt, and the verdicts on answers to it."""

    row: Row
    prompt: Messages
    judged: tuple[Judged, ...]


@dataclass(frozen=True, slots=True)
class TaskView:
    """All that `rrr tasks NAME` shows. If a plugin cannot give something, it is missing, and `problems` says why."""

    name: str
    package: Package
    manifest: Manifest | None
    options: tuple[DataOption, ...] | None
    """The `--data` options that it declares; None if it does not say."""
    trusted: bool
    gives_rewards: bool
    """Whether `rrr train --reward task` may be used."""
    has_steps: bool
    """Whether a model acts in steps before it answers."""
    hooks: tuple[str, ...]
    """The hooks that the task and its overlays implement, in the contract's order."""
    stacked: tuple[str, ...]
    """The overlays stacked on it; the last is asked first."""
    overlays: tuple[str, ...]
    """The names of all installed overlays."""
    samples: tuple[Sample, ...]
    examples: tuple[Judged, ...]
    """The plugin's own failing examples, one per error class, with their verdicts here."""
    unshown: int
    """The number of its other failing examples."""
    unshown_hostile: int
    """The number of those that are hostile."""
    problems: tuple[str, ...]
    """One line for everything that could not be shown."""


def view_task(task: Task, data: Mapping[str, str] | None = None, verify: VerifySettings | None = None) -> TaskView:
    """Look at a task through its hooks. `data` are the user's `--data KEY=VALUE`.

    Whatever a plugin cannot give, such as rows that must be downloaded first, becomes a line of `problems`; the rest
    is shown. Only KeyboardInterrupt passes through.
    """
    problems: list[str] = []

    def tried(ask: Callable[[], Value], otherwise: Value) -> Value:
        try:
            return ask()
        except RrrError as error:
            if str(error) not in problems:
                problems.append(str(error))
            return otherwise

    rows: list[dict[str, Any]] = tried(lambda: list(itertools.islice(task.load_dataset("train", data), SAMPLES)), [])
    failing: list[Example] = tried(lambda: [each for each in task.examples() if each.outcome == "failed"], [])
    examples = list(_shown_failures(failing))
    prompts: list[Messages] = []
    questions: list[tuple[str, Row, str]] = []
    for row in rows:
        prompts.append(tried(partial(task.prompt, row, MODEL), ()))
        gold: str | None = tried(partial(task.gold_answer, row), None)
        questions += [("gold", row, gold)] if gold is not None else []
        questions.append(("empty", row, ""))
    questions += [("example", example.row, example.answer) for example in examples]
    judged: list[Judged] = tried(lambda: _judged(task, questions, verify), [])
    return TaskView(
        task.name,
        package_of(task.distribution, task.version),
        tried(task.manifest, None),
        tried(task.data_options, None),
        task.trusted and task.steps_trusted,
        task.gives_rewards,
        task.has_steps,
        tuple(hook for hook in HOOKS if task.implements(hook)),
        task.overlays,
        tuple(entry.name for entry in find_overlays() if not entry.error),
        tuple(
            Sample(row, prompt, tuple(each for each in judged if each.kind != "example" and each.row is row))
            for row, prompt in zip(rows, prompts, strict=True)
        ),
        tuple(each for each in judged if each.kind == "example"),
        len(failing) - len(examples),
        sum(each.hostile for each in failing) - sum(each.hostile for each in examples),
        tuple(problems),
    )


def package_of(distribution: str, version: str) -> Package:
    """An installed distribution's metadata; only name and version if it cannot be read."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        fields = metadata.metadata(distribution)
    except metadata.PackageNotFoundError:
        return Package(distribution, version)

    def all_of(key: str) -> list[str]:
        return [text.strip() for text in fields.get_all(key) or [] if text.strip() not in ("", "UNKNOWN")]

    core = ""
    for text in all_of("Requires-Dist"):
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.name.lower().replace("_", "-").replace(".", "-") == "rrr-core":
            core = str(requirement.specifier) or "any"
    licenses = [*all_of("License-Expression"), *all_of("License")]
    licenses += [text.rpartition(" :: ")[2] for text in all_of("Classifier") if text.startswith("License ::")]
    links = dict(text.partition(", ")[::2] for text in reversed(all_of("Project-URL")))
    homes = [*all_of("Home-page"), *(links[name] for name in links if name.lower() == "homepage"), *links.values()]
    return Package(distribution, version, next(iter(licenses), ""), next(iter(homes), ""), core)


def _shown_failures(failing: Sequence[Example]) -> Iterator[Example]:
    """At most `SAMPLES` failing examples of distinct error classes; hostile and empty ones would show little."""
    seen = set()
    for example in failing:
        if not example.hostile and example.answer and example.category not in seen:
            seen.add(example.category)
            yield example
            if len(seen) == SAMPLES:
                return


def _judged(task: Task, questions: list[tuple[str, Row, str]], verify: VerifySettings | None) -> list[Judged]:
    """The verdicts on answers, from the usual judge; even a verifier that withholds them all is shown."""
    with Judge(task, max_abstain=1, settings=verify, scores=task.gives_rewards) as judge:
        verdicts = judge.judge([(row, answer) for _, row, answer in questions])
    return [Judged(*question, verdict) for question, verdict in zip(questions, verdicts, strict=True)]


def as_json(view: TaskView) -> dict[str, Any]:
    """The view as JSON-able values."""

    def given(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return {key: value for key, value in pairs if (key, value) != ("score", None)}

    return asdict(view, dict_factory=given)
