"""Conformance: the named checks that a task plugin should pass before others rely on it.

`rrr check` runs them, and so does pytest (`rrr_core.testing`). docs/checks.md explains each one: what it wants, why,
and how to fix what it finds.
"""

from rrr_core.conformance.checks import CHECKS, MODEL_CHECKS, Check, checks_of
from rrr_core.conformance.results import Result, exit_code
from rrr_core.conformance.settings import CheckSettings
from rrr_core.conformance.subject import Trainee

__all__ = ["CHECKS", "MODEL_CHECKS", "Check", "CheckSettings", "Result", "Trainee", "checks_of", "exit_code"]
