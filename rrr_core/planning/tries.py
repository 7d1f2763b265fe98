"""How many texts mining samples: its rounds are played by chance, with the rules of mining itself."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from rrr_core.mining.jobs import depths
from rrr_core.mining.rounds import tries_in_round
from rrr_core.mining.settings import MineSettings
from rrr_core.planning.rates import Rates

MOST_ROWS = 4096
"""Rows that are played; of more, these stand for all."""


@dataclass
class Played:
    """What mining some rows came to."""

    rows: float = 0
    """Rows that were tried at all."""
    tries: float = 0
    """Texts that were sampled, those thrown away included."""
    failures: float = 0
    calls: Counter[int] = field(default_factory=Counter)
    """Texts that are sampled together → how often that happens."""
    scale: float = 1.0
    """What all counts have yet to be multiplied by."""


@dataclass
class _Row:
    rate: float
    tries: int = 0
    failures: int = 0


def play_mining(settings: MineSettings, rates: Rates, rows: int) -> Played:
    """Mine `rows` rows whose pass rates are drawn from `rates`; the same arguments give the same result."""
    chance = random.Random(0)
    played_rows = min(rows, MOST_ROWS)
    scale = rows / played_rows
    wanted = settings.failures_wanted / scale
    table = [_Row(chance.betavariate(*rates.parameters)) for _ in range(played_rows)]
    shards = [table[start : start + settings.shard_rows] for start in range(0, played_rows, settings.shard_rows)]
    played = Played(scale=scale)
    for depth in depths(settings):
        for shard in shards:
            if wanted and played.failures >= wanted:
                break
            _deepen(shard, depth, settings, played, chance)
    played.rows = sum(row.tries > 0 for row in table)
    return played


def _deepen(shard: list[_Row], depth: int, settings: MineSettings, played: Played, chance: random.Random) -> None:
    def is_open(row: _Row) -> bool:
        return row.failures < settings.failures_per_row and row.tries < settings.tries

    going_on = [row for row in shard if is_open(row)]
    done = max((row.tries for row in going_on), default=depth)
    while going_on and done < depth:
        each = tries_in_round(len(going_on), done, depth)
        played.calls[each * len(going_on)] += 1
        played.tries += each * len(going_on)
        for row in going_on:
            for _ in range(each):
                if not is_open(row):
                    break
                row.tries += 1
                if chance.random() >= row.rate:
                    row.failures += 1
                    played.failures += 1
        done += each
        going_on = [row for row in going_on if is_open(row)]
