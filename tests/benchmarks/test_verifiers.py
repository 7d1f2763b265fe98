"""The comparison of verifiers: what counts as right, and that a peer which hangs, dies or runs code is noticed."""

import sys
from pathlib import Path

import pytest

from rrr_core.hookspecs import Example

pytest.importorskip("rrr_countdown")
if sys.platform == "win32":
    pytest.skip("peers run in processes with limits that Windows lacks", allow_module_level=True)

RIGHT = Example({}, "", "passed", reason="right")
WRONG = Example({}, "", "failed", "x", "wrong")


def test_a_verdict_is_right_if_its_outcome_is_and_no_verdict_never_is():
    from verifiers import Result

    result = Result("x", "countdown")
    for case, passed in ((RIGHT, True), (WRONG, False), (RIGHT, False), (WRONG, True), (WRONG, None)):
        result.count("group", case, passed)
    assert (result.cases["group"], result.right["group"]) == (5, 2)
    assert (result.false_failures, result.false_passes) == (1, 1)
    assert result.wrong == ["group: right", "group: wrong", "group: wrong"]


@pytest.fixture
def child(tmp_path):
    """A peer that passes `yes`, hangs on `hang`, dies on `die` and writes a file on `write`."""
    from verifiers import Child

    script = tmp_path / "peer.py"
    script.write_text(
        "import json, os, sys, time\n"
        "print(json.dumps({'ready': True}), flush=True)\n"
        "for line in sys.stdin:\n"
        "    answer = json.loads(line)['answer']\n"
        "    answer == 'hang' and time.sleep(60)\n"
        "    answer == 'die' and os._exit(1)\n"
        "    answer == 'write' and open('canary', 'w').close()\n"
        "    print(json.dumps({'passed': answer == 'yes', 'token': os.environ.get('TOKEN')}), flush=True)\n"
    )
    made = Child(sys.executable, "any")
    made.command = [sys.executable, str(script)]
    yield made
    made.close()


def ask(child, answer):
    return child.ask({"row": {}, "answer": answer}, 30 if answer != "hang" else 0.5)


def test_a_peer_that_hangs_or_dies_is_restarted(child):
    assert ask(child, "yes")["passed"]
    assert ask(child, "hang") is None
    assert ask(child, "die") is None
    assert ask(child, "yes")["passed"]
    assert not ask(child, "no")["passed"]


def test_a_peer_runs_in_a_scratch_folder_without_our_environment(child, monkeypatch):
    monkeypatch.setenv("TOKEN", "secret")
    assert ask(child, "write")["token"] is None
    assert [path.name for path in Path(child.scratch.name).iterdir()] == ["canary"]


def test_a_closed_peer_leaves_nothing(child):
    ask(child, "yes")
    process, folder = child.process, child.scratch.name
    child.close()
    assert process.poll() is not None
    assert not Path(folder).exists()


def test_the_table_has_a_column_per_verifier_and_a_line_per_group():
    from verifiers import Result, table

    results = [Result("rrr", "countdown", verdicts_per_second=50_000), Result("peer", "countdown", runs_code=True)]
    for result in results:
        result.count("powers", WRONG, result.name == "peer")
    lines = table(results).splitlines()
    assert lines[0] == "| countdown | rrr | peer |"
    assert "| verdicts per second | 50,000 | 0 |" in lines
    assert "| runs the answer as code | no | yes |" in lines
    assert "| right: powers | 1/1 | 0/1 |" in lines


def test_half_of_the_ordinary_answers_are_right():
    from rrr_countdown.equations import verify
    from verifiers import ordinary

    outcomes = [verify(row, answer).outcome for row, answer in ordinary("countdown")]
    assert outcomes.count("passed") == outcomes.count("failed") > 50
