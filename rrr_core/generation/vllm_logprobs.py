"""The log-probabilities that an engine's texts were drawn with, kept until its next weight sync."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rrr_core.errors import ModelError


class DrawnLogprobs:
    """Log-probabilities as drawn (see `TokenEngine.logprobs_of`), one per id of a text, by prompt and text."""

    def __init__(self, are_kept: bool) -> None:
        self.are_kept = are_kept
        self._of: dict[tuple[tuple[int, ...], tuple[int, ...]], list[float]] = {}

    def keep(self, prompt: Sequence[int], written: Sequence[int], logprobs: Sequence[float | None]) -> None:
        """Keep a text's, if any are kept. Raises ModelError unless they are finite, and one per id."""
        if not self.are_kept:
            return
        if len(logprobs) != len(written):
            raise ModelError(f"vLLM returned {len(logprobs)} log-probabilities for {len(written)} sampled ids.")
        finite = [logprob for logprob in logprobs if logprob is not None and math.isfinite(logprob)]
        if len(finite) < len(written):
            raise ModelError(
                "The model's output is not finite: its weights have diverged or overflow; try --dtype float32."
            )
        self._of[tuple(prompt), tuple(written)] = finite

    def of(self, prompt: Sequence[int], written: Sequence[int]) -> list[float]:
        """Those of a text written since the last weight sync. Raises KeyError for any other."""
        return self._of[tuple(prompt), tuple(written)]

    def forget(self) -> None:
        self._of.clear()
