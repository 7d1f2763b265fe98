"""What can be set about mining."""

from __future__ import annotations

from dataclasses import dataclass

from rrr_core.config.option import option


@dataclass(frozen=True)
class MineSettings:
    """How failures are mined."""

    rows: int = option(2000, "Rows of the train split to try.", minimum=1)
    tries: int = option(64, "Tries a row at most.", minimum=1)
    failures_per_row: int = option(1, "Different failing attempts after which a row is done.", minimum=1)
    failures_wanted: int = option(
        0, "Failures after which mining stops: rows not tried yet then come before further tries; 0: all.", minimum=0
    )
    temperature: float = option(0.9, "Sampling temperature of the tries; 0 is greedy.", minimum=0)
    top_p: float = option(1.0, "Share of the probability mass to sample from.", minimum=0, maximum=1)
    max_tokens: int = option(512, "Longest attempt, in tokens.", minimum=1)
    shard_rows: int = option(256, "Rows a shard: what a killed run may have to redo.", minimum=1)
    seed: int = option(0, "Seed of the sampling.")
    max_abstain: float = option(
        0.01, "Share of verdicts that the verifier may withhold before mining stops.", minimum=0, maximum=1
    )
