"""`--data` options, and the one error class."""

from __future__ import annotations

from rrr_core import DataOption

SAMPLE = "rrr_inspect_sums:sums"
WRONG = "wrong answer"
DECLARED = (
    DataOption("task", "PACKAGE/TASK as inspect_ai has registered it, or MODULE:FUNCTION", default=SAMPLE),
    DataOption("args", "the task's own arguments, as a JSON object", default="{}"),
    DataOption("size", "samples taken from the task, for both splits", "whole number", "1000", (1, 1_000_000)),
    DataOption("full", "the score that passes", "number", "1", (1e-9, 1e9)),
)
