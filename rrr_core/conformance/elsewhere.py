"""Verifiers that live in other libraries: the task that plays each, so that the same checks judge it."""

from __future__ import annotations

from typing import NamedTuple

from rrr_core.errors import RrrError, nearest


class Elsewhere(NamedTuple):
    """How a plugin names what another library has."""

    distribution: str
    task: str
    """The plugin's task; its end is the name if `option` is empty."""
    option: str
    """The `--data` option that takes the name."""


LIBRARIES = {
    "verifiers": Elsewhere("rrr-verifiers", "verifiers", "taskset"),
    "inspect_ai": Elsewhere("rrr-inspect", "inspect_ai", "task"),
    "reasoning_gym": Elsewhere("rrr-reasoning-gym", "reasoning-gym.", ""),
}
"""Library → the plugin of ours that plays its environments."""


def task_elsewhere(named: str) -> tuple[str, dict[str, str]]:
    """The task and its data options for `LIBRARY:NAME`. Raises RrrError for another form or library.

    >>> task_elsewhere("verifiers:marble-v1")
    ('verifiers', {'taskset': 'marble-v1'})
    >>> task_elsewhere("inspect_ai:my_evals:sums")
    ('inspect_ai', {'task': 'my_evals:sums'})
    """
    library, colon, name = named.partition(":")
    if library not in LIBRARIES:
        raise RrrError(
            f"--export {named}: {library!r} is no library that can be checked.{nearest(library, LIBRARIES)} There are"
            f" {', '.join(LIBRARIES)}: give LIBRARY:NAME."
        )
    if not colon or not name.strip():
        raise RrrError(f"--export {named}: name what is checked, as {library}:NAME.")
    found = LIBRARIES[library]
    return (found.task, {found.option: name}) if found.option else (found.task + name, {})
