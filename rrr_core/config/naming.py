"""Errors of a stage, with its options under the names they have in `rrr run`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from rrr_core.config.sections import section_class
from rrr_core.config.settings import settings_of
from rrr_core.errors import RrrError

COMMAND = re.compile(r"(`rrr [^`]*`)")
"""A command of rrr, quoted in a message: its options keep their names."""


@contextmanager
def options_of(section: str) -> Iterator[None]:
    """Name the section's options in an error as `rrr run` has them: `--train-steps`, not `--steps`."""
    try:
        yield
    except RrrError as error:
        error.args = (named_for_run(str(error), section),)
        raise


def named_for_run(message: str, section: str) -> str:
    """The message with the section's options prefixed.

    >>> named_for_run("change --batch-size (see `rrr train --batch-size 4`) or --model", "train")
    'change --train-batch-size (see `rrr train --batch-size 4`) or --model'
    """
    keys = [setting.key.replace("_", "-") for setting in settings_of(section_class(section))]
    option = re.compile(rf"(?<![\w-])--(?=(?:{'|'.join(map(re.escape, keys))})(?![\w-]))")
    parts = COMMAND.split(message)
    return "".join(part if place % 2 else option.sub(f"--{section}-", part) for place, part in enumerate(parts))
