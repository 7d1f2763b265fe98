"""`rrr verify`: one verdict line per answer line, in order, as they arrive."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rrr_core import cli
from rrr_core.judging import answer_files

COUNTDOWN = {"target": 98, "nums": [44, 19, 35]}
PASSED = {"verdict": "passed", "category": "", "detail": ""}
FAULTY = """
    from rrr_core import failed, hookimpl, passed
    from rrr_core.hookspecs import trusted

    @hookimpl
    def rrr_load_dataset(split): return []

    @hookimpl
    def rrr_prompt(row): return "?"

    @hookimpl
    @trusted
    def rrr_verify(row, answer):
        if answer == "fault":
            raise ZeroDivisionError("of the verifier")
        return passed() if answer == row["wanted"] else failed("not wanted", answer)
"""
DEADLY = """
    import os
    from rrr_core import failed, hookimpl, passed

    @hookimpl
    def rrr_load_dataset(split): return []

    @hookimpl
    def rrr_prompt(row): return "?"

    @hookimpl
    def rrr_verify(row, answer):
        if answer == "die":
            os._exit(3)
        return passed() if answer == row["wanted"] else failed("not wanted")
"""
OVERLAY = """
    from rrr_core import hookimpl, passed
    from rrr_core.hookspecs import trusted

    @hookimpl
    @trusted
    def rrr_verify(row, answer):
        return passed()
"""


def line(answer: str, wanted: str = "yes") -> str:
    return json.dumps({"row": {"wanted": wanted}, "answer": answer}) + "\n"


@pytest.fixture
def verify(site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `rrr verify faulty` on text or bytes; returns exit code, the verdicts written, and stderr."""
    site.install_task("faulty", FAULTY)
    site.install_overlay("lenient", OVERLAY)
    monkeypatch.chdir(tmp_path)

    def run(text: str | bytes, *options: str) -> tuple[int, list[dict[str, str]], str]:
        (tmp_path / "answers.jsonl").write_bytes(text if isinstance(text, bytes) else text.encode())
        code = cli.run_command(["verify", "faulty", "answers.jsonl", *options])
        captured = capsys.readouterr()
        assert captured.out.isascii()
        return code, [json.loads(each) for each in captured.out.splitlines()], captured.err

    return run


def test_each_line_gets_one_verdict_in_order_and_wrong_answers_are_no_error(verify: Any) -> None:
    code, verdicts, errors = verify(line("yes") + line("no") + line("yes"))
    assert code == 0
    assert verdicts == [PASSED, {"verdict": "failed", "category": "not wanted", "detail": "no"}, PASSED]
    assert errors == "2 passed, 1 failed, 0 abstained\n"


def test_a_verifiers_fault_is_an_abstention_that_names_it(verify: Any) -> None:
    code, verdicts, errors = verify(line("fault") + line("yes"), "--max-abstain", "0.5")
    assert code == 0
    assert [each["verdict"] for each in verdicts] == ["abstained", "passed"]
    assert verdicts[0]["category"] == "exception"
    assert "rrr-faulty 1.0" in verdicts[0]["detail"]
    assert "ZeroDivisionError" in verdicts[0]["detail"]
    assert errors == "1 passed, 0 failed, 1 abstained\n"


def test_over_the_limit_of_abstentions_every_judged_line_has_its_verdict_and_the_offender_is_named(verify: Any) -> None:
    code, verdicts, errors = verify(line("yes") * 120 + line("fault") * 3 + line("yes"))
    assert code == 2
    assert len(verdicts) == 124
    assert "rrr-faulty 1.0" in errors
    assert errors.count("\n") == 1


def test_a_row_that_lacks_what_the_verifier_reads_may_be_the_one_to_fix(verify: Any) -> None:
    _, _, errors = verify('{"row": {"wnated": "yes"}, "answer": "yes"}\n')
    assert "KeyError" in errors
    assert errors.endswith("Or fix the rows of answers.jsonl: do they have the task's format?\n")


def test_published_rows_are_judged_as_the_tasks_own(site: Any, verify: Any, capsys: pytest.CaptureFixture[str]) -> None:
    extra = """
    @hookimpl
    def rrr_row(row):
        from rrr_core.row_files import RowError
        if "published" in row:
            return {"wanted": row["published"]}
        if "wanted" not in row:
            raise RowError("the row has nothing wanted")
        return row
    """
    site.install_task("public", FAULTY, extra=extra)
    rows = [{"published": "yes"}, {"wanted": "yes"}, {"published": "no"}, {"wnated": "yes"}, {"wanted": "yes"}]
    verify("".join(json.dumps({"row": row, "answer": "yes"}) + "\n" for row in rows))
    assert cli.run_command(["verify", "public", "answers.jsonl"]) == 2
    captured = capsys.readouterr()
    assert [json.loads(each)["verdict"] for each in captured.out.splitlines()] == ["passed", "passed", "failed"]
    assert captured.err == "rrr: answers.jsonl:4: the row has nothing wanted.\n"


def test_a_verifier_that_ends_its_process_ends_neither_the_command_nor_the_answers_after(
    verify: Any, site: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    site.install_task("deadly", DEADLY)
    verify(line("yes") + line("die") + line("no"))
    assert cli.run_command(["verify", "deadly", "answers.jsonl", "--max-abstain", "1", "--workers", "1"]) == 0
    verdicts = [json.loads(each) for each in capsys.readouterr().out.splitlines()]
    assert [(each["verdict"], each["category"]) for each in verdicts] == [
        ("passed", ""),
        ("abstained", "exit"),
        ("failed", "not wanted"),
    ]


def test_an_overlay_judges_in_the_tasks_place(verify: Any) -> None:
    assert verify(line("no"), "--with", "lenient")[1] == [PASSED]


def test_a_last_line_without_a_line_break_counts(verify: Any) -> None:
    assert verify(line("yes") + line("yes").rstrip("\n"))[1] == [PASSED, PASSED]


def test_an_empty_file_has_no_verdicts(verify: Any) -> None:
    assert verify("") == (0, [], "0 passed, 0 failed, 0 abstained\n")


def test_windows_line_endings_and_a_byte_order_mark_do_not_matter(verify: Any) -> None:
    assert verify(b"\xef\xbb\xbf" + (line("yes") * 2).replace("\n", "\r\n").encode())[1] == [PASSED, PASSED]


def test_a_hostile_answer_can_neither_split_nor_spoil_a_line(verify: Any) -> None:
    code, verdicts, _ = verify(line("a\u2028b\ud800\x1b[2J\nc"))
    assert code == 0
    assert len(verdicts) == 1
    assert verdicts[0]["verdict"] == "failed"


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        ("\n", "the line is blank"),
        ("{\n", "not JSON: Expecting property name enclosed in double quotes at column 2."),
        (b"\xff\n", "not JSON: 'utf-8' codec can't decode byte 0xff"),
        ("[1]\n", "found list"),
        ('{"row": {}, "anwser": ""}\n', "unknown key 'anwser'. Did you mean 'answer'?"),
        ('{"row": {}, "answer": "", "id": 3}\n', "unknown key 'id'."),
        ('{"row": {}}\n', "'answer' is missing"),
        ('{"answer": ""}\n', "'row' is missing"),
        ('{"row": {}, "answer": 3}\n', "'answer' must be a text, found int."),
        ('{"row": [], "answer": ""}\n', "'row' must be a JSON object, found list."),
        ('{"row": {}, "answer": "a", "answer": "b"}\n', "the key 'answer' is there twice"),
        ('{"row": {"x": NaN}, "answer": ""}\n', "NaN is not of JSON"),
        ("[" * 100_000 + "\n", "not JSON: maximum recursion depth exceeded"),
        ('{"row": {"x": ' + "9" * 5000 + '}, "answer": ""}\n', "not JSON: Exceeds the limit (4300 digits)"),
    ],
)
def test_a_line_that_is_no_answer_is_named_after_the_verdicts_before_it(
    verify: Any, bad: str | bytes, what: str
) -> None:
    text = (
        (line("yes") + line("no")).encode() + (bad if isinstance(bad, bytes) else bad.encode()) + line("yes").encode()
    )
    code, verdicts, errors = verify(text)
    assert code == 2
    assert [each["verdict"] for each in verdicts] == ["passed", "failed"]
    assert errors.startswith("rrr: answers.jsonl:3: ")
    assert what in errors
    assert errors.count("\n") == 1


def test_lines_longer_than_one_read_are_joined(verify: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rrr_core.judging.answer_files.CHUNK", 7)
    code, verdicts, _ = verify(line("yes") * 3 + line("no"))
    assert code == 0
    assert [each["verdict"] for each in verdicts] == ["passed"] * 3 + ["failed"]


def sizes_of_batches(seconds_each: float, answers: int = 20_000) -> list[int]:
    """How many answers a verifier of that speed judges at once."""
    sizes: list[int] = []
    for batch in answer_files._paced([[({}, "")] * answers], lambda: seconds_each * sum(sizes)):
        sizes.append(len(batch))
    assert sum(sizes) == answers
    return sizes


def test_a_fast_verifier_gets_large_batches() -> None:
    assert sizes_of_batches(1e-6)[-2] == 4096


def test_a_slow_verifiers_verdicts_do_not_wait_for_many_others() -> None:
    assert max(sizes_of_batches(1.0, 200)) == 16
    assert max(sizes_of_batches(0.01, 2000)) <= 64


@pytest.mark.parametrize(
    ("arguments", "errors"),
    [
        (["verify", "faulty"], "verify: Missing argument 'FILE'. Give one, or - for standard input."),
        (["verify", "faulty", "none.jsonl"], "none.jsonl"),
        (["verify", "fawlty", "answers.jsonl"], "Did you mean 'faulty'?"),
        (["verify", "faulty", "answers.jsonl", "--data", "a=b"], "no option --data."),
        (["verify", "faulty", "answers.jsonl", "--max-abstain", "2"], "--max-abstain"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    verify: Any, capsys: pytest.CaptureFixture[str], arguments: list[str], errors: str
) -> None:
    verify("")
    assert cli.run_command(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert errors in captured.err


def test_standard_input_is_read_where_the_file_is_a_dash(
    verify: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(line("yes").encode() + b"{"), encoding="utf-8"))
    assert cli.run_command(["verify", "faulty", "-"]) == 2
    captured = capsys.readouterr()
    assert json.loads(captured.out) == PASSED
    assert captured.err.startswith("rrr: <stdin>:2: not JSON")


def rrr_verify_countdown(**streams: Any) -> subprocess.Popen[str]:
    code = "import sys; from rrr_core.cli import main; sys.argv[0] = 'rrr'; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "verify", "countdown", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **streams,
    )


def test_a_slow_writer_gets_each_verdict_before_it_sends_the_next_answer() -> None:
    with rrr_verify_countdown() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for answer, verdict in (("<answer>44+19+35</answer>", "passed"), ("<answer>44</answer>", "failed")):
            process.stdin.write(json.dumps({"row": COUNTDOWN, "answer": answer}) + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["verdict"] == verdict
        process.stdin.close()
        assert process.stdout.read() == ""
        assert process.stderr is not None
        assert process.stderr.read() == "1 passed, 1 failed, 0 abstained\n"
        assert process.wait(timeout=60) == 0


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    with rrr_verify_countdown() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.close()
        process.stdin.write(json.dumps({"row": COUNTDOWN, "answer": "x"}) + "\n")
        process.stdin.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 1


def test_no_verifier_sees_a_thought(verify: Any) -> None:
    written = ["yes", "so yes\n</think>\n\nyes", "<think>no</think>yes", "<think>yes", "yes</think>no"]
    _, verdicts, _ = verify("".join(map(line, written)))
    assert [each["verdict"] for each in verdicts] == ["passed", "passed", "passed", "failed", "failed"]
    assert [each["category"] for each in verdicts[3:]] == ["cut off", "not wanted"]


def test_thought_marks_can_be_others_or_none(verify: Any) -> None:
    assert verify(line("[A]no[/A]yes"), "--thought-marks", "[A] [/A]")[1] == [PASSED]
    assert verify(line("<think>no</think>yes"), "--thought-marks", "none")[1][0]["category"] == "not wanted"
    code, _, errors = verify(line("yes"), "--thought-marks", "[A]")
    assert (code, errors.count("\n")) == (2, 1)
    assert "--thought-marks '[A]'" in errors


IN_STEPS = """
    from rrr_core import final, hookimpl, observed

    @hookimpl
    def rrr_step(row, state, action):
        if action == "crash":
            raise ZeroDivisionError("of the step")
        return final(action.removeprefix("answer ")) if action.startswith("answer ") else observed("Go on.", action)
"""


def course(*actions: Any) -> str:
    return json.dumps({"row": {"wanted": "yes"}, "actions": actions}) + "\n"


@pytest.fixture
def verify_steps(site: Any, verify: Any) -> Any:
    """`verify`, of the task with an overlay that makes it act in steps."""
    site.install_overlay("stepping", IN_STEPS)

    def run(text: str) -> tuple[int, list[dict[str, str]], str]:
        return verify(text, "--with", "stepping")

    return run


def test_actions_are_played_and_what_they_come_to_is_judged_beside_answers(verify_steps: Any) -> None:
    lines = course("look", "<think>no</think>answer yes", "more") + line("yes") + course("answer no")
    code, verdicts, _ = verify_steps(lines)
    assert (code, verdicts) == (0, [PASSED, PASSED, {"verdict": "failed", "category": "not wanted", "detail": "no"}])


CALLING = """
from rrr_core import final, hookimpl, observed

@hookimpl
def rrr_step(action, calls):
    return final(calls[0].arguments["text"]) if calls else observed(f"call answer: {action}")
"""


def test_actions_may_call_tools(site: Any, verify: Any) -> None:
    site.install_overlay("calling", CALLING)
    called = {"text": "so", "calls": [{"name": "answer", "arguments": {"text": "yes"}}]}
    code, verdicts, _ = verify(course("hm", called), "--with", "calling")
    assert (code, verdicts) == (0, [PASSED])


@pytest.mark.parametrize(
    "action",
    [
        {"text": "so"},
        {"text": 3, "calls": []},
        {"text": "so", "calls": [{"name": "answer"}]},
        {"text": "so", "calls": [{"name": "", "arguments": {}}]},
    ],
)
def test_an_action_that_is_neither_a_text_nor_one_with_calls_is_refused(verify_steps: Any, action: Any) -> None:
    code, _, errors = verify_steps(course(action))
    assert code == 2
    assert "answers.jsonl:1: 'actions' must be a list of at least one action, and each be a text or {\"text\"" in errors


def test_a_course_without_an_answer_has_failed_at_the_step_limit(verify_steps: Any) -> None:
    _, verdicts, _ = verify_steps(course("look", "look"))
    assert verdicts == [{"verdict": "failed", "category": "step limit", "detail": "no answer within 2 steps"}]


def test_a_fault_of_the_step_is_an_abstention(verify_steps: Any) -> None:
    code, verdicts, errors = verify_steps(course("look", "crash", "answer yes"))
    assert code == 2
    assert verdicts[0]["verdict"] == "abstained"
    assert "hook rrr_step: ZeroDivisionError" in errors


@pytest.mark.parametrize("actions", [[], ["look", 7]])
def test_a_course_needs_texts_as_its_actions(verify_steps: Any, actions: list[Any]) -> None:
    code, _, errors = verify_steps(course(*actions))
    assert code == 2
    assert "answers.jsonl:1: 'actions' must be a list of at least one action, and each be a text or {" in errors


def test_a_task_that_answers_at_once_has_no_actions_to_play(verify: Any) -> None:
    code, _, errors = verify(course("answer yes"))
    assert code == 2
    assert "unknown key 'actions'" in errors
