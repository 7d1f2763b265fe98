"""Episodes and failures made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rrr_core.episode import Episode, Failure, Segment, failure_of
from rrr_core.verdicts import Verdict, failed

REFLECT = Segment("prompt", ({"role": "user", "content": "Reflect."},))
AGAIN = Segment("prompt", ({"role": "user", "content": "Again."},))


def make_failure(
    index: int = 0,
    attempt: str = "",
    verdict: Verdict | None = None,
    *,
    row: Mapping[str, Any] | None = None,
    prompt: Sequence[Mapping[str, str]] = ({"role": "user", "content": "Go."},),
    try_index: int = 0,
) -> Failure:
    answer = Segment("attempt", text=attempt, verdict=verdict or failed("wrong"))
    return failure_of(f"{index}-{try_index}", index, row or {}, prompt, answer, try_index)


def make_episode(
    first: Verdict,
    second: Verdict | None = None,
    *,
    index: int = 0,
    row: Mapping[str, Any] | None = None,
    prompt: Sequence[Mapping[str, str]] = (),
    attempt: str = "",
    reflection: str = "because",
    tokens: int | None = None,
    token_texts: tuple[str, ...] | None = None,
    retry: str | None = "",
    asked: Sequence[Segment] = (REFLECT, AGAIN),
    **more: Any,
) -> Episode:
    """An episode of one round where there is a second verdict; without a retry that verdict is the reflection's."""
    segments = [
        Segment("prompt", tuple(map(dict, prompt))),  # type: ignore[arg-type]
        Segment("attempt", text=attempt, verdict=first),
    ]
    if second is not None:
        segments += [
            asked[0],
            Segment(
                "reflection",
                text=reflection,
                length=tokens,
                verdict=second if retry is None else None,
                is_trained=token_texts is not None,
                token_texts=token_texts,
            ),
        ]
        if retry is not None:
            segments += [asked[1], Segment("retry", text=retry, verdict=second)]
    return Episode(index, row or {}, tuple(segments), **more)
