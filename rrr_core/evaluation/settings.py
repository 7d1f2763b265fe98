"""How a model is evaluated."""

from __future__ import annotations

from dataclasses import dataclass

from rrr_core.config.option import option
from rrr_core.errors import RrrError, nearest
from rrr_core.evaluation.controls import ALWAYS_SAMPLED, CONTROL_KEYS, CONTROLS, control_named

GREEDY, SAMPLED = "greedy", "sampled"
MODES = (GREEDY, SAMPLED)


@dataclass(frozen=True)
class EvalSettings:
    """How a model is evaluated."""

    rows: int = option(2000, "Rows of the test split to evaluate, from its first on.", minimum=1)
    modes: tuple[str, ...] = option(MODES, "How texts are drawn: greedy (temperature 0), sampled.", choices=MODES)
    temperature: float = option(
        1.0,
        f"Temperature of the sampled mode, and in both modes of {', '.join(each.answer for each in ALWAYS_SAMPLED)}.",
        minimum=0.01,
    )
    top_p: float = option(1.0, "Share of the probability mass to sample from.", minimum=0, maximum=1)
    max_tokens: int = option(512, "Longest attempt, reflection or retry, in tokens.", minimum=1)
    controls: tuple[str, ...] = option(
        CONTROL_KEYS,
        f"Second tries to compare with: {'; '.join(control.answer for control in CONTROLS)}.",
        choices=CONTROL_KEYS,
    )
    shard_rows: int = option(256, "Rows a shard: what a killed run may have to redo.", minimum=1)
    seed: int = option(0, "Seed of the sampling.")
    max_abstain: float = option(
        0.01, "Share of verdicts that the verifier may withhold before evaluation stops.", minimum=0, maximum=1
    )


def check_settings(settings: EvalSettings) -> None:
    """Raise RrrError where a caller that is not the command line asks for what cannot be."""
    for mode in settings.modes:
        if mode not in MODES:
            raise RrrError(f"There is no evaluation mode {mode!r}: use {', '.join(MODES)}.{nearest(mode, MODES)}")
    for key in settings.controls:
        control_named(key)
    for name, given in (("mode", settings.modes), ("control", settings.controls)):
        if len(set(given)) < len(given):
            raise RrrError(f"An evaluation {name} is given twice in {', '.join(given)}: give each once.")
    if not settings.modes:
        raise RrrError(f"An evaluation needs a mode: use {', '.join(MODES)}.")
    if settings.temperature <= 0:
        raise RrrError(
            f"temperature = {settings.temperature}: sampling needs one above 0; for 0 use the mode {GREEDY}."
        )
    if settings.rows < 1 or settings.shard_rows < 1:
        raise RrrError(f"rows = {settings.rows} and shard_rows = {settings.shard_rows}: both must be at least 1.")
