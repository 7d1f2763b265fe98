"""Verification: the judge of mining, training and evaluation, its sandboxed processes, and what confines them.

docs/verification.md says what is enforced where, and what is not.
"""

from rrr_core.verification.judge import Judge
from rrr_core.verification.settings import VerifySettings

__all__ = ["Judge", "VerifySettings"]
