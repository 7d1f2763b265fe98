"""Settings of mining."""

from __future__ import annotations

from dataclasses import dataclass

from rrr_core.config.limits import STEPS, STEPS_HELP, THINKING_TOKENS, TOKENS
from rrr_core.config.option import option
from rrr_core.config.settings import Settings


@dataclass(frozen=True)
class MineSettings(Settings):
    """Settings of mining."""

    rows: int = option(2000, "Rows of the train split to try.", minimum=1)
    tries: int = option(64, "Most tries per row.", minimum=1)
    failures_per_row: int = option(1, "Distinct failing attempts to collect per row.", minimum=1)
    failures_wanted: int = option(
        0,
        "Stop after this many failing attempts, trying new rows before trying rows again; 0 mines all rows.",
        minimum=0,
    )
    rounds: int = option(
        1,
        "With N, each failing attempt gets up to N - 1 rounds of reflection and retry, and each failed retry is one"
        " more failure to train on.",
        minimum=1,
    )
    temperature: float = option(0.9, "Sampling temperature of the tries; 0 is greedy.", minimum=0)
    top_p: float = option(
        1.0, "Nucleus sampling: share of the probability mass to sample from.", minimum=0.001, maximum=1
    )
    top_k: int = option(0, "Number of likeliest tokens to sample from; 0 takes all.", minimum=0)
    min_p: float = option(
        0.0, "Least probability of a token, as a share of the likeliest one's; 0 takes all.", minimum=0, maximum=1
    )
    repetition_penalty: float = option(
        1.0, "Makes tokens of the prompt and of the text so far less likely; 1 is none.", minimum=0.01
    )
    max_tokens: int = option(
        TOKENS,
        "Longest attempt, reflection or retry with its thought, in tokens;"
        f" {THINKING_TOKENS} by default for a model that thinks.",
        minimum=1,
    )
    max_steps: int = option(STEPS, STEPS_HELP, minimum=1)
    shard_rows: int = option(256, "Rows per shard, the most a killed run has to redo.", minimum=1)
    seed: int = option(0, "Seed of the sampling.")
    max_no_answer: float = option(
        0.02,
        "Largest share of tries without an answer, such as those that a server filtered, before mining stops.",
        minimum=0,
        maximum=1,
    )
    max_abstain: float = option(0.01, "Largest share of withheld verdicts before mining stops.", minimum=0, maximum=1)
