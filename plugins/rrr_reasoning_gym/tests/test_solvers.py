"""Solutions that upstream does not give."""

from __future__ import annotations

from itertools import islice

import pytest
from rrr_reasoning_gym import gold, maker, scoring, solvers


@pytest.mark.parametrize(
    ("dataset", "options"),
    [
        ("boxnet", {}),
        ("boxnet", {"max_box_num": "3"}),
        ("rush_hour", {}),
        ("rush_hour", {"min_moves": "30"}),
        ("graph_color", {}),
        ("propositional_logic", {}),
        ("rubiks_cube", {}),
    ],
)
def test_a_found_solution_passes(dataset, options):
    found = list(islice(maker.rows(dataset, "train", {"size": "60", **options}), 10))
    assert len(found) == 10
    for row in found:
        right = gold.gold_text(dataset, row)
        assert right is not None
        assert scoring.verify(dataset, row, right).is_passed


def test_a_board_without_a_way_out_has_no_solution():
    board = "......\n......\n.AA..x\n......\n......\n......"
    assert solvers.freed(f"Board:\n{board}\n") is None


def test_a_free_car_needs_one_move():
    board = "......\n......\n.AA...\n......\n......\n......"
    assert solvers.freed(f"Board:\n{board}\n") == "A+3"


def test_a_search_is_bounded(monkeypatch):
    monkeypatch.setattr(solvers, "MOST_BOARDS", 1)
    board = "......\n....B.\n.AA.B.\n......\n......\n......"
    assert solvers.freed(f"Board:\n{board}\n") is None
