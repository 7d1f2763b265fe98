"""Answers and rounds as they are played: in mining, training and evaluation alike."""

from rrr_core.answering.playing import (
    Draw,
    Fits,
    Follow,
    ReadCalls,
    Write,
    always_fits,
    check_max_steps,
    follow_plainly,
    no_calls,
    play_answers,
    play_courses,
    texts_per_answer,
    write_plainly,
)
from rrr_core.answering.rounds import play_round

__all__ = [
    "Draw",
    "Fits",
    "Follow",
    "ReadCalls",
    "Write",
    "always_fits",
    "check_max_steps",
    "follow_plainly",
    "no_calls",
    "play_answers",
    "play_courses",
    "play_round",
    "texts_per_answer",
    "write_plainly",
]
