"""Answers as a rollout samples them, a text or a course of actions: each member keeps its place and its sampled ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from rrr_core.episode import Episode, Generation, Role, Segment


class Answers:
    """Samples what `play_answers` asks for, on episodes that end in a request.

    The first actions are drawn with `seed`, as an answer without steps is, and later ones with their step's number. A
    course that ends changes no other's texts.
    """

    def __init__(
        self,
        places: Sequence[int],
        seed: tuple[object, ...],
        contexts_of: Callable[[Sequence[Episode]], list[Sequence[int]]],
        sample: Callable[[Sequence[Sequence[int]], tuple[object, ...], Sequence[int]], list[Generation]],
        segments: Callable[[Role, Sequence[Sequence[int]], Sequence[Generation]], list[Segment]],
    ) -> None:
        """`contexts_of` gives the ids to sample on; `sample` draws on them with a seed, at the members' places;
        `segments` makes segments of what was drawn.
        """
        self.places, self.seed = places, seed
        self._contexts_of, self._sample, self._segments = contexts_of, sample, segments
        self._open: Sequence[int] = range(len(places))
        self._contexts: list[Sequence[int]] = []
        self._step = 0

    def at(self, places: Sequence[int]) -> None:
        """The next texts are those of the courses at these places among all of them."""
        self._open = places

    def draw(self, _stage: str, episodes: Sequence[Episode]) -> list[Generation]:
        """The next action of each open course."""
        self._step += 1
        seed = self.seed if self._step == 1 else (*self.seed, "step", self._step)
        self._contexts = self._contexts_of(episodes)
        return self._sample(self._contexts, seed, [self.places[place] for place in self._open])

    def write(self, role: Role, episodes: Sequence[Episode], made: Sequence[Generation]) -> list[Segment]:
        """What was drawn as segments, with ids where they continue the episode's."""
        return [
            # A text in a context of its own does not continue the episode's ids.
            written if episode.segments[-1].ids else replace(written, ids=(), logprobs=None)
            for episode, written in zip(episodes, self._segments(role, self._contexts, made), strict=True)
        ]
