"""Reward functions written for other trainers, as verifiers.

    rrr_verify = from_reward(accuracy_reward, threshold=1.0)

`from_reward` makes the hook, and SHAPES are the kinds of function that it takes. docs/cookbook.md shows each.
"""

from rrr_core.rewards.loop import run_coroutine
from rrr_core.rewards.shapes import SHAPES, Shape, called, needs, shape_of
from rrr_core.rewards.verifying import CATEGORIES, LONGEST, BadReward, NoReward, from_reward, scorer

__all__ = [
    "CATEGORIES",
    "LONGEST",
    "SHAPES",
    "BadReward",
    "NoReward",
    "Shape",
    "called",
    "from_reward",
    "needs",
    "run_coroutine",
    "scorer",
    "shape_of",
]
