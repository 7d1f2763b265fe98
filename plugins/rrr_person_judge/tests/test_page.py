"""A person judges on a page: what its server sends and accepts, from whom, and how the job ends."""

from __future__ import annotations

import json
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from cases import HOSTILE, Job, give, outcomes, paged, pairs_of, verify_command, write_answers
from rrr_person_judge.desk import Desk
from rrr_person_judge.options import PersonOptions
from rrr_person_judge.page import PageFace
from rrr_person_judge.sitting import Stopped

from rrr_core import Verdict
from rrr_core.errors import RrrError


def test_a_batch_is_judged_and_handed_over(job: Job) -> None:
    future = job.judge("one", "two", "three")
    give(job.client, 0, "passed")
    give(job.client, 1, "failed", "rude")
    state = give(job.client, 2, "abstained")
    assert state["outcomes"] == ["passed", "failed", "abstained"]
    assert not future.done()
    assert job.client.post("finish", sitting=state["sitting"])["sitting"] is None
    assert future.result(10) == [
        Verdict("passed"),
        Verdict("failed", "rude"),
        Verdict("abstained", "withheld", "the person cannot tell"),
    ]


def test_an_item_has_question_row_and_answer_and_nothing_from_the_verifier(job: Job) -> None:
    job.judge("one")
    state = job.client.ask("state")
    item = job.client.ask(f"item?sitting={state['sitting']}&index=0")
    assert item == {
        "index": 0,
        "question": [{"role": "user", "content": "What is 0 + 1?"}],
        "row": '{\n  "a": 0,\n  "b": 1\n}',
        "answer": "one",
        "outcome": "",
        "category": "",
    }


def test_the_same_answer_twice_in_a_batch_is_asked_once(job: Job) -> None:
    pairs = pairs_of(["one", "two"])
    thread = threading.Thread(target=lambda: found.extend(job.desk.judge([*pairs, *pairs])))
    found: list[Verdict] = []
    thread.start()
    assert len(job.client.waited_for()["outcomes"]) == 2
    give(job.client, 0, "passed")
    state = give(job.client, 1, "failed")
    job.client.post("finish", sitting=state["sitting"])
    thread.join()
    assert [verdict.outcome for verdict in found] == ["passed", "failed"] * 2


def test_the_page_stays_at_its_address_for_the_next_batch(job: Job) -> None:
    for answer in ("one", "two"):
        future = job.judge(answer)
        state = give(job.client, 0, "passed")
        job.client.post("finish", sitting=state["sitting"])
        assert future.result(10) == [Verdict("passed")]


def test_a_verdict_can_be_changed_and_taken_back_until_the_batch_is_handed_over(job: Job) -> None:
    job.judge("one", "two")
    give(job.client, 0, "passed")
    state = give(job.client, 0, "failed", "rude")
    assert state["outcomes"] == ["failed", ""]
    assert state["categories"] == ["rude"]
    state = job.client.post("undo", sitting=state["sitting"])
    assert (state["undone"], state["outcomes"]) == (0, ["", ""])
    assert job.client.post("undo", sitting=state["sitting"])["undone"] is None


def test_a_batch_with_an_open_answer_cannot_be_handed_over(job: Job) -> None:
    job.judge("one", "two")
    state = give(job.client, 0, "passed")
    status, _, _ = job.client.send("finish", json.dumps({"sitting": state["sitting"]}).encode())
    assert status == 409


def test_stopping_ends_the_job_with_a_line_and_keeps_what_was_judged(job: Job) -> None:
    future = job.judge("one", "two")
    state = give(job.client, 0, "passed")
    job.client.post("stop", sitting=state["sitting"])
    with pytest.raises(Stopped, match="1 of the 2 answers asked for now are judged"):
        future.result(10)
    assert len(job.desk.file.verdicts) == 1


def test_a_page_left_open_cannot_judge_a_later_batch(job: Job) -> None:
    future = job.judge("one")
    old = give(job.client, 0, "passed")
    job.client.post("finish", sitting=old["sitting"])
    future.result(10)
    job.judge("two")
    late = {"sitting": old["sitting"], "index": 0, "outcome": "passed"}
    status, _, content = job.client.send("verdict", json.dumps(late).encode())
    assert (status, content) == (409, b"These answers are no longer asked for.\n")


@pytest.mark.parametrize(
    "wrong",
    [
        {"index": 9, "outcome": "passed"},
        {"index": -1, "outcome": "passed"},
        {"index": True, "outcome": "passed"},
        {"index": 0, "outcome": "undone"},
        {"index": 0, "outcome": "failed", "category": ["x"]},
        {"index": 0},
    ],
)
def test_a_malformed_verdict_is_refused(job: Job, wrong: dict[str, Any]) -> None:
    job.judge("one")
    sitting = job.client.ask("state")["sitting"]
    status, _, _ = job.client.send("verdict", json.dumps({"sitting": sitting, **wrong}).encode())
    assert status == 400
    assert job.client.ask("state")["outcomes"] == [""]


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b"[" * 60_000, b"\xff"])
def test_a_body_that_is_not_an_object_is_refused(job: Job, body: bytes) -> None:
    assert job.client.send("verdict", body)[0] == 400


def test_nothing_is_answered_without_the_token(job: Job) -> None:
    token = job.face.address.split("/")[3]
    for path in ("/", "/state", "/person.js", f"/{token[:-1]}/state", f"/{token}x/state", f"/{token}", "//", "/%00/"):
        assert job.client.send(path)[0] == 404, path
        assert job.client.send(path, b"{}")[0] == 404, path


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "evil.example:80", "", "[::1]:80"])
def test_another_name_for_this_address_is_refused(job: Job, host: str) -> None:
    assert job.client.send("state", headers={"Host": host})[0] == 403
    assert job.client.send("stop", b"{}", {"Host": host})[0] == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Length": "99999999"}, 413),
        ({"Content-Length": "-1"}, 411),
        ({"Content-Length": "x"}, 411),
    ],
)
def test_a_verdict_that_the_page_did_not_send_is_refused(job: Job, headers: dict[str, str], status: int) -> None:
    job.judge("one")
    body = b"" if "Content-Length" in headers else json.dumps({"sitting": 1, "index": 0, "outcome": "passed"}).encode()
    assert job.client.send("verdict", body, headers)[0] == status
    assert job.client.ask("state")["outcomes"] == [""]


def test_asking_changes_nothing(job: Job) -> None:
    job.judge("one")
    for path in ("verdict?sitting=1&index=0&outcome=passed", "stop?sitting=1", "finish", "undo"):
        assert job.client.send(path)[0] == 404
    assert job.client.ask("state")["outcomes"] == [""]


def test_the_server_listens_to_this_machine_only(job: Job) -> None:
    port = int(job.client.host.split(":")[1])
    with socket.socket() as other, pytest.raises(OSError, match="refused"):
        other.connect(("127.0.0.2", port))


def test_every_response_allows_only_the_pages_own_script(job: Job) -> None:
    for path in ("", "person.js", "person.css", "state", "nowhere"):
        headers = job.client.send(path)[1]
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_has_no_inline_script_or_style_and_loads_only_from_here(job: Job) -> None:
    page = job.client.send("")[2].decode()
    assert "<script src=" in page
    assert page.count("<script") == 1
    assert "<style" not in page
    assert " on" not in page.replace(" one", "").replace(" only", "")
    assert "://" not in page


def test_hostile_answers_reach_the_page_unchanged(job: Job) -> None:
    job.judge(HOSTILE)
    assert job.client.ask("item?sitting=1&index=0")["answer"] == HOSTILE


def test_a_verdict_that_cannot_be_kept_ends_the_job_with_its_line(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RrrError("the disk is full")

    future = job.judge("one")
    monkeypatch.setattr(job.desk.file, "keep", fails)
    body = json.dumps({"sitting": 1, "index": 0, "outcome": "passed"}).encode()
    status, _, content = job.client.send("verdict", body)
    assert (status, content) == (500, b"the disk is full\n")
    with pytest.raises(RrrError, match="the disk is full"):
        future.result(10)


def test_a_question_that_the_task_cannot_word_ends_the_job_with_its_line(job: Job) -> None:
    thread_error: list[RrrError] = []

    def work() -> None:
        try:
            job.desk.judge([({"unknown": 1}, "one")])
        except RrrError as error:
            thread_error.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    job.client.waited_for()
    assert job.client.send("item?sitting=1&index=0")[0] == 500
    thread.join()
    assert "hook rrr_prompt" in str(thread_error[0])


def test_a_taken_port_is_reported(job: Job, tmp_path: Path) -> None:
    port = job.client.host.split(":")[1]
    desk = Desk(PersonOptions(file=str(tmp_path / "other.jsonl"), page=port), "sums")
    with pytest.raises(RrrError, match=f"option page: the port {port} is not available"):
        desk.judge(pairs_of(["one"]))
    desk.close()


def test_a_port_is_free_again_at_once(sums: Path, tmp_path: Path) -> None:
    first = Job(tmp_path)
    assert first.client.ask("state")["sitting"] is None
    port = first.client.host.split(":")[1]
    first.close()
    PageFace("sums", int(port)).close()


@pytest.fixture
def folder(sums: Path, tmp_path: Path) -> Path:
    write_answers(tmp_path / "answers.jsonl", ["one", "two", "three"])
    return tmp_path


def test_rrr_verify_judges_on_a_page(folder: Path, sums: Path) -> None:
    with paged(verify_command(sums, "answers.jsonl", "page=auto"), folder) as (process, client):
        client.waited_for()
        for index in range(3):
            state = give(client, index, "passed")
        client.post("finish", sitting=state["sitting"])
        output, errors = process.communicate(timeout=30)
    assert outcomes(output) == ["passed"] * 3
    assert errors == "3 passed, 0 failed, 0 abstained\n"


def test_what_was_judged_before_kill_9_is_there_in_the_next_call(folder: Path, sums: Path) -> None:
    command = verify_command(sums, "answers.jsonl", "page=auto")
    with paged(command, folder) as (process, client):
        client.waited_for()
        give(client, 1, "failed", "rude")
        process.send_signal(signal.SIGKILL)
        process.wait()
    with paged(command, folder) as (process, client):
        assert client.waited_for()["outcomes"] == ["", "failed", ""]


def test_control_c_ends_job_and_page_and_says_how_to_resume(folder: Path, sums: Path) -> None:
    with paged(verify_command(sums, "answers.jsonl", "page=auto"), folder) as (process, client):
        client.waited_for()
        give(client, 0, "passed")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
        assert (output, process.returncode) == ("", 130)
        assert "person-judge: stopped: 1 of the 3 answers asked for now are judged" in errors
        assert "Traceback" not in errors
        with pytest.raises(ConnectionError):
            client.ask("state")
