"""Rows: the same everywhere, each once, in one split, and streamed."""

from __future__ import annotations

import json
import subprocess
from itertools import islice

import pytest
from rrr_reasoning_gym import maker, rows, scoring

from rrr_core.errors import DataError


def questions(dataset: str, split: str, **options: str) -> list[str]:
    return [row["question"] for row in rows.load(dataset, split, options)]


@pytest.mark.parametrize("dataset", ["isomorphic_strings", "list_functions", "polynomial_multiplication", "codeio"])
def test_rows_that_follow_the_order_of_a_set_upstream_are_reproducible(dataset):
    first, again = (list(rows.load(dataset, "train", {"size": "60"})) for _ in range(2))
    assert first == again
    assert first


def test_the_splits_of_a_small_space_share_no_question_for_any_seed_and_size():
    train = questions("tower_of_hanoi", "train", size="200") + questions("tower_of_hanoi", "train", size="90", seed="7")
    test = questions("tower_of_hanoi", "test", size="150", seed="3")
    assert train
    assert test
    assert not set(train) & set(test)


def test_a_question_occurs_once():
    found = questions("tower_of_hanoi", "train", size="200")
    assert len(found) == len(set(found)) < 150


def test_both_splits_together_hold_every_question():
    kept = questions("gcd", "train", size="50") + questions("gcd", "test", size="50")
    assert len(kept) == 50


def test_options_that_the_scorer_needs_travel_with_the_row():
    row = next(rows.load("puzzle24", "train", {"max_value": "9", "size": "5", "seed": "2"}))
    assert row["config"] == {"max_value": "9"}
    assert json.loads(json.dumps(row)) == row


def test_rows_are_streamed():
    assert len(list(islice(rows.load("gcd", "train", {"size": "1000000000"}), 3))) == 3


def test_the_generating_process_ends_with_the_reader(monkeypatch):
    started = []

    class Recorded(subprocess.Popen):
        def __init__(self, *arguments, **keywords):
            super().__init__(*arguments, **keywords)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    reader = rows.load("gcd", "train", {"size": "1000000000"})
    next(reader)
    reader.close()
    assert [process.returncode for process in started] == [-9]


def test_upstreams_prints_are_not_seen(capfd):
    assert next(rows.load("bf", "train", {}))
    assert capfd.readouterr() == ("", "")


def test_a_wrong_option_is_refused_as_in_the_same_process():
    with pytest.raises(DataError, match="has no data option 'seeds'. Did you mean 'seed'"):
        next(rows.load("gcd", "train", {"seeds": "1"}))


def test_a_failing_generator_is_a_fault_with_its_last_line():
    with pytest.raises(RuntimeError, match="not be made by rrr_reasoning_gym.maker: KeyError: 'nonsense'"):
        next(rows.load("nonsense", "train", {}))


def test_a_puzzle_is_dropped_if_its_own_answer_is_refused(monkeypatch):
    kept = [row["question"] for row in maker.rows("gcd", "train", {"size": "20"})]
    verify = scoring.verify

    def strict(dataset, row, text):
        return scoring.failed("wrong answer") if row["question"] == kept[1] else verify(dataset, row, text)

    monkeypatch.setattr(scoring, "verify", strict)
    assert [row["question"] for row in maker.rows("gcd", "train", {"size": "20"})] == [kept[0], *kept[2:]]
