"""Progress: bars on a terminal, sparse lines elsewhere, and hostile notes made harmless."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from rrr_core.cli.bars import RichProgress
from rrr_core.cli.progress import PlainProgress, make_progress
from rrr_core.progress import pause_progress
from rrr_core.text import duration, rate


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_log_gets_lines_with_rate_and_time_left_but_not_one_for_each_unit() -> None:
    lines: list[str] = []
    clock = Clock()
    with PlainProgress(lines.append, every=10, clock=clock).track("mining", total=100, done=20) as advance:
        for _ in range(40):
            clock.now += 0.5
            advance(1, "3 failures")
        clock.now += 20
        advance(40)
    assert lines == [
        "mining: 20/100",
        "mining: 40/100, 2.0/s, 30 s left, 3 failures",
        "mining: 60/100, 2.0/s, 20 s left, 3 failures",
        "mining: 100/100, 2.0/s, 3 failures",
    ]


def test_a_terminal_gets_a_bar_with_count_rate_and_note() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120, color_system=None)
    progress = make_progress(console)
    assert isinstance(progress, RichProgress)
    with progress.track("mining", total=10, done=4) as advance, progress.track("[red]inner", total=2):
        advance(6, "7 failures \x1b[2J")
        progress.say("a [bold]line[/bold]\x07")
    shown = out.getvalue()
    assert "10/10" in shown
    assert "7 failures �[2J" in shown
    assert "[red]inner" in shown
    assert "a [bold]line[/bold]�" in shown


def test_a_bar_is_removed_when_the_job_fails() -> None:
    progress = RichProgress(Console(file=io.StringIO(), force_terminal=True))
    with pytest.raises(ZeroDivisionError), progress.track("mining", total=1):
        raise ZeroDivisionError
    with progress.track("again", total=1) as advance:
        advance(1)


def test_bars_leave_the_terminal_while_a_person_is_asked_and_then_return() -> None:
    out = io.StringIO()
    progress = RichProgress(Console(file=out, force_terminal=True))
    with progress.track("mining", total=2) as advance:
        with pause_progress():
            before = out.getvalue()
            advance(1)
            time.sleep(0.3)  # A bar is drawn ten times a second.
            assert out.getvalue() == before
        advance(1)
    assert "2/2" in out.getvalue()[len(before) :]


def test_without_a_terminal_lines_are_written_and_not_wrapped() -> None:
    out = io.StringIO()
    make_progress(Console(file=out, width=20)).say("a line that is longer than twenty characters")
    assert out.getvalue() == "a line that is longer than twenty characters\n"


def test_rates_and_durations_have_fitting_units() -> None:
    assert [rate(12.34), rate(0.25), rate(0)] == ["12.3/s", "4.0 s each", ""]
    assert [duration(75), duration(3700)] == ["1 min 15 s", "1 h 2 min"]


def test_a_notice_of_several_stages_is_said_once() -> None:
    lines: list[str] = []
    progress = PlainProgress(lines.append)
    for line in ("no prefix cache here", "no prefix cache here", "no tools here"):
        progress.notice(line)
    assert lines == ["no prefix cache here", "no tools here"]


def test_the_closing_line_has_the_note_of_the_last_unit() -> None:
    lines: list[str] = []
    clock = Clock()
    with PlainProgress(lines.append, every=0, clock=clock).track("training", total=2) as advance:
        for note in ("success 64%", "success 55%"):
            clock.now += 1
            advance(1, note)
    assert lines[-1] == "training: 2/2, 1.0/s, success 55%"
