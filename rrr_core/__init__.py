"""rrr: tasks with binary verifiers, and the trainer that teaches a language model to reflect on its failures.

A task plugin needs only the names exported here. Importing this package does not import torch.
"""

from rrr_core.hookspecs import (
    Action,
    Call,
    DataOption,
    Example,
    Manifest,
    Message,
    Model,
    Prompt,
    Row,
    Step,
    final,
    hookimpl,
    observed,
    trusted,
)
from rrr_core.rewards import from_reward
from rrr_core.verdicts import Verdict, failed, passed, withheld

__version__ = "0.1.0"

__all__ = [
    "Action",
    "Call",
    "DataOption",
    "Example",
    "Manifest",
    "Message",
    "Model",
    "Prompt",
    "Row",
    "Step",
    "Verdict",
    "failed",
    "final",
    "from_reward",
    "hookimpl",
    "observed",
    "passed",
    "trusted",
    "withheld",
]
