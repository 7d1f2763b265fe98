"""The files of an evaluation keep their bytes: keys, order and numbers are those of rrr 0.1, and then `rounds`."""

from __future__ import annotations

import hashlib
from pathlib import Path

from planted_world import PlantedModel, run

from rrr_core.evaluation import compare

PINNED = Path(__file__).parent / "pinned"

SHARDS = "989daa4e11c55593ab71b7ea39e0866d06d30790ed653aeb2ea2b3acd5c6c024"
"""The digest of the shards as written before there was more than one round."""


def test_a_planted_world_gives_the_pinned_bytes(tmp_path: Path) -> None:
    for label, first in (("before", 0.5), ("after", 0.6)):
        model = PlantedModel(first=first, doubtful=0.05, name=label)
        run(tmp_path / label, model, label=label, rows=24, shard_rows=4, max_abstain=1.0)
    compare([tmp_path / "before", tmp_path / "after"], tmp_path / "comparison.json")
    assert (tmp_path / "after" / "figures.json").read_bytes() == (PINNED / "figures.json").read_bytes()
    assert (tmp_path / "comparison.json").read_bytes() == (PINNED / "comparison.json").read_bytes()
    shards = b"".join(path.read_bytes() for path in sorted((tmp_path / "after").glob("*.jsonl")))
    assert hashlib.sha256(shards).hexdigest() == SHARDS
