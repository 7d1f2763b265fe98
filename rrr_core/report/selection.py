"""Selects the episodes on the page: a bounded, fair sample of each set, with the same rows in every set if possible."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from typing import Any

from rrr_core.episode import Episode, Segment
from rrr_core.episode.calls import calls_to_text
from rrr_core.verdicts import Verdict

LONGEST_TEXT = 20_000
"""Most characters to embed of one text; a note says how many were cut."""
ASSURED = 25
"""Episodes of each kind of transition that come first, however rare the kind."""

FIELDS = (
    "set",
    "row_index",
    "step",
    "first",
    "second",
    "row",
    "segments",
    "controls",
    "reward",
    "advantage",
    "unneeded",
    "decisions",
)
"""The fields of a packed episode. A text is its index in `Texts`; a verdict is `[outcome, category, detail]`."""

SEGMENT_FIELDS = ("role", "messages", "text", "verdict", "length", "tokens", "thought", "advantage", "judged", "calls")
"""The fields of a packed segment, but for absent ones at its end. `tokens` are texts, given only for a trained segment,
`advantage` if it has its own, `judged` for the last action of a course, and `calls` for an action that calls tools."""


def transition(episode: Episode) -> str:
    """An episode's transition: `right`, `abstained`, `wrong→right`, `wrong→wrong`, `wrong→abstained`, `not retried`."""
    if episode.verdict.is_passed:
        return "right"
    if episode.verdict.is_abstained:
        return "abstained"
    second = episode.second_verdict
    if second is None:
        return "not retried"
    return {"passed": "wrong→right", "failed": "wrong→wrong", "abstained": "wrong→abstained"}[second.outcome]


class FairSample:
    """Keeps at most `limit` episodes of each kind of transition from a stream of any length.

    It keeps those whose row (and step) hashes lowest: a choice that ignores outcomes, needs a single pass, and picks
    the same rows for every model.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.totals: Counter[str] = Counter()
        self._kept: dict[str, list[tuple[int, int, Episode]]] = {}

    def add(self, episode: Episode) -> None:
        kind = transition(episode)
        heap = self._kept.setdefault(kind, [])
        entry = (-rank(episode.row_index, episode.step), -self.totals[kind], episode)
        self.totals[kind] += 1
        if len(heap) < self.limit:
            heapq.heappush(heap, entry)
        else:
            heapq.heappushpop(heap, entry)

    def rows(self) -> list[int]:
        """The rows of the kept episodes."""
        return [entry[2].row_index for heap in self._kept.values() for entry in heap]

    def in_order(self, wanted: Iterable[int] = ()) -> list[Episode]:
        """The kept episodes in an order that can be cut anywhere: those of the `wanted` rows, some of each kind, the
        rest by hash.
        """
        assured: list[list[tuple[int, int, Episode]]] = []
        rest: list[tuple[int, int, Episode]] = []
        for _, heap in sorted(self._kept.items()):
            ranked = sorted(heap, key=lambda entry: (-entry[0], -entry[1]))
            assured.append(ranked[:ASSURED])
            rest += ranked[ASSURED:]
        first = [ranked[place] for place in range(ASSURED) for ranked in assured if place < len(ranked)]
        rest.sort(key=lambda entry: (-entry[0], -entry[1]))
        ordered = [entry[2] for entry in (*first, *rest)]
        places = {row: place for place, row in enumerate(wanted)}
        ordered.sort(key=lambda episode: places.get(episode.row_index, len(places)))
        return ordered[: self.limit]


def rank(row_index: int, step: int | None = None) -> int:
    """A number that orders rows by chance, the same on every machine and for every model."""
    return int.from_bytes(blake2b(f"{step}/{row_index}".encode(), digest_size=7).digest(), "big")


class Texts:
    """The page's texts without duplicates; episodes refer to them by index."""

    def __init__(self, shared: Callable[[str], str] = lambda text: text) -> None:
        """`shared` gives what of a text is fit to be shared."""
        self.values: list[str] = []
        self.size = 0
        """Approximate bytes of the texts on the page."""
        self._places: dict[str, int] = {}
        self._shared = shared

    def add(self, text: str) -> int:
        text = self._shared(text)
        if len(text) > LONGEST_TEXT:
            text = f"{text[:LONGEST_TEXT]} … [{len(text) - LONGEST_TEXT:,} more characters are not on this page]"
        place = self._places.get(text)
        if place is None:
            place = self._places[text] = len(self.values)
            self.values.append(text)
            self.size += len(text.encode("utf-8", "surrogatepass")) + 3
        return place


def pack(episodes: Iterable[Episode], set_index: int, texts: Texts, budget: int) -> list[list[Any]]:
    """As many `episodes` as fit into about `budget` bytes, at least the first, each in the order of `FIELDS`."""
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
    return [
        set_index,
        episode.row_index,
        episode.step,
        _verdict(episode.verdict, texts),
        _verdict(episode.second_verdict, texts),
        texts.add(json.dumps(episode.row, ensure_ascii=False)),
        [_segment(segment, texts) for segment in episode.segments],
        [
            [texts.add(name), texts.add(answer), _verdict(judged, texts), *([number] if number > 1 else [])]
            for name, tries in episode.controls.items()
            for number, (answer, judged) in enumerate(tries, 1)
        ],
        _rounded(episode.reward),
        _rounded(episode.advantage),
        *_decided(episode, texts),
    ]


def _decided(episode: Episode, texts: Texts) -> list[Any]:
    """The second try of a right answer and the decisions, where deciders were asked."""
    if not episode.decisions:
        return []
    decisions = [
        [texts.add(name), each.choice, texts.add(each.category), texts.add(each.detail)]
        for name, each in episode.decisions.items()
    ]
    return [[_segment(segment, texts) for segment in episode.unneeded], decisions]


def _segment(segment: Segment, texts: Texts) -> list[Any]:
    messages = [[texts.add(message["role"]), texts.add(message["content"])] for message in segment.messages]
    if segment.is_read:
        return [segment.role, messages]
    tokens = None
    if segment.is_trained and segment.token_texts is not None:
        tokens = [texts.add(token) for token in _cut(segment.token_texts)]
    written = [texts.add(segment.text), _verdict(segment.verdict, texts), segment.length, tokens]
    further = [
        texts.add(segment.thought) if segment.thought else None,
        _rounded(segment.advantage),
        None if segment.judged is None else texts.add(segment.judged),
        texts.add("\n".join(calls_to_text([call]) for call in segment.calls)) if segment.calls else None,
    ]
    while further and further[-1] is None:
        further.pop()
    return [segment.role, messages, *written, *further]


def _verdict(verdict: Verdict | None, texts: Texts) -> list[Any] | None:
    return None if verdict is None else [verdict.outcome, texts.add(verdict.category), texts.add(verdict.detail)]


def _cut(tokens: Iterable[str]) -> Iterator[str]:
    length = 0
    for token in tokens:
        yield token
        length += len(token)
        if length > LONGEST_TEXT:
            return


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
