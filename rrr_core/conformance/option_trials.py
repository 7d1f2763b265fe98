"""The `--data` options that the checks try: a misspelt one, and the declared defaults spelt out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rrr_core.hookspecs import DataOption
from rrr_core.row_files import DataOptions


def misspelt(declared: Sequence[DataOption] | None, given: Mapping[str, str]) -> str:
    """The name of a data option that a task does not have: one of its own with a slip."""
    names = [option.name for option in declared or ()] or list(given) or ["option"]
    return next(name for name in (f"{names[-1]}{'x' * count}" for count in range(1, 99)) if name not in names)


def spelt_out(declared: Sequence[DataOption], given: Mapping[str, str]) -> dict[str, str]:
    """The declared defaults of the options that belong to the source that the rows come from."""
    options = DataOptions("", given, declared)
    return {
        option.name: option.default
        for option in declared
        if option.default and option.name not in given and (not option.sources or options.kind in option.sources)
    }
