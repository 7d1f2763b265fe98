"""The template's questions: the answers, and which ones are valid."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec

from rrr_core.errors import RrrError
from rrr_core.tasks import find_overlays, find_tasks

LICENSES = ("Apache-2.0", "MIT", "BSD-3-Clause")
"""SPDX names of the licences the template includes."""
ANSWERS: Mapping[str, str] = {
    "number": "a whole or decimal number such as 48, -3 or 2.50",
    "choice": "the letter of one of two to eight choices, A being the first",
    "text": "a word or a phrase, in whatever capitals",
}
"""The kinds of answer the template has a verifier for, with their descriptions; the first is the default."""

LONGEST_NAME = 40
LONGEST_LINE = 90
"""Most characters of a summary or an author: they are part of lines of at most 120."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to the template's questions, under the names in `copier.yml`."""

    name: str
    """The task's name; its distribution is `rrr-NAME`, its module `rrr_NAME`."""
    summary: str
    """What the task asks, in one line."""
    author: str
    license: str = LICENSES[0]
    answer: str = next(iter(ANSWERS))
    """What an answer is: one of ANSWERS."""
    steps: bool = False
    """Whether the model acts in steps, up to its answer."""
    reward: str = ""
    """The reward function that judges, as `module:function` of the package or of what it requires; empty for none."""
    shape: str = ""
    """The reward function's shape."""
    threshold: float = 1.0
    """The least reward that passes."""
    is_slow: bool = False
    """Whether the function's module is imported at the first verdict."""
    requires: tuple[str, ...] = ()
    """The distributions that the function needs."""
    prompt_column: str = "prompt"
    columns: tuple[str, ...] = ()
    """The other columns of the rows."""
    gold: str = ""
    """A Python expression of `row` that gives an answer which passes; empty where none is known."""

    def __post_init__(self) -> None:
        """Raise RrrError for a name, a summary or an author that would not work in the files."""
        check_shape(self.name)
        check_line(self.summary)
        check_line(self.author)


def check_line(text: str) -> None:
    """Raise RrrError for a summary or an author that would need escaping in TOML, Python or Markdown."""
    if not text.strip() or not text.isprintable() or len(text) > LONGEST_LINE or set(text) & set('"\\'):
        raise RrrError(f'{text[:LONGEST_LINE]!r}: use one line of 1 to {LONGEST_LINE} characters without " and \\.')


def check_shape(name: str) -> None:
    """Raise RrrError, with a suggestion, unless `rrr-NAME` is a normalized distribution name (PEP 503)."""
    if len(name) <= LONGEST_NAME and re.fullmatch(r"(?!rrr-)[a-z0-9]+(-[a-z0-9]+)*", name):
        return
    near = re.sub(r"[^a-z0-9]+", "-", name.lower().removeprefix("rrr-"))[:LONGEST_NAME].strip("-")
    suggestion = f" Try {near!r}." if near else ""
    raise RrrError(
        f"{name!r} cannot be the name of a task: use 1 to {LONGEST_NAME} of a-z and 0-9, single hyphens between "
        f"them and no rrr- prefix.{suggestion}"
    )


def check_name(name: str) -> None:
    """Raise RrrError for a malformed name, or one that something installed has taken, naming what."""
    check_shape(name)
    for entry in (*find_tasks(), *find_overlays()):
        if entry.name == name:
            raise RrrError(f"The {entry.kind} {name!r} is installed already, by {entry.who}: choose another name.")
    module = f"rrr_{name.replace('-', '_')}"
    for there, what in ((_has_distribution(f"rrr-{name}"), f"rrr-{name}"), (find_spec(module), f"the module {module}")):
        if there:
            raise RrrError(f"{name!r}: {what} is installed already: choose another name.")


def _has_distribution(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
