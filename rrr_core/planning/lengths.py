"""How long the texts of a run are: those that it reads, from the task's rows, and those that a model writes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Lengths:
    """The lengths of one kind of text, in tokens: a sample of them, in ascending order."""

    sample: tuple[float, ...]

    @classmethod
    def of(cls, lengths: Iterable[float]) -> Lengths:
        """From lengths in any order; a single 0 if there are none."""
        return cls(tuple(sorted(lengths)) or (0.0,))

    @property
    def mean(self) -> float:
        return sum(self.sample) / len(self.sample)

    @property
    def longest(self) -> float:
        return self.sample[-1]

    def longest_of(self, count: float) -> float:
        """The mean length of the longest of so many texts.

        >>> Lengths.of([10, 20]).longest_of(1), Lengths.of([10, 20]).longest_of(2)
        (15.0, 17.5)
        """
        size = len(self.sample)
        chances = [float((place / size) ** max(count, 1.0)) for place in range(size + 1)]
        return sum(
            length * (above - below)
            for length, below, above in zip(self.sample, chances[:-1], chances[1:], strict=True)
        )

    def error(self) -> float:
        """The standard error of the mean, as a share of it; 0 for a single length, which is not a sample."""
        size, mean = len(self.sample), self.mean
        if size < 2 or not mean:
            return 0.0
        variance = sum((length - mean) ** 2 for length in self.sample) / (size - 1)
        return float((variance / size) ** 0.5 / mean)

    def scaled(self, factor: float, limit: float) -> Lengths:
        """All lengths times a factor, none above a limit.

        >>> Lengths((10.0, 40.0)).scaled(2, 60.0).sample
        (20.0, 60.0)
        """
        return Lengths(tuple(min(length * factor, limit) for length in self.sample))

    def at_most(self, limit: float) -> Lengths:
        """The lengths under a lower limit of tokens."""
        return self.scaled(1.0, limit)


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one task's episodes."""

    prompt: Lengths
    """The row's prompt, as the chat template renders it."""
    attempt: Lengths
    """A first answer, all of its actions together."""
    reflect: float
    """The request to reflect, with the marks of the turns around it."""
    reflection: Lengths
    again: float
    """The request to try again."""
    retry: Lengths
    shared: float = 0.0
    """Tokens that all prompts begin with, such as a system message."""
    actions: float = 1.0
    """Texts in an answer: more than one only for a task that acts in steps."""
    observed: float = 0.0
    """Tokens read within an answer, between its actions."""
    row_bytes: float = 200.0
    """Of a row, as JSON."""
    bytes_per_token: float = 4.0
    """Of what is read and written, as JSON."""
    extends: bool = True
    """Whether a conversation goes on from the sampled ids, so that what came before need not be read again."""
    shown: float = 1.0
    """Of the tokens of an answer, the share that later prompts show: less than all where its thought is dropped."""
    reflection_shown: float = 1.0
    """The same of a reflection."""

    @property
    def reflected_on(self) -> float:
        """The prompt of a reflection: row, failed answer and request."""
        return self.prompt.mean + self.attempt.mean * self.shown + self.observed + self.reflect

    @property
    def longest_reflected_on(self) -> float:
        return self.prompt.longest + self.attempt.longest * self.shown + self.observed + self.reflect

    def scaled(self, factor: float, limits: Limits) -> Texts:
        """What is written, times a factor, within the limits."""
        return replace(
            self,
            attempt=self.attempt.scaled(factor, limits.attempt * self.actions),
            reflection=self.reflection.scaled(factor, limits.reflection),
            retry=self.retry.scaled(factor, limits.retry * self.actions),
        )

    def within(self, limits: Limits) -> Texts:
        """The same texts under these limits."""
        return self.scaled(1.0, limits)


@dataclass(frozen=True, slots=True)
class Limits:
    """The most tokens of each text."""

    attempt: int
    reflection: int
    retry: int
