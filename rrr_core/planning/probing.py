"""Runs the probe: each task is played with the engine, then a training pass is timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from rrr_core.errors import ModelError
from rrr_core.generation.engine import Engine
from rrr_core.planning.lengths import Limits
from rrr_core.planning.phases import Phase, Phases
from rrr_core.planning.probe import Player, Probed, timed_speeds
from rrr_core.planning.reading import ReadRun
from rrr_core.planning.speeds import Speeds
from rrr_core.progress import Progress

DISK_SPEED = 0.5e9
"""Bytes a second of a checkpoint, digests included. Assumed."""


@dataclass(frozen=True)
class Measured:
    """What the probe of a run found."""

    phases: list[Phases]
    speeds: Speeds
    rows: int
    notes: tuple[str, ...]


PLAYING = 0.7
"""Share of the probe's time for playing rows; the training pass has what is left, but at least all but this."""


def probe(
    read: ReadRun, engine: Engine, seconds: float, progress: Progress, clock: Callable[[], float] = time.perf_counter
) -> Measured:
    """Play some rows of each task and time a training pass, all limited so that it takes about `seconds`.

    The loading of the model is not counted: it takes as long as it takes.

    Raises what tasks and the engine raise.
    """
    limits, began = limits_of(read), clock()
    found: list[Probed] = []
    for each, prompts in zip(read.tasks, read.prompts, strict=True):
        share = PLAYING * seconds / len(read.tasks)
        progress.say(f"Probing {each.name}: about {share:.0f} s")
        found.append(Player(each, engine, read.settings, prompts, limits, share, clock).play())
    del engine
    left = max(seconds - (clock() - began), (1 - PLAYING) * seconds)
    progress.say(f"Timing a training pass: about {left:.0f} s")
    timed, notes = _timed_pass(read, found[0], left, clock)
    weights = read.run.setup.trainable * read.run.setup.bytes_per_weight
    speeds = timed_speeds(
        [call for one in found for call in one.calls],
        sum(one.verdict_seconds for one in found) / len(found),
        timed,
        f"measured here ({read.device.name})",
        save=3 * weights / DISK_SPEED,
    )
    notes += [note for one in found for note in one.notes]
    return Measured(
        [Phases.alike(Phase(one.texts, one.behaviour), is_assumed=one.is_cut) for one in found],
        speeds,
        sum(one.rows for one in found),
        tuple(notes),
    )


def limits_of(read: ReadRun) -> Limits:
    """The most tokens of each text in any stage."""
    settings = read.settings
    return Limits(
        max(settings.mine.max_tokens, settings.eval.max_tokens),
        max(settings.train.max_reflection_tokens, settings.eval.max_tokens),
        max(settings.train.max_retry_tokens, settings.eval.max_tokens),
    )


def _timed_pass(
    read: ReadRun, found: Probed, seconds: float, clock: Callable[[], float]
) -> tuple[dict[str, float], list[str]]:
    """The seconds of training's arithmetic and of a stage's start, by their names in `Speeds`, and notes on them."""
    import torch

    from rrr_core.generation.transformers_backend import load_from
    from rrr_core.training.preflight import training_dtype
    from rrr_core.training.rounding import lost_steps
    from rrr_core.training.timed_pass import time_passes
    from rrr_core.training.upstream import prepare

    prepare()
    settings, setup, texts = read.settings, read.run.setup, found.texts
    began = clock()
    policy = load_from(settings.model, training_dtype(settings.model))
    start = clock() - began
    lost = lost_steps(policy.network, settings.train)  # before a pass changes the weights
    try:
        timed = time_passes(
            policy.network,
            settings.train,
            round(texts.reflected_on),
            max(1, round(texts.reflection.mean)),
            autocast=setup.autocast,
            checkpointed=setup.checkpointed,
            clock=clock,
            seconds=seconds,
        )
    except torch.OutOfMemoryError:
        asked = settings.train.micro_batch_size
        raise ModelError(
            f"the probe's training pass of {asked} reflections does not fit this device: lower"
            " --train-micro-batch-size, or plan without a probe (--no-probe --accelerator NAME)."
        ) from None
    notes = [] if lost is None else [lost]
    if timed.tokens < timed.asked:
        notes.append(
            f"a training pass of {timed.tokens} tokens was timed in place of {timed.asked}, to save time: give it more"
            " with --probe-seconds"
        )
    names = ("trained", "scored", "passing", "update")
    return {**{name: getattr(timed, name) for name in names}, "start": start}, notes
