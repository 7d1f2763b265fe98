"""Evaluation: first and second tries, the controls that could refute a gain, and comparisons between models.

docs/evaluation.md explains each figure, control, interval and test.
"""

from rrr_core.evaluation.comparison import compare
from rrr_core.evaluation.figures import Figures, ModeFigures, figures
from rrr_core.evaluation.folder import assist_evaluation, evaluate, read_episodes
from rrr_core.evaluation.settings import EvalSettings
from rrr_core.evaluation.tables import control_table, table

__all__ = [
    "EvalSettings",
    "Figures",
    "ModeFigures",
    "assist_evaluation",
    "compare",
    "control_table",
    "evaluate",
    "figures",
    "read_episodes",
    "table",
]
