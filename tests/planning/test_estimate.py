"""What a plan makes of texts whose lengths are hardly known."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch")

from rrr_core.evaluation import EvalSettings
from rrr_core.mining import MineSettings
from rrr_core.planning.estimate import ERRORS, SHORTEST, TaskPart, batch_of
from rrr_core.planning.lengths import Lengths, Texts
from rrr_core.planning.memory import Setup
from rrr_core.planning.phases import ASSUMED_RATES, Phase, Phases
from rrr_core.planning.rates import Behaviour
from rrr_core.planning.stages import evaluation, no_deciders
from rrr_core.planning.work import Engine

pytestmark = pytest.mark.train


@pytest.mark.parametrize("sample", [(9.0,) * 10 + (512.0,), (8.0, 8.0, 9.0), (7.0, 400.0)])
def test_texts_stay_texts_however_uncertain_their_lengths_are(
    sample: tuple[float, ...], texts: Texts, on_gpu: Setup
) -> None:
    behaviour = Behaviour(ASSUMED_RATES, 0.1, ASSUMED_RATES)
    phases = Phases.alike(Phase(replace(texts, reflection=Lengths(sample)), behaviour))
    task = TaskPart("sums", phases, 64, 64, MineSettings(rows=64), EvalSettings(rows=64))
    for errors in (-ERRORS, 0.0, ERRORS):
        changed = task.changed(-ERRORS, errors).phases.before
        assert min(changed.texts.reflection.sample) >= SHORTEST * min(sample) * 0.999
        stage = evaluation(task.eval, changed.texts, changed.behaviour, 64, Engine(32_768), no_deciders)
        assert batch_of(stage.together, Engine(32_768), on_gpu).written > 0
