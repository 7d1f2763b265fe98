"""Disk: what a run writes."""

from __future__ import annotations

from collections.abc import Mapping

from rrr_core.planning.lengths import Texts
from rrr_core.training.settings import TrainSettings

TENSORS = 3
"""In a checkpoint for each trained weight: the weight and the optimiser's two moments."""

EPISODE_BYTES = 700
"""Keys, verdicts and quotes of an episode's JSON, beside its texts."""


def disk_parts(
    settings: TrainSettings,
    texts: Texts,
    trainable: int,
    bytes_per_weight: int,
    mined: float,
    evaluated: float,
    *,
    is_first: bool = True,
) -> Mapping[str, float]:
    """Bytes at their most: checkpoints, the trained model, and the records of mined and evaluated episodes.

    Of several tasks, which are trained together, the first has the training's part.
    """
    weights = trainable * bytes_per_weight if is_first else 0
    # A new checkpoint is whole before the oldest is removed.
    count = min(settings.keep_checkpoints + 1, -(-settings.steps // settings.save_every))
    # A character of text is about a byte; a conversation is written out once.
    failure = texts.row_bytes + EPISODE_BYTES + texts.bytes_per_token * (texts.prompt.mean + texts.attempt.mean)
    episode = failure + texts.bytes_per_token * (
        texts.reflect + texts.reflection.mean + texts.again + 4 * texts.retry.mean
    )
    kept = min(settings.episodes_per_step, settings.batch_size) * settings.steps if is_first else 0
    return {
        "checkpoints": float(TENSORS * weights * count),
        "model": float(weights),
        "episodes": mined * failure + (evaluated + kept) * episode,
    }
