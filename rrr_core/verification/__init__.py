"""Verification: the one judge of training and evaluation, the sandboxed processes it asks, and what guards them.

docs/verification.md says what is enforced where, and what is not.
"""

from rrr_core.verification.judge import Judge
from rrr_core.verification.settings import VerifySettings

__all__ = ["Judge", "VerifySettings"]
