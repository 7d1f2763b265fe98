"""A timed pass keeps to its time: where the pass that was asked for takes too long, a smaller one is timed."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("trl")
pytestmark = pytest.mark.train

from rrr_core.training.settings import TrainSettings
from rrr_core.training.timed_pass import FIRST_TOKENS, Size, time_passes
from tests.generation.tiny import make_network, make_tokenizer

SETTINGS = TrainSettings(batch_size=8, micro_batch_size=8, group_size=4)


class Clock:
    """A second for every look at it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def network() -> Any:
    return make_network(make_tokenizer())


def test_with_time_enough_the_pass_is_the_one_that_was_asked_for(network: Any) -> None:
    timed = time_passes(network, SETTINGS, 40, 20)
    assert timed.tokens == timed.asked
    assert min(timed.trained, timed.scored, timed.update) >= 0


@pytest.mark.parametrize("lora_rank", [0, 2])
def test_with_little_time_a_smaller_pass_is_timed(network: Any, lora_rank: int) -> None:
    settings = TrainSettings(batch_size=8, micro_batch_size=8, group_size=4, lora_rank=lora_rank)
    timed = time_passes(network, settings, 100, 50, clock=Clock(), seconds=5.0)
    assert timed.tokens <= FIRST_TOKENS < timed.asked


@pytest.mark.parametrize("tokens", [1, 3, 50, 500, 10_000])
def test_a_smaller_size_has_at_most_so_many_tokens(tokens: int) -> None:
    size = Size(16, 4, 300, 100, True).within(tokens)
    assert size.tokens <= max(tokens, 2)
    assert min(size.rows, size.groups, size.prompt, size.completion) >= 1
