"""The failures of a training run: their digest, and which of them fill its batches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence

from rrr_core.episode import Failure
from rrr_core.errors import DataError
from rrr_core.training.rollout import Rollout


def digest(failures: Sequence[Failure], *, rated: bool = False) -> str:
    """A short SHA-256 of the failures, in order; with the pass rates of their rows if these matter."""
    content = hashlib.sha256()
    for failure in failures:
        record = failure.to_short_json()
        content.update(json.dumps([record, failure.pass_rate] if rated else record, sort_keys=True).encode())
    return content.hexdigest()[:16]


def with_room(failures: Sequence[Failure], rollout: Rollout, say: Callable[[str], None]) -> Sequence[Failure]:
    """The failures but those whose courses fill the model's context, so that nothing can be sampled after them.

    Raises DataError if none is left.
    """
    usable = [failure for failure in failures if rollout.has_room(failure)]
    if len(usable) < len(failures):
        said = (
            f"{len(failures) - len(usable)} of {len(failures)} failures fill the model's context of"
            f" {rollout.engine.context} tokens, so that nothing can be sampled after them"
        )
        if not usable:
            raise DataError(f"{said}: mine with fewer or shorter actions (--max-steps, --max-tokens).")
        say(f"{said}: they are left out.")
    return usable


def enough(failures: Sequence[Failure], groups: int) -> list[Failure]:
    """The failures, repeated until they fill one batch of `groups` groups.

    >>> enough(["a", "b"], 3)
    ['a', 'b', 'a', 'b']
    """
    return list(failures) * max(1, -(-groups // len(failures)))
