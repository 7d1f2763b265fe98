"""`docs/evaluation.md` explains every key of the files. `tests/docs` runs its examples."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from rrr_core.evaluation import EvalSettings
from rrr_core.evaluation.by_round import RoundFigures
from rrr_core.evaluation.comparison import PAIRED
from rrr_core.evaluation.controls import CONTROLS, Control
from rrr_core.evaluation.deciding import KINDS
from rrr_core.evaluation.figures import Lengths, figures
from rrr_core.evaluation.known_noise import KnownNoise, corrections
from rrr_core.evaluation.without_oracle import Decided, Tokens

TEXT = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
EMPTY = figures([])
KEYS = {
    *EMPTY.to_json(),
    *(field.name for field in dataclasses.fields(Lengths)),
    *(field.name for field in dataclasses.fields(RoundFigures)),
    *(field.name for field in dataclasses.fields(Decided)),
    *(field.name for field in dataclasses.fields(Tokens)),
    *corrections({}, {}, KnownNoise()),
    *("deciders", "corrected", "oracle", "always"),
    *EMPTY.gains,
    *PAIRED,
    *EMPTY.transitions,
    *EMPTY.error_classes,
    *EMPTY.reflections,
    *EvalSettings().modes,
}


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_key_of_the_figures_is_explained(key: str) -> None:
    assert f"`{key}`" in TEXT


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_every_decider_has_a_heading(kind: str) -> None:
    assert f"\n### `{kind}`\n" in TEXT


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.key)
def test_every_control_has_a_heading_and_is_explained_by_its_figure_and_gain(control: Control) -> None:
    _, heading, section = TEXT.partition(f"\n### `{control.key}`\n")
    assert heading
    assert f"`{control.figure}`" in section.partition("\n#")[0]
    assert f"\n| `{control.gain}` | " in TEXT
