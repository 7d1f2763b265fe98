"""The work of a stage: counts of tokens, texts, decoding steps and passes, as pure sums."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from rrr_core.planning.lengths import Lengths


@dataclass(frozen=True, slots=True)
class Work:
    """What a stage computes. The first five kinds of tokens are those of `profile.json`."""

    prompt: float = 0.0
    """Tokens in prompts given to the engine."""
    cached: float = 0.0
    """Of these, those that the prefix cache holds."""
    written: float = 0.0
    trained: float = 0.0
    """Tokens through the network with a gradient."""
    scored: float = 0.0
    """Tokens through a network in training without one."""
    steps: float = 0.0
    """Decoding steps: of each batch, as many as its longest text has tokens."""
    batches: float = 0.0
    """Batches that are generated."""
    passes: float = 0.0
    """Forward passes in training, with a gradient or without."""
    updates: float = 0.0
    """Optimiser steps."""
    verdicts: float = 0.0
    saves: float = 0.0
    """Checkpoints written."""

    @property
    def prefilled(self) -> float:
        """Prompt tokens that are read."""
        return self.prompt - self.cached

    def __add__(self, other: Work) -> Work:
        return Work(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def __mul__(self, factor: float) -> Work:
        return Work(*(getattr(self, each.name) * factor for each in fields(self)))

    def divided(self, processes: int) -> Work:
        """What one of several processes does, each on its share of the rows; every process takes every update."""
        share = self * (1 / processes)
        kept = {"updates": self.updates, "saves": self.saves}
        return Work(**{each.name: kept.get(each.name, getattr(share, each.name)) for each in fields(self)})


@dataclass(frozen=True, slots=True)
class Engine:
    """What decides how an engine batches its texts."""

    batch_tokens: int
    """Rows of a batch times the longest that they may become."""

    def rows(self, given: float, limit: float) -> int:
        """Rows of a batch of prompts of this length."""
        return max(1, int(self.batch_tokens // (given + limit)))


@dataclass(frozen=True, slots=True)
class Asked:
    """Texts that are sampled together."""

    count: float
    given: float
    """Tokens of the prompt of each."""
    fresh: float
    """Tokens that are read for all of them together."""
    written: Lengths
    limit: float
    """The most tokens of each text."""
    longer: float = 0.0
    """By how many tokens the longest prompt is longer."""
    actions: float = 1.0
    observed: float = 0.0
    """Of answers that take several texts: how many, and the tokens read between them."""
    judged: bool = False

    def rows(self, engine: Engine) -> float:
        """Rows of a full batch of them."""
        return min(self.count, engine.rows(self.given, self.limit))

    def columns(self, engine: Engine) -> float:
        """Tokens of the longest row of a batch, at its end."""
        return self.given + self.longer + self.observed + self.written.longest_of(self.rows(engine))

    @property
    def kept(self) -> float:
        """Tokens whose keys and values a prefix cache has after them."""
        return self.count * (self.given + self.observed + self.written.mean)

    def work(self, engine: Engine) -> Work:
        """What sampling them takes."""
        if self.count <= 0:
            return Work()
        grown = (self.actions - 1) / 2 * (self.written.mean + self.observed)
        prompt = self.count * (self.actions * self.given + grown)
        fresh = self.fresh + self.count * self.observed
        rows = engine.rows(self.given, self.limit)
        full, left = divmod(self.count, rows)
        steps = full * self.written.longest_of(rows) + (self.written.longest_of(left) if left > 0 else 0.0)
        return Work(
            prompt=prompt,
            cached=max(prompt - fresh, 0.0),
            written=self.count * self.written.mean,
            steps=steps,
            batches=(full + (left > 0)) * self.actions,
            verdicts=self.count if self.judged else 0.0,
        )


def work_of(asked: Iterable[Asked], engine: Engine) -> Work:
    """What all of them take together."""
    return sum((each.work(engine) for each in asked), Work())
