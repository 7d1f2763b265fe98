"""The overlay `noisy`: flips verdicts with a given probability, to measure how much noise the method tolerates.

A flip is a pure function of seed, row and answer: the same pair gets the same verdict every time, in every process and
in a resumed run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rrr_core.hookspecs import Manifest, Row, hookimpl, trusted
from rrr_core.overlays import option, read_options
from rrr_core.verdicts import Verdict, failed

CATEGORY = "noise"
"""The error class of a passed verdict that was flipped."""
FLIPPED = "noisy: flipped from "
"""How the detail of every flipped verdict begins."""


@dataclass(frozen=True)
class NoisyOptions:
    """How often verdicts are flipped."""

    probability: float = option(0.1, "Probability with which a verdict is flipped.", minimum=0, maximum=1)
    false_pass: float | None = option(
        None, "Probability with which a failed verdict becomes passed; by default `probability`.", minimum=0, maximum=1
    )
    false_fail: float | None = option(
        None, "Probability with which a passed verdict becomes failed; by default `probability`.", minimum=0, maximum=1
    )
    seed: int = option(0, "Another seed flips other verdicts.")


@hookimpl
def rrr_configure(options: Mapping[str, str]) -> list[Callable[..., Any]]:
    """Wrappers around the verifier, every judge, the rewards, and the manifest."""
    chosen = read_options("noisy", NoisyOptions, options)

    @hookimpl(wrapper=True)
    @trusted
    def rrr_verify(row: Row, answer: str) -> Generator[None, Verdict, Verdict]:
        verdict = yield
        return with_noise(verdict, row, answer, chosen)

    @hookimpl(wrapper=True)
    def rrr_judge(
        pairs: Sequence[tuple[Row, str]],
    ) -> Generator[None, Sequence[Verdict | None] | None, Sequence[Verdict | None] | None]:
        verdicts = yield
        if not isinstance(verdicts, Sequence) or len(verdicts) != len(pairs):
            return verdicts  # The core reports what is wrong, and with which plugin.
        # A pair that a judge leaves open is flipped wherever it is finally judged.
        return [
            verdict and with_noise(verdict, row, answer, chosen)
            for (row, answer), verdict in zip(pairs, verdicts, strict=True)
        ]

    @hookimpl(wrapper=True)
    @trusted
    def rrr_reward(verdict: Verdict) -> Generator[None, object, object]:
        reward = yield
        # A number for what the answer really is would give the flip away: the flipped verdict's own 1 or 0 counts.
        return None if verdict.detail.startswith(FLIPPED) else reward

    @hookimpl(wrapper=True)
    def rrr_manifest() -> Generator[None, Manifest | None, Manifest | None]:
        manifest = yield
        return manifest and replace(manifest, categories=(*manifest.categories, CATEGORY))

    return [rrr_verify, rrr_judge, rrr_reward, rrr_manifest]


def with_noise(verdict: Verdict, row: Row, answer: str, options: NoisyOptions) -> Verdict:
    """The verdict, possibly flipped. An abstention is never flipped: a fault stays a fault.

    A pair flips if its draw is below the probability: the flips at a low probability are among those at a higher one.
    """
    if not isinstance(verdict, Verdict) or verdict.is_abstained:
        return verdict
    own = options.false_fail if verdict.is_passed else options.false_pass
    probability = options.probability if own is None else own
    if draw(options.seed, row, answer) >= probability:
        return verdict
    if verdict.is_passed:
        return failed(CATEGORY, f"{FLIPPED}passed")
    return Verdict("passed", detail=f"{FLIPPED}failed ({verdict.category})")


def draw(seed: int, row: Row, answer: str) -> float:
    """A number in [0, 1) that depends only on seed, row and answer, as uniform as SHA-256.

    >>> draw(0, {"a": 1, "b": 2}, "3") == draw(0, {"b": 2, "a": 1}, "3") != draw(1, {"a": 1, "b": 2}, "3")
    True
    """
    text = json.dumps([seed, row, answer], sort_keys=True)
    import hashlib

    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48
