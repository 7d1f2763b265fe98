"""Solutions to puzzles for which reasoning-gym gives none: boxes to carry, and cars to move out of the way."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

SIDE = 6
"""The side of a Rush Hour board."""
MOST_BOARDS = 20_000
"""Boards searched before giving up: about a second."""

Car = tuple[int, int, int, int]
"""Its row, its column, and how it lies: 0, 1 for one that moves right, 1, 0 for one that moves down."""
Places = tuple[int, ...]
"""How far each car has moved."""


def carried(known: Mapping[str, Any]) -> str:
    """A plan for `boxnet`: each box in turn is carried down or up, then along, to a target of its color."""
    steps: list[dict[str, str]] = []
    squares = {tuple(map(float, name.split("_"))): things for name, things in known["initial_state"].items()}
    targets: dict[str, list[tuple[float, ...]]] = {}
    for square, things in squares.items():
        for thing in things:
            if thing.startswith("target_"):
                targets.setdefault(thing.removeprefix("target_"), []).append(square)
    for square, things in squares.items():
        for color in (thing.removeprefix("box_") for thing in things if thing.startswith("box_")):
            row, column = square
            end = targets[color].pop()
            while (row, column) != end:
                agent = f"Agent[{row}, {column}]"
                if row != end[0]:
                    row += 1 if row < end[0] else -1
                else:
                    column += 1 if column < end[1] else -1
                steps.append({agent: f"move(box_{color}, square[{row}, {column}])"})
            steps.append({f"Agent[{row}, {column}]": f"move(box_{color}, target_{color})"})
    return json.dumps(steps)


def freed(question: str) -> str | None:
    """The fewest moves that bring the red car of a `rush_hour` board to the exit, or None if the search gives up."""
    lines = question.partition("Board:\n")[2].split("\n")[:SIDE]
    cells = {(row, column): letter for row, line in enumerate(lines) for column, letter in enumerate(line)}
    names = sorted({letter for letter in cells.values() if letter.isupper()})
    walls = {cell for cell, letter in cells.items() if letter == "x"}
    cars, lengths = [], []
    for name in names:
        own = sorted(cell for cell, letter in cells.items() if letter == name)
        cars.append((*own[0], int(own[1][0] > own[0][0]), int(own[1][1] > own[0][1])))
        lengths.append(len(own))
    start = (0,) * len(cars)
    goal = SIDE - lengths[0] - cars[0][1]
    before: dict[Places, tuple[Places, str] | None] = {start: None}
    waiting = deque([start])
    while waiting and len(before) < MOST_BOARDS:
        places = waiting.popleft()
        if places[0] == goal:
            return " ".join(_way(places, before))
        for car, steps in _moves(cars, lengths, walls, places):
            after = (*places[:car], places[car] + steps, *places[car + 1 :])
            if after not in before:
                before[after] = (places, f"{names[car]}{steps:+d}")
                waiting.append(after)
    return None


def _moves(
    cars: Sequence[Car], lengths: Sequence[int], walls: set[tuple[int, int]], places: Places
) -> Iterator[tuple[int, int]]:
    """Each car that can move, and how many squares, negative for left or up."""
    taken = set(walls)
    for (row, column, down, right), length, place in zip(cars, lengths, places, strict=True):
        taken |= {(row + down * (place + each), column + right * (place + each)) for each in range(length)}
    for car, (row, column, down, right) in enumerate(cars):
        for step, edge in ((1, lengths[car] - 1), (-1, 0)):
            steps = step
            while True:
                far = places[car] + edge + steps
                cell = row + down * far, column + right * far
                if cell in taken or not (0 <= cell[0] < SIDE and 0 <= cell[1] < SIDE):
                    break
                yield car, steps
                steps += step


def _way(places: Places, before: Mapping[Places, tuple[Places, str] | None]) -> list[str]:
    moves = []
    while (step := before[places]) is not None:
        places, move = step
        moves.append(move)
    return moves[::-1]
