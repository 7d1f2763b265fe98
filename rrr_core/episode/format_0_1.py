"""Records as rrr 0.1 wrote them, before segments: one reflection and one retry, as fields.

The short form of a failure, `{"failure_id", "row_index", "row", "prompt", "attempt", "verdict", "try_index"}`, is the
same, and the easiest to write by hand.
"""

from __future__ import annotations

from typing import Any

from rrr_core.records import COUNT, MESSAGES, OBJECT, TEXT, TEXTS, Kind, Record

_VERDICT_KEYS = {"outcome", "category", "detail"}
_FAILED = Kind(
    "a failed verdict with 'outcome', 'category' and 'detail'",
    lambda value: (
        isinstance(value, dict)
        and value.get("outcome") == "failed"
        and set(value) <= _VERDICT_KEYS
        and all(isinstance(each, str) for each in value.values())
    ),
)
FAILURE_KEYS = ("failure_id", "row_index", "row", "prompt", "attempt", "verdict", "try_index")
EPISODE_KEYS = (
    *("row_index", "row", "prompt", "attempt", "verdict", "reflection_prompt", "reflection", "reflection_tokens"),
    *("retry_prompt", "retry", "retry_verdict", "controls", "step", "reward", "advantage", "token_texts"),
)


def upgraded_failure(fields: Record) -> Record:
    """A short-form failure, turned into segments. Raises DataError naming the record's place."""
    kinds = (TEXT, COUNT, OBJECT, MESSAGES, TEXT, _FAILED, COUNT)
    values = {key: fields.get(key, kind) for key, kind in zip(FAILURE_KEYS, kinds, strict=True)}
    fields.has_only(FAILURE_KEYS)
    if not values["prompt"]:
        fields.refuse("prompt", MESSAGES.words)
    segments = [
        {"role": "prompt", "messages": values.pop("prompt")},
        {"role": "attempt", "text": values.pop("attempt"), "verdict": values.pop("verdict")},
    ]
    return Record({**values, "segments": segments}, fields.place, fields.what)


def upgraded_episode(fields: Record) -> Record:
    """An episode of one reflection and one retry, turned into segments. Raises DataError naming the record's place."""
    fields.has_only(EPISODE_KEYS)
    segments: list[dict[str, Any]] = [
        {"role": "prompt", "messages": fields.get("prompt", MESSAGES)},
        {"role": "attempt", "text": fields.get("attempt", TEXT), "verdict": fields.get("verdict", OBJECT)},
    ]
    reflection, retry = fields.get("reflection", TEXT, None), fields.get("retry", TEXT, None)
    verdict = fields.get("retry_verdict", OBJECT, None)
    if reflection is not None or verdict is not None:
        written: dict[str, Any] = {"role": "reflection", "text": reflection or ""}
        written["length"] = fields.get("reflection_tokens", COUNT, None)
        written["token_texts"] = tokens = fields.get("token_texts", TEXTS, None)
        # Only the report kept tokens, and only those it took to be trained.
        written["is_trained"] = tokens is not None
        segments += [_asked(fields, "reflection_prompt"), written]
        if retry is not None:
            segments += [_asked(fields, "retry_prompt"), {"role": "retry", "text": retry, "verdict": verdict}]
        else:
            written["verdict"] = verdict
    others = {key: fields.values.get(key) for key in ("row_index", "row", "controls", "step", "reward", "advantage")}
    return Record({**others, "segments": segments}, fields.place, fields.what)


def _asked(fields: Record, key: str) -> dict[str, Any]:
    text = fields.get(key, TEXT, None)
    return {"role": "prompt", "messages": [] if text is None else [{"role": "user", "content": text}]}
