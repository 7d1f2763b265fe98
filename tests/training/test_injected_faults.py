"""Faults of every kind in the verifier while a model is trained: `benchmarks/faults.py` on a tiny model.

The plugin and the faulty overlay are installed as distributions, so that the verifier's own process imports them.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("torch")

from rrr_core.episode import Failure
from rrr_core.tasks import load_task
from rrr_core.training.settings import TrainSettings
from rrr_core.verdicts import abstained, failed, passed
from rrr_core.verification import Judge, VerifySettings
from tests.conftest import FakeSite
from tests.episodes import make_episode

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone"),
]

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TIGHT = VerifySettings(seconds=1.0, cpu_seconds=0.3, memory_mb=128, workers=2)
COIN = """
    import hashlib
    from rrr_core import failed, hookimpl, passed
    from rrr_core.hookspecs import trusted

    @hookimpl
    def rrr_load_dataset(split):
        for number in range(12):
            yield {"n": number}

    @hookimpl
    def rrr_prompt(row):
        return f"Toss {row['n']}."

    @hookimpl
    def rrr_reflection_prompt():
        return "Wrong. Reflect."

    @hookimpl
    @trusted
    def rrr_verify(answer):
        return passed() if hashlib.sha256(answer.encode()).digest()[0] % 2 else failed("tails")
"""


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("faults")


@pytest.fixture
def injected(faults: ModuleType) -> ModuleType:
    return importlib.import_module("injected_faults")


@pytest.fixture
def audit(faults: ModuleType) -> ModuleType:
    return importlib.import_module("fault_audit")


def answers_by_fault(injected: ModuleType, plan: Any) -> dict[str | None, str]:
    """An answer for each fault, and one (None) without a fault."""
    found: dict[str | None, str] = {}
    for number in range(10_000):
        answer = f"answer {number}"
        found.setdefault(injected.fault_of(plan, {"n": 0}, answer), answer)
    return found


def test_each_fault_is_an_abstention_of_its_kind_and_the_batch_goes_on(
    faults: ModuleType, injected: ModuleType, site: FakeSite
) -> None:
    plan = injected.Plan(share=0.5, salt="each")
    site.install_task("coin", COIN)
    injected.install(site.folder, plan)
    answers = answers_by_fault(injected, plan)
    sound = answers.pop(None)
    pairs = [({"n": 0}, answer) for name in answers for answer in (answers[name], sound)]
    task = load_task("coin", [injected.OVERLAY])
    with Judge(task, max_abstain=1.0, settings=TIGHT) as judge:
        record = [(*pair, verdict) for pair, verdict in zip(pairs, judge.judge(pairs), strict=True)]
    judged = faults.settled(task, plan, record, TIGHT)
    assert {item.fault: (item.settled.outcome, item.settled.category) for item in judged[::2]} == {
        name: ("abstained", fault.kind) for name, fault in injected.FAULTS.items()
    }
    assert {item.settled for item in judged[1::2]} == {load_task("coin").verify({"n": 0}, sound)}


def test_no_fault_enters_a_reward_and_the_counts_agree_with_what_was_injected(
    faults: ModuleType,
    injected: ModuleType,
    site: FakeSite,
    failures: list[Failure],
    tiny_model: Path,
    settings: TrainSettings,
    tmp_path: Path,
) -> None:
    plan = injected.Plan(share=0.3, salt="train")
    site.install_task("coin", COIN)
    injected.install(site.folder, plan)
    task = load_task("coin", [injected.OVERLAY])
    judged, problems = faults.train_and_audit(
        task, plan, failures, str(tiny_model), tmp_path / "train", settings, TIGHT
    )
    assert problems == []
    assert len(judged) > settings.steps * settings.batch_size / 2, "most reflections get a retry"
    assert len({item.kind for item in judged if item.fault}) >= 4
    assert {item.verdict.outcome for item in judged} == {"passed", "failed", "abstained"}


class TestTheAudit:
    """The audit detects each fault it looks for."""

    WHO = "rrr-injected-faults 1.0, hook rrr_verify: injected"

    def test_of_verdicts_finds_a_fault_that_became_a_reward(self, audit: ModuleType) -> None:
        item = audit.Judged({}, "x", "raises", passed())
        assert "'raises' became" in next(audit.wrong_verdicts([item], [passed()]))

    def test_of_verdicts_finds_a_fault_of_another_kind(self, audit: ModuleType) -> None:
        item = audit.Judged({}, "x", "raises", abstained("crash", self.WHO))
        assert "'raises' became" in next(audit.wrong_verdicts([item], [passed()]))

    def test_of_verdicts_finds_a_fault_blamed_on_another(self, audit: ModuleType) -> None:
        item = audit.Judged({}, "x", "raises", abstained("exception", "rrr-coin 1.0, hook rrr_verify: injected"))
        assert "blamed on nobody" in next(audit.wrong_verdicts([item], [passed()]))

    def test_of_verdicts_finds_a_verdict_that_a_fault_beside_it_changed(self, audit: ModuleType) -> None:
        item = audit.Judged({}, "x", None, failed("tails"))
        assert "without faults" in next(audit.wrong_verdicts([item], [passed()]))

    def test_of_verdicts_lets_pass_what_came_late_and_was_right_when_judged_alone(self, audit: ModuleType) -> None:
        item = audit.Judged({}, "x", None, abstained("timeout", self.WHO), alone=passed())
        assert item.is_late
        assert list(audit.wrong_verdicts([item], [passed()])) == []

    def test_of_failures_finds_one_whose_verdict_was_withheld(self, audit: ModuleType, failures: list[Failure]) -> None:
        first = failures[0]
        item = audit.Judged(first.row, first.attempt, "raises", abstained("exception", self.WHO))
        assert list(audit.wrong_failures(failures, [item])) == ["failure 0-0 is of an attempt that was not judged"]

    def test_of_rewards_finds_a_reward_or_an_advantage_that_a_fault_moved(self, audit: ModuleType) -> None:
        def wrong(rewards: list[float | None], advantages: list[float]) -> list[str]:
            verdicts = [passed(), abstained("exception", self.WHO), failed("tails")]
            judged = [audit.Judged({}, "x", None, verdict) for verdict in verdicts]
            kept = [
                make_episode(
                    failed("tails"), verdict, attempt="tails", retry="x", step=1, reward=reward, advantage=advantage
                )
                for verdict, reward, advantage in zip(verdicts, rewards, advantages, strict=True)
            ]
            return list(audit.wrong_rewards(kept, judged, group_size=3))

        # Mean 0.5 and sample deviation 0.70711 of the two that were judged.
        assert wrong([1.0, None, 0.0], [0.707007, 0.0, -0.707007]) == []
        (line,) = wrong([1.0, 0.0, 0.0], [0.707007, 0.0, -0.707007])
        assert "got the reward 0.0" in line
        (line,) = wrong([1.0, None, 0.0], [0.707007, 0.01, -0.707007])
        assert "got the advantage 0.01, not 0.0" in line
        # As if the fault had counted as a failure: mean 1/3, deviation 0.57735.
        assert len(wrong([1.0, 0.0, 0.0], [1.154501, -0.577250, -0.577250])) == 4

    def test_of_counts_finds_an_abstention_that_was_not_counted(self, audit: ModuleType) -> None:
        items = [
            audit.Judged({}, "x", "raises", abstained("exception", self.WHO)),
            audit.Judged({}, "y", None, passed()),
        ]
        metrics = [{"step": 1, "abstentions": 1, "reward": 1.0}]
        assert list(audit.wrong_counts(items, metrics, 1, steps=1)) == []
        assert list(audit.wrong_counts(items, metrics, 0, steps=1)) == [
            "1 faults, but the summary counts 0 abstentions"
        ]
        assert "metrics count 0" in next(audit.wrong_counts(items, [{**metrics[0], "abstentions": 0}], 1, steps=1))
