"""Settings of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from rrr_core.config.limits import STEPS, STEPS_HELP, THINKING_TOKENS, TOKENS
from rrr_core.config.option import option
from rrr_core.config.settings import Settings
from rrr_core.errors import RrrError
from rrr_core.evaluation.controls import ALWAYS_SAMPLED, CONTROL_KEYS, CONTROLS
from rrr_core.evaluation.deciding import HELP, check_specs
from rrr_core.evaluation.known_noise import KnownNoise

GREEDY, SAMPLED = "greedy", "sampled"
MODES = (GREEDY, SAMPLED)


@dataclass(frozen=True)
class EvalSettings(Settings):
    """Settings of an evaluation."""

    rows: int = option(2000, "Rows to evaluate, from the start of the test split.", minimum=1)
    modes: tuple[str, ...] = option(
        MODES, "Decoding modes to evaluate: greedy (temperature 0), sampled.", choices=MODES
    )
    rounds: int = option(
        1,
        "Most rounds of reflection and retry after a failed first try; each control gets as many tries.",
        minimum=1,
    )
    temperature: float = option(
        1.0,
        f"Temperature of sampled mode, and of {', '.join(each.answer for each in ALWAYS_SAMPLED)} in both modes.",
        minimum=0.01,
    )
    top_p: float = option(
        1.0, "Nucleus sampling: share of the probability mass to sample from.", minimum=0.001, maximum=1
    )
    top_k: int = option(0, "Number of likeliest tokens to sample from; 0 takes all.", minimum=0)
    min_p: float = option(
        0.0, "Least probability of a token, as a share of the likeliest one's; 0 takes all.", minimum=0, maximum=1
    )
    repetition_penalty: float = option(
        1.0, "Makes tokens of the prompt and of the text so far less likely, in both modes; 1 is none.", minimum=0.01
    )
    max_tokens: int = option(
        TOKENS,
        "Longest attempt, reflection or retry with its thought, in tokens;"
        f" {THINKING_TOKENS} by default for a model that thinks.",
        minimum=1,
    )
    max_steps: int = option(STEPS, STEPS_HELP, minimum=1)
    controls: tuple[str, ...] = option(
        CONTROL_KEYS,
        f"Second tries to compare with: {'; '.join(control.answer for control in CONTROLS)}.",
        choices=CONTROL_KEYS,
    )
    decide: tuple[str, ...] = option((), HELP)
    known_false_pass: float = option(
        0.0, "Known probability that the verifier passes a wrong answer: adds corrected figures.", minimum=0, maximum=1
    )
    known_false_fail: float = option(
        0.0, "Known probability that it fails a right answer: adds corrected figures.", minimum=0, maximum=1
    )
    shard_rows: int = option(256, "Rows per shard, the most a killed run has to redo.", minimum=1)
    seed: int = option(0, "Seed of the sampling.")
    max_no_answer: float = option(
        0.02,
        "Largest share of texts without an answer, such as those that a server filtered, before evaluation stops.",
        minimum=0,
        maximum=1,
    )
    max_abstain: float = option(
        0.01, "Largest share of withheld verdicts before evaluation stops.", minimum=0, maximum=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, given in (("mode", self.modes), ("control", self.controls)):
            if len(set(given)) < len(given):
                raise RrrError(f"An evaluation {name} is given twice in {', '.join(given)}: give each once.")
        if not self.modes:
            raise RrrError(f"An evaluation needs a mode: use {', '.join(MODES)}.")
        check_specs(self.decide)
        KnownNoise(self.known_false_pass, self.known_false_fail)

    @property
    def known_noise(self) -> KnownNoise:
        """The rates to correct figures for; false if there are none."""
        return KnownNoise(self.known_false_pass, self.known_false_fail)
