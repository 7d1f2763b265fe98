"""The deciders: who decides without an oracle whether a first answer is retried. All their names are here.

To add a decider, add an entry to `KINDS` and a heading to docs/evaluation.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rrr_core.config.written import settings_from_texts
from rrr_core.errors import RrrError, nearest
from rrr_core.evaluation.deciders import (
    OPTION,
    Agreement,
    AgreementOptions,
    AskTheModel,
    Decider,
    Limits,
    OverlayDecides,
)
from rrr_core.profiling.profile import Profile
from rrr_core.tasks import Task, find_overlays
from rrr_core.tasks.loading import judged_by
from rrr_core.tasks.requests import read_request, write_request
from rrr_core.verification import VerifySettings

ORACLE, ALWAYS = "oracle", "always"
"""Two policies that every table of deciders has, and that nobody needs to name: retry what the task's own verifier
failed, and retry everything."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A decider of the core: every other name is an overlay's."""

    name: str
    help: str
    options: type[Any]
    """A dataclass of settings; the decider's options are its fields."""
    make: Callable[[Any], Decider]


@dataclass(frozen=True)
class NoOptions:
    """A decider without options."""


KINDS = (
    Kind("model", "the model, asked after its first answer", NoOptions, lambda _: AskTheModel()),
    Kind("agreement", "agreement of further samples (agreement:samples=4,need=0.5)", AgreementOptions, Agreement),
)
HELP = (
    f"Who decides without an oracle whether a first answer is retried: {'; '.join(f'{each.help}' for each in KINDS)};"
    " or an overlay that judges, as in --with. May be repeated."
)


def check_specs(specs: Sequence[str]) -> None:
    """Raise RrrError for what can be seen to be wrong in `--decide` options before any overlay is loaded."""
    names = [_name_of(spec) for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise RrrError(f"{OPTION} {name} is given twice: give each decider once.")


def _name_of(spec: str) -> str:
    name, options = read_request(spec, OPTION)
    if name in (ORACLE, ALWAYS):
        raise RrrError(f"{OPTION} {name}: it stands beside every decider, so leave it out.")
    made = _of_the_core(name, options)
    return write_request(name, options) if made is None else made.name


def _of_the_core(name: str, options: Mapping[str, str]) -> Decider | None:
    for kind in KINDS:
        if kind.name == name:
            return kind.make(settings_from_texts(f"{OPTION} {name}", kind.options, options))
    return None


def make_deciders(
    task: Task,
    specs: Sequence[str],
    max_abstain: float = 0.01,
    verify: VerifySettings | None = None,
    profile: Profile | None = None,
) -> list[Decider]:
    """The deciders that `--decide` asks for, for a task with its own overlays.

    Raises RrrError naming the option, for an unknown name with the nearest one.
    """
    made: list[Decider] = []
    limits = Limits(max_abstain, verify, profile)
    check_specs(specs)
    try:
        for spec in specs:
            name, options = read_request(spec, OPTION)
            made.append(_of_the_core(name, options) or _overlay(task, name, options, limits))
    except BaseException:
        for each in made:
            each.close()
        raise
    return made


def _overlay(task: Task, name: str, options: Mapping[str, str], limits: Limits) -> Decider:
    ours = [each.name for each in KINDS]
    known = [each.name for each in find_overlays() if each.value and each.name not in ours]
    if name not in known:
        listed = [*ours, *known]
        raise RrrError(
            f"{OPTION} {name}: there is no such decider.{nearest(name, listed)} Use {', '.join(ours)},"
            f" or an installed overlay that judges ({', '.join(sorted(known))})."
        )
    try:
        return OverlayDecides(write_request(name, options), judged_by(task, name, options), limits)
    except RrrError as error:
        error.args = (f"{OPTION} {name}: {error}",)
        raise


def check_deciders(task: Task, specs: Sequence[str], verify: VerifySettings | None = None) -> None:
    """Raise what `make_deciders` raises: an evaluation may come hours after the command that asks for it."""
    for each in make_deciders(task, specs, verify=verify):
        each.close()


def notes_on(deciders: Sequence[Decider], temperature: float, rounds: int, greedy: str) -> list[str]:
    """What a reader must know of these deciders; `greedy` is the name of the greedy mode, empty if it is not run."""
    notes = []
    if deciders and rounds > 1:
        notes.append("Deciders decide before the first retry alone: their figures are of one round.")
    if greedy and any(each.samples for each in deciders):
        notes.append(
            f"In the mode {greedy}, agreement takes its samples at temperature {temperature:g}, since greedy ones would"
            " all be the first try again."
        )
    return notes


def texts_per_row(deciders: Sequence[Decider], steps: int = 1) -> int:
    """Most texts that the model writes for each row to decide about, if an answer takes up to that many steps."""
    return sum(each.texts for each in deciders) + steps * max((each.samples for each in deciders), default=0)
