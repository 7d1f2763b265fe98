"""Conformance: the named checks that a task plugin passes before others rely on it.

`rrr check` runs them, and so does pytest (`rrr_core.testing`). docs/checks.md says what each wants, why, and how to
mend what it finds.
"""

from rrr_core.conformance.checks import CHECKS, Check, checks_of
from rrr_core.conformance.results import Result, exit_code
from rrr_core.conformance.settings import CheckSettings

__all__ = ["CHECKS", "Check", "CheckSettings", "Result", "checks_of", "exit_code"]
