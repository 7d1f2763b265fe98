"""Records of segments as rrr 0.1 wrote them, so that both can be compared byte by byte."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rrr_core.episode import Episode, Failure


def mined_row_as_0_1(record: Mapping[str, Any]) -> dict[str, Any]:
    """A line of a shard of mined rows."""
    failures = [Failure.from_json(each, "a shard").to_short_json() for each in record["failures"]]
    return {**record, "failures": failures}


def episode_as_0_1(record: Mapping[str, Any]) -> dict[str, Any]:
    """A line of an evaluation's shard, or of a training run's episodes; of the latter 0.1 kept no requests."""
    episode = Episode.from_json(record, "a file of episodes")
    one = episode.rounds[0] if episode.rounds else None
    retry = None if one is None else one.retry
    verdict = None if one is None else one.verdict
    requests = [segment.messages[-1]["content"] for segment in episode.segments[2::2] if episode.step is None]
    requests += [None] * (2 - len(requests))
    return {
        "row_index": episode.row_index,
        "row": episode.row,
        "prompt": episode.prompt,
        "attempt": episode.attempt.text,
        "verdict": episode.verdict.to_json(),
        "reflection_prompt": requests[0],
        "reflection": None if one is None else one.reflection.text,
        "reflection_tokens": None if one is None else one.reflection.length,
        "retry_prompt": requests[1],
        "retry": None if retry is None else retry.text,
        "retry_verdict": None if verdict is None else verdict.to_json(),
        "controls": {name: [answer, judged.to_json()] for name, ((answer, judged),) in episode.controls.items()},
        "step": episode.step,
        "reward": episode.reward,
        "advantage": episode.advantage,
        "token_texts": None if one is None else one.reflection.token_texts,
    }
