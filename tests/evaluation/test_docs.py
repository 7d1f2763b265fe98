"""`docs/evaluation.md` is true: it explains every key of the files. `tests/docs` runs its examples."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from rrr_core.evaluation import EvalSettings, ModeFigures
from rrr_core.evaluation.comparison import PAIRED
from rrr_core.evaluation.figures import GAINS, Lengths, figures

TEXT = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
EMPTY = figures([])
KEYS = {
    *(field.name for field in dataclasses.fields(ModeFigures)),
    *(field.name for field in dataclasses.fields(Lengths)),
    *GAINS,
    *PAIRED,
    *EMPTY.transitions,
    *EMPTY.error_classes,
    *EMPTY.reflections,
    *EvalSettings().modes,
}


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_key_of_the_figures_is_explained(key: str) -> None:
    assert f"`{key}`" in TEXT
