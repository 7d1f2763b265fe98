"""`--data` options: which environment, which action, and what counts as its full score."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rrr_core import DataOption
from rrr_core.errors import DataError

SAMPLE = "rrr_openenv_dial:DialEnvironment"
SIZE = 1000
LAST, SUM = "last", "sum"
DECLARED = (
    DataOption("environment", "the environment's class, as MODULE:CLASS of an installed package", default=SAMPLE),
    DataOption("action", "the class of its actions, as MODULE:CLASS, where the environment does not name it"),
    DataOption("settings", "arguments that the environment is made with, as a JSON object", default="{}"),
    DataOption("reset", "arguments that each episode is reset with, besides its seed, as a JSON object", default="{}"),
    DataOption("size", "episodes: seeds from 0 on, or tasks of each split", "whole number", str(SIZE), (1, 1_000_000)),
    DataOption("score", "the last reward or the sum of all", default=LAST, choices=(LAST, SUM)),
    DataOption("full", "the score that passes", "number", "1", (-1e9, 1e9)),
    DataOption("metadata", "show the model each observation's metadata, too", "true or false", "false"),
)


def wanted(task: str, options: Mapping[str, str]) -> dict[str, Any]:
    """The user's options, as each row keeps them. Raises DataError for what names nothing or is not JSON."""
    given = {option.name: options.get(option.name, option.default) for option in DECLARED}
    for name in ("environment", "action"):
        if given[name].count(":") != (1 if given[name] or name == "environment" else 0):
            raise DataError(f"{task}: --data {name}={given[name]}: MODULE:CLASS is expected, such as {SAMPLE}.")
    return {
        "environment": given["environment"],
        "action": given["action"],
        "settings": _object(task, "settings", given["settings"]),
        "reset": _object(task, "reset", given["reset"]),
        "score": given["score"],
        "full": float(given["full"]),
        "metadata": given["metadata"] == "true",
    }


def _object(task: str, name: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise DataError(f"{task}: --data {name}={text[:100]}: a JSON object is expected.")
    return value
