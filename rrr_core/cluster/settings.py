"""Which cluster works on a stage's shards."""

from __future__ import annotations

from dataclasses import dataclass

from rrr_core.config.option import option
from rrr_core.config.settings import Settings
from rrr_core.errors import RrrError


@dataclass(frozen=True)
class ClusterSettings(Settings):
    """The cluster, and how much of it. No result depends on it, so a run may be resumed with another."""

    ray: str | None = option(
        None,
        "Mine and evaluate on a Ray cluster: its address HOST:PORT, or auto for the one that RAY_ADDRESS or this"
        " machine has, or else a new one on this machine alone.",
    )
    ray_actors: int | None = option(
        None,
        "Actors on the Ray cluster, each with an engine of its own; by default one for each GPU, or for each machine.",
        minimum=1,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ray_actors is not None and not self.ray:
            raise RrrError("--ray-actors is for a Ray cluster: give --ray as well, or leave it out.")
