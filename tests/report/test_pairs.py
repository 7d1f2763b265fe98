"""Pairs before and after: which rows both models failed, whose retry was right, and which are shown."""

from __future__ import annotations

from pathlib import Path

from rrr_core.report.data import read_runs
from rrr_core.report.pairs import MOST_PAIRS, WAYS, Retried, rows_of
from rrr_core.verdicts import Verdict, abstained, failed, passed
from tests.episodes import make_episode

WRONG = failed("missed target")


def retried(*rows: tuple[int, Verdict, Verdict | None, str]) -> Retried:
    found = Retried()
    for index, first, second, attempt in rows:
        found.add(make_episode(first, second, index=index, attempt=attempt))
    return found


def test_a_pair_is_a_row_that_both_failed_and_both_retried_with_a_verdict() -> None:
    before = retried((0, WRONG, WRONG, ""), (1, passed(), None, ""), (2, WRONG, abstained("timeout", ""), ""))
    after = retried((0, WRONG, passed(), ""), (1, WRONG, passed(), ""), (2, WRONG, passed(), ""))
    pairs = before.paired(after, range(9))
    assert pairs is not None
    assert pairs.counts == {"only after": 1, "only before": 0, "both": 0, "neither": 0}
    assert pairs.rows["only after"] == [0]


def test_a_run_whose_models_failed_no_row_in_common_has_no_pairs() -> None:
    assert retried((0, WRONG, WRONG, "")).paired(retried((1, WRONG, WRONG, "")), range(9)) is None


def test_all_pairs_are_counted_and_a_bounded_number_is_shown_whatever_was_written() -> None:
    rows = range(200)
    before = retried(*((row, WRONG, WRONG, f"{row}") for row in rows))
    after = retried(*((row, WRONG, passed(), f"other {row}") for row in reversed(rows)))
    again = retried(*((row, WRONG, passed(), f"quite another {row}") for row in rows))
    pairs, others = before.paired(after, rows), before.paired(again, rows)
    assert pairs is not None
    assert pairs.counts["only after"] == 200
    assert len(pairs.rows["only after"]) == MOST_PAIRS
    assert others is not None
    assert others.rows == pairs.rows


def test_the_same_wrong_answer_comes_first() -> None:
    rows = range(50)
    before = retried(*((row, WRONG, WRONG, f"{row}") for row in rows))
    after = retried(*((row, WRONG, passed(), f"{row}" if row == 31 else "other") for row in rows))
    pairs = before.paired(after, rows)
    assert pairs is not None
    assert pairs.same_answer == 1
    assert pairs.rows["only after"][0] == 31


def test_the_episodes_of_the_pairs_are_on_the_page(run_folder: Path) -> None:
    payload = read_runs([run_folder])
    pairs = payload.runs[0].pairs_shown["sampled"]
    assert list(pairs.counts) == list(WAYS)
    for label in ("vanilla", "trained"):
        place = next(place for place, each in enumerate(payload.sets) if (each.label, each.mode) == (label, "sampled"))
        shown = [each[1] for each in payload.episodes if each[0] == place]
        assert shown[: len(rows_of(pairs))] == rows_of(pairs)
