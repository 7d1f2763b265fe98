"""What the commands that judge answers share: their options and the limit on withheld verdicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

max_abstain_option = click.option(
    "--max-abstain",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    metavar="NUMBER",
    help="Share of verdicts the verifier may withhold, which it does when it fails itself.",
)


def task_without_data(function: Callable[..., Any]) -> Callable[..., Any]:
    """For a command `with_settings("task", …)` that gets its rows elsewhere: make TASK required, remove `--data`."""
    parameters: list[click.Parameter] = function.__click_params__  # type: ignore[attr-defined]
    for parameter in parameters:
        parameter.required = parameter.required or parameter.name == "task__name"
    parameters[:] = [parameter for parameter in parameters if parameter.name != "task__data"]
    return function
