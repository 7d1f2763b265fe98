"""Settings of the benchmarks that forgetting is measured on."""

from __future__ import annotations

from dataclasses import dataclass

from rrr_core.config.option import option
from rrr_core.config.settings import Settings
from rrr_core.errors import RrrError
from rrr_core.evaluation.forgetting.benchmarks import BENCHMARKS

KEYS = tuple(BENCHMARKS)


@dataclass(frozen=True)
class ForgettingSettings(Settings):
    """Which benchmarks, how many of their items, and how they are run."""

    benchmarks: tuple[str, ...] = option(KEYS, "Benchmarks to run before and after training.", choices=KEYS)
    items: int = option(1000, "Most items of each benchmark, drawn by the seed; 0 takes all.", minimum=0)
    data: str | None = option(
        None,
        "Folder with the benchmarks' rows, in place of the hub: a folder named like each benchmark with its files,"
        " such as gsm8k/test.jsonl, or those of its repository on the hub.",
    )
    batch_size: int = option(8, "Items in a batch.", minimum=1)
    max_tokens: int | None = option(
        None, "Longest generated answer, in tokens; by default as the benchmark has it.", minimum=1
    )
    chat: bool = option(False, "Put items in the model's chat template, the examples before them as earlier turns.")
    seed: int = option(0, "Seed of the items, and of the examples before them.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.benchmarks:
            raise RrrError(f"Forgetting needs a benchmark: use {', '.join(KEYS)}.")
        if len(set(self.benchmarks)) < len(self.benchmarks):
            raise RrrError(f"A benchmark is given twice in {', '.join(self.benchmarks)}: give each once.")
