"""The worked conversations of several tasks are one stream, dealt out by weight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from rrr_core.errors import RrrError
from rrr_core.training.interleaved import conversations_of
from rrr_core.training.warmup_settings import WarmupSettings


class Teacher:
    """Gives conversations that say whose they are, of how many, and with what seed; at most `has` of them."""

    def __init__(self, name: str, has: int = 10**6) -> None:
        self.name, self.has = name, has

    def warmup(self, split: str, count: int, seed: int) -> Iterator[list[dict[str, str]]]:
        assert split == "train"
        for number in range(min(count, self.has)):
            yield [{"role": "assistant", "content": f"{self.name} {number}/{count} {seed}"}]


def stream(tasks: Sequence[Any], **changes: Any) -> list[str]:
    settings = WarmupSettings(**{"conversations": 240, "batch_size": 8, "seed": 5, **changes})
    return [messages[0]["content"] for messages in conversations_of(tasks, settings)]


def owners(texts: list[str]) -> list[str]:
    return [text.split()[0] for text in texts]


def test_one_tasks_conversations_are_all_its_own_as_it_gives_them() -> None:
    assert stream([Teacher("a")], conversations=30) == [f"a {number}/30 5" for number in range(30)]


def test_each_batch_is_of_one_task_and_each_task_gets_its_share() -> None:
    texts = stream([Teacher("a"), Teacher("b"), Teacher("c")], weights="a=3,b=2")
    batches = [set(owners(texts[start : start + 8])) for start in range(0, len(texts), 8)]
    assert all(len(batch) == 1 for batch in batches)
    assert Counter(owners(texts)) == {"a": 120, "b": 80, "c": 40}


def test_the_tasks_take_turns_from_the_first_batches_on() -> None:
    """The lessons of a task have an order, so all of them must be as far on at any time."""
    texts = owners(stream([Teacher("a"), Teacher("b")], weights="a=2"))
    assert Counter(texts[:24]) == Counter(texts[-24:]) == {"a": 16, "b": 8}


def test_a_task_is_asked_for_as_many_as_are_learned_and_all_of_them_are_in_their_order() -> None:
    texts = stream([Teacher("a"), Teacher("b")])
    assert [text for text in texts if text.startswith("a")] == [f"a {number}/120 5" for number in range(120)]


def test_the_order_in_which_tasks_are_named_changes_nothing() -> None:
    assert stream([Teacher("b"), Teacher("a")], weights="b=2") == stream([Teacher("a"), Teacher("b")], weights="b=2")


def test_a_task_that_has_too_few_does_not_stop_the_others() -> None:
    assert Counter(owners(stream([Teacher("a", has=10), Teacher("b")]))) == {"a": 10, "b": 120}


@pytest.mark.parametrize(
    ("tasks", "weights", "complaint"),
    [
        ("a", "a=2", "--weights acts only where several tasks"),
        ("ab", "c=2", "--weights: no task 'c' is trained here"),
        ("ab", "a=0", "each number above 0"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tasks: str, weights: str, complaint: str) -> None:
    with pytest.raises(RrrError, match=complaint):
        stream([Teacher(name) for name in tasks], weights=weights)


def test_a_manifest_names_the_weights_only_where_they_were_given() -> None:
    """Warm-ups that earlier versions began thus resume."""
    assert "weights" not in WarmupSettings().identity()
    assert WarmupSettings(weights="a=2").identity()["weights"] == "a=2"
