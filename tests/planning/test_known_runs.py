"""Plans of two known runs, `rrr demo` and `rrr demo apigen` of 2026-11-29, from what their folders say.

Their texts, pass rates and profiles are data here; each lengths' list is of deciles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest

from rrr_core.evaluation import EvalSettings
from rrr_core.mining import MineSettings
from rrr_core.planning.lengths import Lengths, Texts
from rrr_core.planning.past import speeds_of
from rrr_core.planning.rates import Behaviour, Rates
from rrr_core.planning.stages import evaluation, mining, no_deciders
from rrr_core.planning.training import Step, training
from rrr_core.planning.work import Engine, Work
from rrr_core.profiling.spent import Machine, Spent
from rrr_core.training.settings import TrainSettings

ENGINE = Engine(32_768)


def lengths(mean: float, deciles: Sequence[float]) -> Lengths:
    """Deciles, with the mean that all lengths had."""
    found = Lengths.of(deciles)
    return found.scaled(mean / found.mean, 1e9)


@dataclass(frozen=True)
class Known:
    """A run that is over."""

    mine: MineSettings
    train: TrainSettings
    eval: EvalSettings
    rows: int
    before: Texts
    behaviour: Behaviour
    reflection_tokens: float
    """Their mean over all steps of training."""
    in_training: Rates
    profiles: Mapping[str, Mapping[str, int]]


COUNTDOWN = Known(
    MineSettings(rows=2048, tries=4, temperature=1.0, max_tokens=64),
    TrainSettings(
        steps=20,
        batch_size=256,
        micro_batch_size=128,
        kl=0.8,
        max_reflection_tokens=64,
        max_retry_tokens=24,
        save_every=4,
    ),
    EvalSettings(rows=2000, max_tokens=64),
    2048,
    Texts(
        prompt=Lengths((15.0,)),
        attempt=lengths(7.79, [6, 6, 8, 8, 8, 8, 8, 8, 8, 8, 10]),
        reflect=12.0,
        reflection=lengths(17.27, [12, 13, 14, 14, 14, 14, 14, 15, 16, 33, 34]),
        again=16.0,
        retry=lengths(7.74, [5, 6, 8, 8, 8, 8, 8, 8, 8, 8, 15]),
        shared=3,
    ),
    Behaviour(Rates(0.25, 4.0, 2854), 0.2135, Rates(0.23, 2.0, 1504)),
    23.6,
    Rates(0.4232, 11.3),
    {
        "mine": {"prompt": 42_810, "cached": 17_404, "written": 22_140},
        "train": {"prompt": 535_372, "cached": 455_328, "written": 154_004, "trained": 128_522, "scored": 128_522},
        "eval": {"prompt": 724_283, "cached": 473_432, "written": 176_504},
    },
)
APIGEN = Known(
    MineSettings(rows=1536, tries=4, temperature=1.0, max_tokens=112),
    TrainSettings(
        steps=20,
        batch_size=256,
        micro_batch_size=64,
        kl=0.3,
        max_reflection_tokens=112,
        max_retry_tokens=96,
        save_every=4,
    ),
    EvalSettings(rows=2000, max_tokens=112),
    1536,
    Texts(
        prompt=lengths(70.04, [23, 41, 49, 56, 61, 67, 75, 82, 91, 102, 147]),
        attempt=lengths(23.22, [5, 11, 14, 17, 18, 19, 22, 26, 33, 40, 70]),
        reflect=12.0,
        reflection=lengths(16.33, [6, 13, 14, 14, 14, 14, 14, 14, 16, 24, 77]),
        again=30.1,
        retry=lengths(25.63, [10, 14, 17, 18, 18, 22, 26, 31, 36, 43, 89]),
        shared=1,
    ),
    Behaviour(Rates(0.28, 0.707, 2533), 0.334, Rates(0.13, 2.0, 1300)),
    25.9,
    Rates(0.3797, 1.414),
    {
        "mine": {"prompt": 162_785, "cached": 60_935, "written": 52_853},
        "train": {"prompt": 1_354_409, "cached": 1_177_535, "written": 263_777, "trained": 126_182, "scored": 126_152},
        "eval": {"prompt": 1_912_755, "cached": 1_328_675, "written": 416_591},
    },
)
RUNS = pytest.mark.parametrize("known", [COUNTDOWN, APIGEN], ids=["countdown", "apigen"])


def assert_near(work: Work, profile: Mapping[str, int]) -> None:
    found = {kind: round(getattr(work, kind) / count, 2) for kind, count in profile.items()}
    assert all(0.75 <= ratio <= 1.25 for ratio in found.values()), found


@RUNS
def test_mining_is_within_a_quarter(known: Known) -> None:
    stage, _ = mining(known.mine, known.before, known.behaviour, known.rows, ENGINE)
    assert_near(stage.work, known.profiles["mine"])


@RUNS
def test_the_untrained_models_evaluation_is_within_a_quarter(known: Known) -> None:
    stage = evaluation(known.eval, known.before, known.behaviour, 2000, ENGINE, no_deciders)
    assert_near(stage.work, known.profiles["eval"])


@RUNS
def test_training_is_within_a_quarter_with_the_lengths_that_its_steps_had(known: Known) -> None:
    own = known.before.reflection
    texts = Texts(
        **{name: getattr(known.before, name) for name in ("prompt", "attempt", "reflect", "again", "retry", "shared")},
        reflection=own.scaled(known.reflection_tokens / own.mean, 1e9),
    )
    behaviour = Behaviour(known.behaviour.sampled, known.behaviour.greedy, known.in_training)
    stage = training(Step(known.train, {}, 1), texts, behaviour, ENGINE)
    assert_near(stage.work, known.profiles["train"])


@RUNS
def test_no_divergence_scores_nothing_and_a_second_iteration_samples_half(known: Known) -> None:
    def trained(settings: TrainSettings, **fields: object) -> Work:
        return training(Step(settings, fields, 1), known.before, known.behaviour, ENGINE).work

    plain = trained(known.train)
    without = trained(TrainSettings(**{**vars(known.train), "kl": 0.0}))
    assert plain.scored == plain.trained
    assert without.scored == 0
    assert trained(known.train, num_iterations=2).written == pytest.approx(plain.written / 2)


def test_padded_passes_compute_each_prompt_for_each_reflection() -> None:
    shared, padded = (
        training(Step(APIGEN.train, {}, 1, shares_prompts=each), APIGEN.before, APIGEN.behaviour, ENGINE).work
        for each in (True, False)
    )
    assert padded.trained > 3 * shared.trained


def test_speeds_of_profiles_give_the_seconds_that_they_took() -> None:
    machine = Machine(1_138_816, 1_138_816, "cpu")
    spent = Spent(
        1,
        70.4,
        {"generate": 28.3, "judge": 0.1, "forward_backward": 38.6},
        {"prompt": 535_372, "cached": 455_328, "written": 154_004, "trained": 128_522, "scored": 128_522},
        5120,
        machine,
    )
    speeds = speeds_of({"train": spent}, machine.parameters, "a run")
    assert speeds is not None
    work = Work(prompt=535_372, cached=455_328, written=154_004, trained=128_522, scored=128_522, verdicts=5120)
    assert speeds.seconds(work) == pytest.approx(70.4, rel=0.01)
    of_twice_the_size = speeds_of({"train": spent}, 2 * machine.parameters, "a run")
    assert of_twice_the_size is not None
    assert of_twice_the_size.trained == pytest.approx(2 * speeds.trained)
