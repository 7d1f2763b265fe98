"""Fresh attempts: refreshed every few steps, or on-policy, and the same again after a kill."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from rrr_core.episode import Failure, Segment
from rrr_core.errors import DataError, RrrError
from rrr_core.runs.layout import TrainFolder
from rrr_core.training import run as training_run
from rrr_core.training.freshness import (
    ROUNDS,
    Freshness,
    forget_refreshes,
    read_renewals,
    renew,
    stale_share,
)
from rrr_core.training.options import grpo_config
from rrr_core.training.run import train
from rrr_core.training.sampler import FailureOrder
from rrr_core.training.settings import TrainSettings
from rrr_core.training.trainer import ReflectionTrainer
from rrr_core.verdicts import Verdict, abstained, failed, passed
from tests.training.conftest import CoinTask
from tests.training.test_resume import StopAfter, weights
from tests.training.test_trainer import lines

pytestmark = pytest.mark.train

Policy = Callable[[Failure, tuple[Any, ...]], Verdict]


class FakeRollout:
    """Tries failures with a policy's verdicts; `tried` records which ones, call by call."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.tried: list[list[str]] = []
        self.seeds: list[tuple[Any, ...]] = []

    def has_room(self, failure: Failure) -> bool:
        return True

    def attempt(self, failures: Sequence[Failure], seed: tuple[Any, ...]) -> list[tuple[Segment, ...]]:
        self.tried.append([failure.failure_id for failure in failures])
        self.seeds.append(seed)
        verdicts = [self.policy(failure, seed) for failure in failures]
        return [(Segment("attempt", text=f"new {seed}", length=10, verdict=verdict),) for verdict in verdicts]


def passes(*rows: int) -> Policy:
    """A policy that passes these rows and fails all others."""
    return lambda failure, seed: passed() if failure.row_index in rows else failed("tails")


def renewed(wanted: Sequence[Failure], others: Sequence[Failure], policy: Policy) -> tuple[list[Any], FakeRollout]:
    rollout = FakeRollout(policy)
    return renew(wanted, iter(others), lambda tried, number: rollout.attempt(tried, (number,))), rollout


def freshness(failures: Any, folder: Path, policy: Policy, **changes: Any) -> Freshness:
    """On batches of 4 of the 12 failures."""
    settings = TrainSettings(**{"steps": 100, **changes})
    order = FailureOrder(failures=len(failures), groups=4, seed=0)
    return Freshness(failures, order, FakeRollout(policy), settings, folder)  # type: ignore[arg-type]


class TestARenewal:
    def test_replaces_the_attempt_of_a_failure_that_fails_again(self, failures: Any) -> None:
        renewals, _ = renewed(failures[:3], failures[3:], passes())
        assert [each.failure.failure_id for each in renewals] == ["0-0", "1-0", "2-0"]
        assert {each.failure.attempt for each in renewals} == {"new (0,)"}
        assert stale_share(renewals) == 0

    def test_replaces_a_failure_that_passes_by_the_next_that_still_fails(self, failures: Any) -> None:
        renewals, rollout = renewed(failures[:3], failures[3:], passes(1, 3))
        assert [each.failure.failure_id for each in renewals] == ["0-0", "4-0", "2-0"]
        assert rollout.tried == [["0-0", "1-0", "2-0"], ["3-0"], ["4-0"]]
        assert [each.tokens for each in renewals] == [10, 30, 10]
        assert stale_share(renewals) == pytest.approx(1 / 3)

    def test_keeps_the_mined_attempt_where_the_verifier_abstains(self, failures: Any) -> None:
        def policy(failure: Failure, seed: Any) -> Verdict:
            return abstained("timeout", "slow") if failure.row_index == 0 else failed("tails")

        renewals, rollout = renewed(failures[:2], failures[2:], policy)
        assert renewals[0].failure == failures[0]
        assert (renewals[0].outcome, len(rollout.tried)) == ("abstained", 1)
        assert stale_share(renewals) == 0

    def test_skips_other_failures_on_which_the_verifier_abstains(self, failures: Any) -> None:
        def policy(failure: Failure, seed: Any) -> Verdict:
            return {0: passed(), 1: abstained("timeout", "slow")}.get(failure.row_index, failed("tails"))

        renewals, _ = renewed(failures[:1], failures[1:], policy)
        assert renewals[0].failure.failure_id == "2-0"

    def test_falls_back_to_the_mined_attempt_after_its_rounds(self, failures: Any) -> None:
        renewals, rollout = renewed(failures[:2], failures[2:], passes(*range(12)))
        assert [each.failure for each in renewals] == failures[:2]
        assert len(rollout.tried) == ROUNDS
        assert stale_share(renewals) == 1

    def test_falls_back_to_the_mined_attempt_if_no_other_failures_are_left(self, failures: Any) -> None:
        renewals, _ = renewed(failures[:3], failures[3:4], passes(0, 1, 2))
        assert [each.failure.failure_id for each in renewals] == ["3-0", "1-0", "2-0"]

    def test_tries_nothing_if_nothing_is_wanted(self, failures: Any) -> None:
        renewals, rollout = renewed([], failures, passes())
        assert (renewals, rollout.tried, stale_share(renewals)) == ([], [], None)


class TestTheOrder:
    def test_a_step_uses_the_batches_that_its_forward_passes_read(self) -> None:
        plain = FailureOrder(failures=12, groups=4, seed=0, repeats=2, accumulation=2)
        assert [plain.number(step, 0) for step in range(5)] == [0, 1, 2, 3, 4]
        assert plain.numbers(range(2, 5)) == [2, 3, 4]
        twice = FailureOrder(failures=12, groups=4, seed=0, repeats=4, accumulation=2)
        assert [twice.number(step, 0) for step in range(8)] == [0, 0, 1, 1, 2, 2, 3, 3]
        halves = FailureOrder(failures=12, groups=4, seed=0, repeats=1, accumulation=2)
        assert [halves.number(step, done) for step in range(2) for done in range(2)] == [0, 1, 2, 3]
        # The last step of an epoch of three batches has one of them, and the next epoch starts with a new step.
        assert [halves.numbers([step]) for step in range(4)] == [[0, 1], [2], [3, 4], [5]]

    def test_beyond_a_batch_are_its_epochs_other_failures_the_next_ones_first(self) -> None:
        order = FailureOrder(failures=12, groups=4, seed=0)
        assert order.beyond(1) == order.batch(2) + order.batch(0)
        assert sorted(order.batch(4) + order.beyond(4)) == list(range(12))


class TestMinedAttempts:
    def test_are_what_is_chosen_by_default(self, failures: Any, tmp_path: Path) -> None:
        fresh = freshness(failures, tmp_path, passes())
        batch = fresh.order.batch(0)
        chosen = fresh.choose(batch, 0, 0)
        assert chosen.failures == [failures[index] for index in batch]
        assert (chosen.stale, chosen.tokens, fresh.rollout.tried) == (None, 0, [])  # type: ignore[attr-defined]
        assert list(tmp_path.iterdir()) == []

    def test_further_failures_are_not_in_the_batch_and_never_repeat(self, failures: Any, tmp_path: Path) -> None:
        fresh = freshness(failures, tmp_path, passes())
        fresh.choose(fresh.order.batch(0), 0, 0)
        given = [failure.failure_id for _ in range(4) for failure in fresh.further(3, 0, 0, 1).failures]
        assert len(given) == 8
        assert {*given, *(failures[index].failure_id for index in fresh.order.batch(0))} == {
            failure.failure_id for failure in failures
        }


class TestRefreshedAttempts:
    def test_are_found_once_for_the_coming_steps(self, failures: Any, tmp_path: Path) -> None:
        fresh = freshness(failures, tmp_path, passes(), refresh_every=2)
        found = [fresh.choose(fresh.order.batch(step), step, 0) for step in range(4)]
        # Steps 2 and 3 are in different epochs and share two failures.
        assert len({*fresh.order.batch(2), *fresh.order.batch(3)}) == 6
        assert [len(tried) for tried in fresh.rollout.tried] == [8, 6]  # type: ignore[attr-defined]
        assert [chosen.stale for chosen in found] == [0, None, 0, None]
        assert [chosen.tokens for chosen in found] == [80, 0, 60, 0]
        assert [path.name for path in sorted(tmp_path.glob("*.jsonl"))] == [
            "refreshed-00000.jsonl",
            "refreshed-00002.jsonl",
        ]
        assert found[1].failures[0].attempt == found[0].failures[0].attempt != found[2].failures[0].attempt

    def test_are_not_on_rows_that_the_policy_passes(self, failures: Any, tmp_path: Path) -> None:
        order = FailureOrder(failures=12, groups=4, seed=0)
        known = [failures[index].row_index for index in order.batch(0)[:3]]
        fresh = freshness(failures, tmp_path, passes(*known), refresh_every=1)
        chosen = fresh.choose(order.batch(0), 0, 0)
        assert chosen.stale == 3 / 4
        assert not {failure.row_index for failure in chosen.failures} & set(known)
        assert len({failure.failure_id for failure in chosen.failures}) == 4
        further = fresh.further(12, 0, 0, 1).failures
        assert not {each.failure_id for each in further} & {each.failure_id for each in chosen.failures}

    def test_are_read_back_as_they_were_found(self, failures: Any, tmp_path: Path) -> None:
        first = freshness(failures, tmp_path, passes(1, 2, 3), refresh_every=2)
        expected = [first.choose(first.order.batch(step), step, 0) for step in range(2)]
        again = freshness(failures, tmp_path, lambda *_: pytest.fail("tried again"), refresh_every=2)  # type: ignore[return-value]
        assert [again.choose(again.order.batch(step), step, 0) for step in range(2)] == expected
        middle = freshness(failures, tmp_path, passes(), refresh_every=2)
        assert middle.choose(middle.order.batch(1), 1, 0) == expected[1]

    def test_that_are_missing_are_one_clear_error(self, failures: Any, tmp_path: Path) -> None:
        fresh = freshness(failures, tmp_path, passes(), refresh_every=2)
        with pytest.raises(DataError, match=r"refreshed-00002\.jsonl is missing") as raised:
            fresh.choose(fresh.order.batch(3), 3, 0)
        assert "\n" not in str(raised.value)

    @pytest.mark.parametrize(
        ("line", "key"),
        [
            ("{}", "process"),
            ('{"process": 0}', "failure_id"),
            ('{"process": 0, "failure": 1}', "failure_id"),
            ('{"process": 0, "failure_id": "0-0", "outcome": "failed", "failure": 1, "tokens": 3}', "failure"),
        ],
    )
    def test_that_are_damaged_are_one_clear_error(self, line: str, key: str, tmp_path: Path) -> None:
        path = TrainFolder(tmp_path).refreshed(0)
        path.write_text(line + "\n")
        with pytest.raises(DataError, match=rf"refreshed-00000\.jsonl:1: a refreshed attempt's '{key}' must be"):
            read_renewals(path)

    def test_of_repeated_steps_are_forgotten(self, tmp_path: Path) -> None:
        for step in (0, 4, 8):
            TrainFolder(tmp_path).refreshed(step).touch()
        forget_refreshes(tmp_path, after=4)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["refreshed-00000.jsonl", "refreshed-00004.jsonl"]

    def test_are_the_same_in_two_processes_and_one_writes_them(self, failures: Any, tmp_path: Path) -> None:
        order = FailureOrder(failures=12, groups=4, seed=0)
        rollout = FakeRollout(passes(*[failures[index].row_index for index in order.batch(0)[::2]]))
        chosen = []
        for writes in (False, True):
            settings = TrainSettings(refresh_every=1)
            fresh = Freshness(failures, order, rollout, settings, tmp_path, writes=writes)  # type: ignore[arg-type]
            chosen.append(fresh.choose(order.batch(0), 0, 0))
            assert TrainFolder(tmp_path).refreshed(0).exists() is writes
        assert chosen[0] == chosen[1]
        assert chosen[0].stale == 0.5
        read = read_renewals(TrainFolder(tmp_path).refreshed(0))
        assert {each.failure_id for each in read} == {failures[index].failure_id for index in order.batch(0)}

    def test_of_an_older_version_on_several_processes_are_refused(self, tmp_path: Path) -> None:
        path = TrainFolder(tmp_path).refreshed(0)
        path.write_text('{"process": 1}\n')
        with pytest.raises(DataError, match="older version's run on several processes"):
            read_renewals(path)


class TestLiveAttempts:
    def test_are_found_for_each_batch_one_for_each_group_and_without_a_file(
        self, failures: Any, tmp_path: Path
    ) -> None:
        fresh = freshness(failures, tmp_path, passes(), on_policy_attempts=True)
        batch = [index for index in fresh.order.batch(0) for _ in range(8)]
        chosen = fresh.choose(batch, 0, 0)
        assert [len(tried) for tried in fresh.rollout.tried] == [4]  # type: ignore[attr-defined]
        for start in range(0, 32, 8):
            assert len({(one.failure_id, one.attempt) for one in chosen.failures[start : start + 8]}) == 1
        assert {failure.attempt for failure in chosen.failures}.isdisjoint(failure.attempt for failure in failures)
        assert list(tmp_path.iterdir()) == []

    def test_skip_a_row_that_the_policy_passes_in_resampling_too(self, failures: Any, tmp_path: Path) -> None:
        def policy(one: Failure, _: Any) -> Verdict:
            return passed() if one.row_index % 2 else failed("x")

        fresh = freshness(failures, tmp_path, policy, on_policy_attempts=True)
        chosen = fresh.choose(fresh.order.batch(0), 0, 0)
        further = fresh.further(1, 0, 0, 1)
        assert chosen.stale == sum(index % 2 for index in fresh.order.batch(0)) / 4
        rows = [failure.row_index for failure in (*chosen.failures, *further.failures)]
        assert len(set(rows)) == 5
        assert all(row % 2 == 0 for row in rows)

    def test_are_a_pure_function_of_seed_and_step(self, failures: Any, tmp_path: Path) -> None:
        def seeds(step: int) -> list[Any]:
            fresh = freshness(failures, tmp_path, passes(1), on_policy_attempts=True)
            fresh.choose(fresh.order.batch(step), step, 0)
            fresh.further(2, step, 0, 1)
            return fresh.rollout.seeds  # type: ignore[attr-defined,no-any-return]

        assert seeds(0) == seeds(0) != seeds(1)
        assert len(set(seeds(0))) == len(seeds(0))


@pytest.fixture
def stale_rows() -> CoinTask:
    """A task that passes any first attempt at an odd row, and judges retries as usual."""

    class Easy(CoinTask):
        name = "easy"

        def verify(self, row: Any, answer: str) -> Verdict:
            return passed() if row["n"] % 2 else super().verify(row, answer)

    return Easy()


def test_the_share_of_stale_failures_is_logged_when_they_are_tried_again(
    stale_rows: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    often = dataclasses.replace(settings, refresh_every=2, max_attempt_tokens=6)
    train(stale_rows, failures, model_settings, tmp_path / "t", often)
    metrics = lines(tmp_path / "t" / "metrics.jsonl")
    assert [record["step"] for record in metrics if "stale_failures" in record] == [1, 3]
    for step in (0, 2):
        records = lines(TrainFolder(tmp_path / "t").refreshed(step))
        share = sum(record["outcome"] == "passed" for record in records) / len(records)
        assert metrics[step]["stale_failures"] == pytest.approx(share)
        assert all(
            record["outcome"] == "passed" for record in records if int(record["failure_id"].partition("-")[0]) % 2
        )
        assert metrics[step]["sampled_tokens"] > sum(record["tokens"] for record in records) > 0


def test_trls_table_of_completions_shows_the_attempts_that_were_reflected_on(
    monkeypatch: pytest.MonkeyPatch, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    shown: list[tuple[list[Any], list[Any]]] = []

    class Kept(ReflectionTrainer):
        def _generate_and_score_completions(self, inputs: Any) -> Any:
            output = super()._generate_and_score_completions(inputs)
            shown.append((list(self._logs["prompt"]), [example["episode"] for example in inputs]))
            return output

        def log(self, logs: Any, start_time: float | None = None) -> None:
            self.log_completions = False  # or it would be printed

    monkeypatch.setattr(training_run, "ReflectionTrainer", Kept)
    logging = dataclasses.replace(
        settings, steps=1, save_every=1, on_policy_attempts=True, grpo={"log_completions": "true"}
    )
    train(CoinTask(), failures, model_settings, tmp_path / "t", logging)
    ((prompts, episodes),) = shown
    assert [prompt[1]["content"] for prompt in prompts] == [episode.attempt.text for episode in episodes]
    assert {prompt[1]["content"] for prompt in prompts}.isdisjoint(failure.attempt for failure in failures)


@pytest.mark.parametrize("changes", [{"refresh_every": 2}, {"refresh_every": 3}, {"on_policy_attempts": True}], ids=str)
@pytest.mark.parametrize("stop", [3, 5])
def test_an_interrupted_run_ends_bit_equal_to_an_uninterrupted_one(
    stop: int, changes: Any, failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    settings = dataclasses.replace(settings, steps=6, max_attempt_tokens=6, zero_variance="resample", **changes)
    train(CoinTask(), failures, model_settings, tmp_path / "whole", settings)
    with pytest.raises(KeyboardInterrupt):
        train(CoinTask(), failures, model_settings, tmp_path / "cut", settings, StopAfter(stop))
    train(CoinTask(), failures, model_settings, tmp_path / "cut", settings)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    whole = {path.name for path in (tmp_path / "whole").glob("*-*.jsonl")}
    assert whole == {path.name for path in (tmp_path / "cut").glob("*-*.jsonl")}
    for name in {"episodes.jsonl", *whole}:
        assert (tmp_path / "cut" / name).read_text() == (tmp_path / "whole" / name).read_text()
    logged = [lines(tmp_path / run / "metrics.jsonl") for run in ("cut", "whole")]
    for ours, theirs in zip(*logged, strict=True):
        for name in ("stale_failures", "groups_refilled", "sampled_tokens", "loss"):
            assert ours.get(name) == theirs.get(name)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"on_policy_attempts": True, "refresh_every": 5}, "give one of them"),
        ({"refresh_every": 3, "save_every": 2, "grpo": {"num_iterations": "2"}}, "--refresh-every to one"),
    ],
)
def test_contradictory_options_are_one_clear_line(changes: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(RrrError, match=said) as raised:
        grpo_config(TrainSettings(**changes), tmp_path, "float32", None, 1)
    assert "\n" not in str(raised.value)


def test_steps_that_share_a_generation_take_whole_groups_of_each_process(tmp_path: Path) -> None:
    apart = TrainSettings(batch_size=24, group_size=8, micro_batch_size=4, grpo={"steps_per_generation": "12"})
    assert grpo_config(apart, tmp_path, "float32", None, 1).steps_per_generation == 12
    with pytest.raises(RrrError, match="12 of a step's reflections, not whole groups of 8"):
        grpo_config(apart, tmp_path, "float32", None, 2)
    assert grpo_config(dataclasses.replace(apart, group_size=4), tmp_path, "float32", None, 2).steps_per_generation == 6
    with pytest.raises(RrrError, match="is 12, which 8 processes cannot share"):
        grpo_config(
            dataclasses.replace(apart, micro_batch_size=1, batch_size=8, group_size=4), tmp_path, "float32", None, 8
        )
