"""Faults of every kind in a whole job: none becomes a failure or enters a figure, and all are counted."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from rrr_core.errors import TooManyAbstentions
from rrr_core.evaluation import EvalSettings, evaluate, read_episodes
from rrr_core.mining import MineSettings, mine
from rrr_core.mining.failure_set import read_failures
from rrr_core.verification import VerifySettings
from tests.fakes import ScriptedGenerator
from tests.verification.conftest import needs_fork

pytestmark = needs_fork

PLANTED = {
    "raise ValueError": "exception",
    "9**9**9": "timeout",
    "import time; time.sleep(600)": "timeout",
    "bytearray(1 << 40)": "memory",
    "import os; os._exit(0)": "exit",
    "import os; os.kill(os.getpid(), 11)": "crash",
    "import os; os.write(3, b'[0,\"passed\"]\\n')": "bad verdict",
}
"""Model text → the kind of abstention when a verifier runs it."""
LIMITS = VerifySettings(seconds=3, cpu_seconds=0.2, memory_mb=256, workers=2)


def plant(conversation, chance):
    """Right, wrong, or one fault of each kind by turns: the rows' numbers decide."""
    number = int(conversation[0]["content"].split()[1])
    if number % 3 == 0:
        return list(PLANTED)[number // 3 % len(PLANTED)]
    return "right" if number % 3 == 1 else f"wrong {number}"


BODY = """
    if answer.startswith(("right", "wrong")):
        return passed() if answer == "right" else failed("wrong")
    exec(answer)
    return passed()
"""


@pytest.fixture
def task(make_task):
    task = make_task(BODY)
    task.load_dataset = lambda split, options=None: iter([{"number": n} for n in range(21)])
    task.prompt = lambda row, model: ({"role": "user", "content": f"Row {row['number']}"},)
    task.retry_prompt = lambda row, model: f"Row {row['number']}"
    return task


def test_mining_sets_the_rows_aside_each_with_its_kind(task, tmp_path):
    settings = MineSettings(rows=21, tries=1, max_abstain=1.0)
    summary = mine(task, ScriptedGenerator(plant), tmp_path / "run", settings, {}, verify=LIMITS)
    failures = read_failures(tmp_path / "run")
    assert [failure.row["number"] for failure in failures] == [2, 5, 8, 11, 14, 17, 20]
    assert all(failure.verdict.is_failed for failure in failures)
    records = [json.loads(line) for line in (tmp_path / "run" / "shard-00000.jsonl").read_text().splitlines()]
    withheld = [verdict["category"] for record in records for verdict in record["withheld"]]
    assert withheld == list(PLANTED.values())
    assert summary.rows == 21


def test_evaluation_keeps_them_out_of_every_denominator(task, tmp_path):
    settings = EvalSettings(rows=21, modes=("greedy",), controls=(), max_abstain=1.0)
    made = evaluate(task, ScriptedGenerator(plant), tmp_path / "run", "faulty", settings, {}, verify=LIMITS)
    verdicts = [episode.verdict for episode in read_episodes(tmp_path / "run", "greedy")]
    assert Counter(verdict.category for verdict in verdicts if verdict.is_abstained) == Counter(PLANTED.values())
    greedy = made.modes["greedy"]
    assert greedy.abstentions["first_try"] == 7
    assert (greedy.shares["first_try"].passed, greedy.shares["first_try"].total) == (7, 14)


def test_too_many_faults_stop_the_job_and_name_the_offender(task, tmp_path):
    settings = MineSettings(rows=21, tries=1, max_abstain=0.01)
    with pytest.raises(TooManyAbstentions, match=r"rrr-naive 1\.0 .* withheld 7 of 21"):
        mine(task, ScriptedGenerator(plant), tmp_path / "run", settings, {}, verify=LIMITS)
