"""Which episodes the page shows: a bounded, fair sample of each set, the same rows in every set where it can be."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any

from rrr_core.episode import Episode
from rrr_core.verdicts import Verdict

LONGEST_TEXT = 20_000
"""Characters of one text that are embedded; what is cut is said in its place."""
ASSURED = 25
"""Episodes of every kind of transition that come first, however rare the kind is."""

FIELDS = (
    "set",
    "row_index",
    "step",
    "first",
    "second",
    "row",
    "prompt",
    "attempt",
    "reflection_prompt",
    "reflection",
    "reflection_tokens",
    "retry_prompt",
    "retry",
    "controls",
    "reward",
    "advantage",
    "tokens",
)
"""The places of a packed episode. A text is its index in `Texts`; a verdict is `[outcome, category, detail]`."""


def transition(episode: Episode) -> str:
    """How an episode went: `right`, `abstained`, `wrong→right`, `wrong→wrong`, `wrong→abstained` or `not retried`."""
    if episode.verdict.is_passed:
        return "right"
    if episode.verdict.is_abstained:
        return "abstained"
    if episode.retry_verdict is None:
        return "not retried"
    return {"passed": "wrong→right", "failed": "wrong→wrong", "abstained": "wrong→abstained"}[
        episode.retry_verdict.outcome
    ]


class FairSample:
    """Keeps at most `limit` episodes of each kind of transition out of any number that stream by.

    Those are kept whose row (and step) hashes lowest: a choice that looks at no outcome, needs no second reading, and
    picks the same rows for every model.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.totals: Counter[str] = Counter()
        self._kept: dict[str, list[tuple[int, int, Episode]]] = {}

    def add(self, episode: Episode) -> None:
        kind = transition(episode)
        heap = self._kept.setdefault(kind, [])
        entry = (-_rank(episode), -self.totals[kind], episode)
        self.totals[kind] += 1
        if len(heap) < self.limit:
            heapq.heappush(heap, entry)
        else:
            heapq.heappushpop(heap, entry)

    def in_order(self) -> list[Episode]:
        """The kept episodes, to be cut anywhere: some of every kind first, then all kinds as often as they are."""
        assured: list[list[tuple[int, int, Episode]]] = []
        rest: list[tuple[int, int, Episode]] = []
        for _, heap in sorted(self._kept.items()):
            ranked = sorted(heap, key=lambda entry: (-entry[0], -entry[1]))
            assured.append(ranked[:ASSURED])
            rest += ranked[ASSURED:]
        first = [ranked[place] for place in range(ASSURED) for ranked in assured if place < len(ranked)]
        rest.sort(key=lambda entry: (-entry[0], -entry[1]))
        return [entry[2] for entry in (*first, *rest)][: self.limit]


def _rank(episode: Episode) -> int:
    return int.from_bytes(blake2b(f"{episode.step}/{episode.row_index}".encode(), digest_size=7).digest(), "big")


class Texts:
    """Every text of the page once; an episode names it by its index."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self.size = 0
        """About the bytes that the texts take on the page."""
        self._places: dict[str, int] = {}

    def add(self, text: str) -> int:
        if len(text) > LONGEST_TEXT:
            text = f"{text[:LONGEST_TEXT]} … [{len(text) - LONGEST_TEXT:,} more characters are not on this page]"
        place = self._places.get(text)
        if place is None:
            place = self._places[text] = len(self.values)
            self.values.append(text)
            self.size += len(text.encode("utf-8", "surrogatepass")) + 3
        return place


def pack(episodes: Iterable[Episode], set_index: int, texts: Texts, budget: int) -> list[list[Any]]:
    """As many `episodes` as fit into about `budget` bytes, in the places of `FIELDS`; at least the first."""
    packed: list[list[Any]] = []
    start, spent = texts.size, 0
    for episode in episodes:
        if packed and texts.size - start + spent > budget:
            break
        places = _places(episode, set_index, texts)
        spent += len(json.dumps(places, separators=(",", ":")))
        packed.append(places)
    return packed


def _places(episode: Episode, set_index: int, texts: Texts) -> list[Any]:
    def text(value: str | None) -> int | None:
        return None if value is None else texts.add(value)

    def verdict(value: Verdict | None) -> list[Any] | None:
        return None if value is None else [value.outcome, texts.add(value.category), texts.add(value.detail)]

    return [
        set_index,
        episode.row_index,
        episode.step,
        verdict(episode.verdict),
        verdict(episode.retry_verdict),
        texts.add(json.dumps(episode.row, ensure_ascii=False)),
        [[texts.add(str(message["role"])), texts.add(str(message["content"]))] for message in episode.prompt],
        texts.add(episode.attempt),
        text(episode.reflection_prompt),
        text(episode.reflection),
        episode.reflection_tokens,
        text(episode.retry_prompt),
        text(episode.retry),
        [[texts.add(name), texts.add(answer), verdict(judged)] for name, (answer, judged) in episode.controls.items()],
        _rounded(episode.reward),
        _rounded(episode.advantage),
        None if episode.token_texts is None else [texts.add(token) for token in _cut(episode.token_texts)],
    ]


def _cut(tokens: Iterable[str]) -> Iterator[str]:
    length = 0
    for token in tokens:
        yield token
        length += len(token)
        if length > LONGEST_TEXT:
            return


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
