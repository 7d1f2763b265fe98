"""A person judges in the terminal: `rrr verify … --with person-judge` as its user meets it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from cases import HOSTILE, IN_TERMINAL, Terminal, outcomes, terminal, verify_command, write_answers
from rrr_person_judge.terminal import bounded

READY = "q stop for now > "
ALL = ["one", "two", "three"]


@pytest.fixture
def folder(sums: Path, tmp_path: Path) -> Path:
    """A folder with three answers to the installed task `sums`."""
    write_answers(tmp_path / "answers.jsonl", ALL)
    return tmp_path


@pytest.fixture
def asked(folder: Path, sums: Path) -> Iterator[Terminal]:
    with terminal(verify_command(sums, "answers.jsonl", "name=kim", "--max-abstain", "1"), folder) as shown:
        yield shown


def test_one_key_is_a_verdict_and_standard_output_has_verdicts_only(asked: Terminal) -> None:
    asked.wait_for(READY)
    asked.press("p")
    asked.wait_for(READY)
    asked.press("f")
    asked.wait_for("not wrong > ")
    asked.press("too short\n")
    asked.wait_for(READY)
    asked.press("?")
    assert "All 3 answers are judged: 1 passed, 1 failed, 1 withheld." in asked.wait_for(READY)
    asked.press("\n")
    output, errors, code = asked.end()
    assert [json.loads(line) for line in output.splitlines()] == [
        {"verdict": "passed", "category": "", "detail": ""},
        {"verdict": "failed", "category": "too short", "detail": ""},
        {"verdict": "abstained", "category": "withheld", "detail": "the person cannot tell"},
    ]
    assert (errors, code) == ("1 passed, 1 failed, 1 abstained\n", 0)


def test_the_person_sees_question_and_answer_and_nothing_from_the_verifier(asked: Terminal) -> None:
    shown = asked.wait_for(READY)
    assert "1 of 3 · sums" in shown
    assert "What is 0 + 1?" in shown
    assert "one" in shown
    assert "wrong sum" not in shown


def test_the_row_is_shown_on_request(asked: Terminal) -> None:
    assert '"a": 0' not in asked.wait_for(READY)
    asked.press("r")
    assert '"a": 0' in asked.wait_for(READY)


def test_undo_asks_again_and_the_later_verdict_counts(asked: Terminal, folder: Path) -> None:
    for key in "pp":
        asked.wait_for(READY)
        asked.press(key)
    asked.wait_for(READY)
    asked.press("u")
    assert "2 of 3" in asked.wait_for(READY)
    for _ in range(2):
        asked.press("?")
        asked.wait_for(READY)
    asked.press("u")
    assert "3 of 3" in asked.wait_for(READY)
    asked.press("p")
    asked.wait_for(READY)
    asked.press("\n")
    assert outcomes(asked.end()[0]) == ["passed", "abstained", "passed"]


def test_an_error_class_that_was_given_before_takes_one_digit(asked: Terminal) -> None:
    for said in ("rude\n", "1\n", "-\n"):
        asked.wait_for(READY)
        asked.press("f")
        shown = asked.wait_for("not wrong > ")
        asked.press(said)
    assert "1 rude" in shown
    asked.wait_for(READY)
    asked.press("p")
    asked.wait_for(READY)
    asked.press("\n")
    assert [json.loads(line)["category"] for line in asked.end()[0].splitlines()] == ["rude", "rude", ""]


def test_keys_typed_before_an_answer_is_shown_do_not_judge_it(asked: Terminal) -> None:
    asked.wait_for(READY)
    asked.press("ppp")
    assert "2 of 3" in asked.wait_for(READY)
    asked.press("q")
    assert "1 of the 3 answers" in asked.end()[1]


def test_an_arrow_key_is_not_a_verdict(asked: Terminal) -> None:
    asked.wait_for(READY)
    asked.press("\x1b[D\x1b[p")
    asked.press("q")
    assert "0 of the 3 answers" in asked.end()[1]


def test_stopping_says_how_to_resume_and_the_same_command_does(asked: Terminal, folder: Path, sums: Path) -> None:
    asked.wait_for(READY)
    asked.press("p")
    asked.wait_for(READY)
    asked.press("q")
    assert asked.end() == (
        b"",
        (
            "rrr: stopped: 1 of the 3 answers asked for now are judged, and every verdict is in person-verdicts.jsonl: "
            "the same command resumes.\n"
        ),
        2,
    )
    with terminal(verify_command(sums, "answers.jsonl", "name=kim"), folder) as again:
        assert "2 of 3" in again.wait_for(READY)
        for _ in range(2):
            again.press("p")
            again.wait_for(READY)
        again.press("\n")
        assert outcomes(again.end()[0]) == ["passed"] * 3


def test_control_c_keeps_what_was_judged_and_says_so(asked: Terminal) -> None:
    asked.wait_for(READY)
    asked.press("p")
    asked.wait_for(READY)
    asked.press("\x03")
    asked.wait_for("1 of the 3 answers asked for now are judged")
    output, errors, code = asked.end()
    assert (output, errors.strip(), code) == (b"", "rrr: interrupted.", 130)


def test_what_was_judged_before_kill_9_is_not_asked_again(asked: Terminal, folder: Path, sums: Path) -> None:
    for key in "pp":
        asked.wait_for(READY)
        asked.press(key)
    asked.wait_for("3 of 3")
    asked.process.send_signal(signal.SIGKILL)
    asked.process.wait()
    with terminal(verify_command(sums, "answers.jsonl"), folder) as again:
        assert "3 of 3" in again.wait_for(READY)
        again.press("p")
        again.wait_for(READY)
        again.press("\n")
        assert outcomes(again.end()[0]) == ["passed"] * 3


def test_nobody_is_asked_if_everything_is_judged(asked: Terminal, folder: Path, sums: Path) -> None:
    for _ in ALL:
        asked.wait_for(READY)
        asked.press("p")
    asked.wait_for(READY)
    asked.press("\n")
    asked.end()
    done = subprocess.run(
        verify_command(sums, "answers.jsonl"),
        cwd=folder,
        capture_output=True,
        start_new_session=True,
        timeout=60,
    )
    assert (outcomes(done.stdout), done.returncode) == (["passed"] * 3, 0)


def test_without_a_terminal_one_line_says_what_to_do(folder: Path, sums: Path) -> None:
    done = subprocess.run(
        verify_command(sums, "answers.jsonl"),
        cwd=folder,
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "rrr: person-judge: there is no terminal to ask in: ask on a page instead (--with person-judge:page=auto).\n"
    )


def test_two_processes_cannot_judge_into_one_file(asked: Terminal, folder: Path, sums: Path) -> None:
    asked.wait_for(READY)
    with terminal(verify_command(sums, "answers.jsonl"), folder) as second:
        output, errors, code = second.end()
    assert (output, code) == (b"", 2)
    assert errors.startswith("rrr: person-verdicts.jsonl: another process keeps its verdicts there: end it")


def test_answers_may_come_from_standard_input(folder: Path, sums: Path) -> None:
    content = (folder / "answers.jsonl").read_bytes()
    with terminal(verify_command(sums, "-"), folder, stdin=content) as shown:
        for _ in ALL:
            shown.wait_for(READY)
            shown.press("p")
        shown.wait_for(READY)
        shown.press("\n")
        assert outcomes(shown.end()[0]) == ["passed"] * 3


def test_no_control_character_of_an_answer_reaches_the_terminal(folder: Path, sums: Path) -> None:
    write_answers(folder / "hostile.jsonl", [HOSTILE])
    with terminal(verify_command(sums, "hostile.jsonl"), folder) as shown:
        text = shown.wait_for(READY)
        shown.press("a")
        text += shown.wait_for(READY)
    assert "<script>" in text
    assert not set(text) & set("\x1b\x00\u202e\u202c")


def test_a_long_answer_shows_beginning_and_end_and_one_key_shows_all_of_it(folder: Path, sums: Path) -> None:
    write_answers(folder / "long.jsonl", ["begin\n" + "word " * 10_000 + "\nthe end"])
    with terminal(verify_command(sums, "long.jsonl"), folder) as shown:
        text = shown.wait_for(READY)
        assert "begin" in text
        assert "the end" in text
        assert "characters more: a shows all" in text
        assert len(text) < 24 * 80
        shown.press("a")
        assert shown.wait_for(READY).count("word") == 10_000


def test_a_text_is_bounded_by_the_lines_it_takes_on_the_screen() -> None:
    for columns in (1, 7, 80):
        for lines in (2, 3, 10):
            text = bounded("x" * 1000 + "\n\ny", columns, lines)
            rows = [line for line in text.split("\n") if "more: a shows all" not in line]
            assert len(rows) == lines - 1
            assert all(len(row) <= columns for row in rows)


def test_the_terminal_is_left_as_it_was(folder: Path, sums: Path) -> None:
    master, slave = pty.openpty()
    try:
        before = termios.tcgetattr(slave)
        process = subprocess.Popen(
            [sys.executable, "-c", IN_TERMINAL, os.ttyname(slave), *verify_command(sums, "answers.jsonl")],
            cwd=folder,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        shown = b""
        while READY.encode() not in shown:
            shown += os.read(master, 4096)
        assert termios.tcgetattr(slave) != before
        os.write(master, b"q")
        while b"q\r\n" not in shown:
            shown += os.read(master, 4096)
        assert process.wait(30) == 2
        assert termios.tcgetattr(slave) == before
    finally:
        os.close(slave)
        os.close(master)
