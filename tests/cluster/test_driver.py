"""A cluster's actors do a stage's work, and nobody can see it in the results: in one process, with actors that die."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rrr_core
from rrr_core.cluster import driver
from rrr_core.cluster.actor import ShardActor
from rrr_core.cluster.driver import AHEAD, DEATHS, FAILED_STARTS, Actors
from rrr_core.cluster.settings import ClusterSettings
from rrr_core.errors import ModelError, PluginError, RrrError, TooManyAbstentions
from rrr_core.evaluation import EvalSettings, evaluate
from rrr_core.generation import ModelSettings
from rrr_core.hookspecs import Message, Row, hookimpl, trusted
from rrr_core.mining import MineSettings, mine
from rrr_core.tasks import Task
from rrr_core.verdicts import Verdict, failed, passed
from tests.cluster.fake_pool import Dies, FakePool
from tests.fakes import KeptProgress, ScriptedGenerator, right_or_wrong, task_of

MINE = MineSettings(rows=40, tries=6, shard_rows=4, seed=3)
EVAL = EvalSettings(rows=20, shard_rows=3, seed=5)
MODEL = ModelSettings(model="scripted")


@pytest.fixture(autouse=True)
def _no_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests write many small files, and none is about what a disk keeps."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def tricky_task(size: int = 40) -> Task:
    """Rows with values that data frames change; no two have the same fields."""

    @hookimpl
    def rrr_load_dataset(split: str) -> Iterator[Row]:
        for number in range(size):
            kinds: list[Any] = [
                1,
                1.0,
                True,
                None,
                {},
                [],
                "2020-01-01",
                "\ud800 \u2028",
                2**70,
                {"a": [1, 1.0, "1"]},
                1e-300,
            ]
            yield {"number": number, f"field {number % 7}": kinds[number % len(kinds)], "mixed": kinds[number % 5]}

    @hookimpl
    def rrr_prompt(row: Row) -> str:
        return f"Say {json.dumps(row)}."

    @hookimpl
    @trusted
    def rrr_verify(row: Row, answer: str) -> Verdict:
        if answer.startswith("crash"):
            raise ZeroDivisionError("of the verifier")
        return passed() if answer.startswith("right") else failed("wrong number", answer)

    return task_of("tricky", rrr_load_dataset, rrr_prompt, rrr_verify)


def actor_maker(
    task: Callable[[], Task] = tricky_task, engine: Callable[[], ScriptedGenerator] = ScriptedGenerator
) -> Callable[[], ShardActor]:
    return lambda: ShardActor(make=lambda _: engine(), load=lambda _name, _overlays: task())


def workers(pool: FakePool, wanted: int = 3, **options: Any) -> Actors:
    return Actors(pool, wanted, MODEL, **options)


def mined(folder: Path, pool: FakePool | None = None, chosen: MineSettings = MINE, wanted: int = 3) -> dict[str, bytes]:
    """The shards of a failure set that this process has mined, or a pool."""
    if pool is None:
        mine(tricky_task(), ScriptedGenerator(), folder, chosen, {})
    else:
        with workers(pool, wanted) as actors:
            mine(tricky_task(), actors.engine, folder, chosen, {}, executor=actors)
    return shards(folder)


def evaluated(folder: Path, pool: FakePool | None = None, chosen: EvalSettings = EVAL) -> dict[str, bytes]:
    """The shards and the figures of an evaluation."""
    if pool is None:
        evaluate(tricky_task(), ScriptedGenerator(), folder, "x", chosen, {})
    else:
        with workers(pool) as actors:
            evaluate(tricky_task(), actors.engine, folder, "x", chosen, {}, executor=actors)
    return {**shards(folder), "figures.json": (folder / "figures.json").read_bytes()}


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.jsonl"))}


def dying(seed: int, share: float) -> Dies:
    chance = random.Random(seed)
    return lambda actor, method, texts: method == "make" and chance.random() < share


@pytest.mark.parametrize(
    "chosen",
    [MINE, replace(MINE, rounds=3), replace(MINE, failures_wanted=12), replace(MINE, failures_wanted=1000)],
    ids=["tries", "rounds", "enough", "sweeps"],
)
def test_a_failure_set_has_the_bytes_of_this_process_whatever_the_order_of_its_shards(
    chosen: MineSettings, tmp_path: Path
) -> None:
    here = mined(tmp_path / "here", chosen=chosen)
    assert len(here) >= 3
    for seed in range(3):
        assert mined(tmp_path / f"{seed}", FakePool(actor_maker(), seed=seed), chosen) == here


def test_so_has_an_evaluation(tmp_path: Path) -> None:
    chosen = replace(EVAL, rounds=2, decide=("agreement",))
    here = evaluated(tmp_path / "here", chosen=chosen)
    assert len(here) == 2 * 7 + 1
    assert evaluated(tmp_path / "there", FakePool(actor_maker()), chosen) == here


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.1, 0.3]), wanted=st.integers(1, 5))
def test_actors_that_die_at_any_moment_lose_and_double_nothing(
    tmp_path_factory: pytest.TempPathFactory, seed: int, share: float, wanted: int
) -> None:
    folder = tmp_path_factory.mktemp("mined")
    chance, deaths = random.Random(seed), dict[str, int]()

    def dies(actor: int, method: str, texts: Sequence[str]) -> bool:
        dead = chance.random() < share
        if method == "make" and dead:
            deaths[texts[1]] = deaths.get(texts[1], 0) + 1
            dead = deaths[texts[1]] <= DEATHS
        return dead and (method == "make" or actor % 4 == 1)

    assert mined(folder / "a", FakePool(actor_maker(), dies, seed=seed), wanted=wanted) == mined(folder / "b")


def test_a_shard_that_an_actor_died_at_is_worked_on_again_and_no_other_is(tmp_path: Path) -> None:
    killed: list[str] = []

    def dies(actor: int, method: str, texts: Sequence[str]) -> bool:
        if method == "make" and '"number": 2,' in texts[1] and not killed:
            killed.append(texts[1])
            return True
        return False

    pool = FakePool(actor_maker(), dies)
    mined(tmp_path / "there", pool)
    assert len(killed) == 1
    assert len(pool.made) == len(set(pool.made)) == 10
    assert pool.started == 3 + 1


def test_rows_that_end_every_actor_end_the_job_in_one_line_that_names_them(tmp_path: Path) -> None:
    here = mined(tmp_path / "here")
    pool = FakePool(actor_maker(), lambda actor, method, texts: method == "make" and '"number": 21,' in texts[1])
    with pytest.raises(RrrError, match=r"rows 20 to 23 \(shard-00005-6\) died, 5 times") as raised:
        mined(tmp_path / "there", pool)
    assert "\n" not in str(raised.value)
    kept = shards(tmp_path / "there")
    assert list(kept) == [f"shard-0000{number}.jsonl" for number in range(5)]
    assert kept.items() <= here.items()
    assert pool.is_closed
    # With what killed them fixed, the same command resumes.
    pool = FakePool(actor_maker())
    assert mined(tmp_path / "there", pool) == here
    assert len(pool.made) == 5


def test_a_fault_of_a_plugin_is_raised_after_all_earlier_shards_as_in_this_process(tmp_path: Path) -> None:
    def faulty() -> Task:
        task = tricky_task()
        prompt = task.prompt

        def raising(row: Row, model: Any) -> Any:
            if row["number"] == 13:
                raise PluginError("rrr-tricky 1.0: rrr_prompt is broken.")
            return prompt(row, model)

        task.prompt = raising  # type: ignore[method-assign]
        return task

    for seed in range(4):
        folder = tmp_path / f"{seed}"
        with pytest.raises(PluginError, match=r"^On \S+: rrr-tricky 1.0: rrr_prompt is broken"):
            mined(folder, FakePool(actor_maker(faulty), seed=seed))
        assert len(shards(folder)) == 3


def test_withheld_verdicts_of_all_actors_are_held_against_one_limit(tmp_path: Path) -> None:
    def engine() -> ScriptedGenerator:
        def script(conversation: Sequence[Message], chance: random.Random) -> str:
            return "crash" if chance.random() < 0.1 else "right"

        return ScriptedGenerator(script)

    with pytest.raises(TooManyAbstentions, match="withheld"):
        mined(tmp_path, FakePool(actor_maker(engine=engine)))
    assert 2 < len(shards(tmp_path)) < 10, "it stops on the way"
    assert mined(tmp_path, FakePool(actor_maker(engine=engine)), replace(MINE, max_abstain=1.0))


def test_a_killed_driver_resumes_from_the_shards_that_it_wrote(tmp_path: Path) -> None:
    here = mined(tmp_path / "here")
    pool = FakePool(actor_maker())
    with workers(pool) as actors, pytest.raises(KeyboardInterrupt):
        mine(tricky_task(), actors.engine, tmp_path / "there", MINE, {}, _interrupted(), executor=actors)
    written = len(shards(tmp_path / "there"))
    assert 0 < written < 10
    pool = FakePool(actor_maker())
    assert mined(tmp_path / "there", pool) == here
    assert len(pool.made) == 10 - written


def _interrupted() -> KeptProgress:
    class Interrupted(KeptProgress):
        def track(self, title: str, total: int, done: int = 0) -> Any:
            tracked = super().track(title, total, done)

            class Stopping:
                def __enter__(self) -> Callable[..., None]:
                    advance = tracked.__enter__()

                    def stopping(count: int, note: str = "") -> None:
                        advance(count, note)
                        if note and not note.startswith("0 failures") and "1" in note:
                            raise KeyboardInterrupt

                    return stopping

                def __exit__(self, *error: object) -> None:
                    tracked.__exit__(*error)

            return Stopping()

    return Interrupted()


def test_a_driver_does_not_run_far_ahead_of_what_is_written(tmp_path: Path) -> None:
    """The first shard keeps one of two actors busy; the other stops when it has done its share."""
    made_before: list[int] = []

    def dies(actor: int, method: str, texts: Sequence[str]) -> bool:
        if method == "make" and '"number": 0,' in texts[1]:
            made_before.append(len(pool.made))
        return False

    pool = FakePool(actor_maker(), dies)
    pool.delayed = lambda texts: any('"number": 0,' in text for text in texts)
    mined(tmp_path, pool, replace(MINE, shard_rows=1), wanted=2)
    assert made_before == [2 * AHEAD - 1]
    assert len(pool.made) == 40


def test_with_room_for_fewer_actors_the_job_runs_with_those(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "NOTED_AFTER", 0.0)
    progress, pool = KeptProgress(), FakePool(actor_maker(), room_for=2)
    with workers(pool, 5, progress=progress) as actors:
        mine(tricky_task(), actors.engine, tmp_path, MINE, {}, progress, executor=actors)
    assert len(shards(tmp_path)) == 10
    said = [line for line in progress.lines if "actors have started" in line]
    assert len(said) == 1
    assert "The cluster has room for 2." in said[0]


def test_without_any_room_the_job_ends_in_a_line_and_not_in_waiting(tmp_path: Path) -> None:
    with pytest.raises(RrrError, match=r"No actor has started for 0 s. The cluster has room for 0: give it machines"):
        workers(FakePool(actor_maker(), room_for=0), patience=0.01).engine  # noqa: B018 - waiting is what it does


def test_a_model_that_no_actor_can_load_ends_the_job(tmp_path: Path) -> None:
    pool = FakePool(actor_maker(), lambda actor, method, texts: method == "open")
    with pytest.raises(RrrError, match=f"{FAILED_STARTS} died of it"):
        workers(pool).engine  # noqa: B018


def test_where_actors_die_before_they_can_work_the_job_goes_on_without_them(tmp_path: Path) -> None:
    progress = KeptProgress()
    pool = FakePool(
        actor_maker(),
        lambda actor, method, texts: (actor == 1 and method == "make") or actor > 2,
        delayed=lambda texts: any("number" in text for text in texts),  # so that work is left while starts fail
    )
    with workers(pool, progress=progress) as actors:
        mine(tricky_task(), actors.engine, tmp_path, MINE, {}, progress, executor=actors)
    assert len(shards(tmp_path)) == 10
    assert pool.started == 3 + FAILED_STARTS
    assert any("not replaced" in line for line in progress.lines)


def test_a_model_that_is_missing_on_a_machine_is_said_with_its_name() -> None:
    def missing(settings: ModelSettings) -> ScriptedGenerator:
        raise ModelError("/models/x: no such folder.")

    with pytest.raises(ModelError, match=r"^On \S+: /models/x: no such folder"):
        workers(FakePool(lambda: ShardActor(make=missing))).engine  # noqa: B018


def test_a_package_that_is_missing_on_a_machine_is_said() -> None:
    def missing(settings: ModelSettings) -> ScriptedGenerator:
        raise ModuleNotFoundError("No module named 'vllm'", name="vllm")

    with pytest.raises(RrrError, match=r"^On \S+: the module vllm is not installed there"):
        workers(FakePool(lambda: ShardActor(make=missing))).engine  # noqa: B018


def test_a_plugin_that_is_missing_on_a_machine_is_said(tmp_path: Path) -> None:
    pool = FakePool(lambda: ShardActor(make=lambda _: ScriptedGenerator()))
    with pytest.raises(PluginError, match=r"^On \S+: No task 'tricky' is installed"):
        mined(tmp_path, pool)
    assert shards(tmp_path) == {}


def test_another_version_of_the_plugin_is_refused(tmp_path: Path) -> None:
    def older() -> Task:
        task = tricky_task()
        said: Mapping[str, Any] = {**task.provenance(), "version": "0.9"}
        task.provenance = lambda: said  # type: ignore[method-assign,assignment]
        return task

    with pytest.raises(PluginError, match=r"version '0.9' there, and '1.0' here"):
        mined(tmp_path, FakePool(actor_maker(older)))


def test_another_version_of_the_core_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = FakePool(actor_maker())
    actors = workers(pool)
    monkeypatch.setattr(rrr_core, "__version__", "9.9")
    with pytest.raises(PluginError, match=r"rrr-core 9.9 is installed there, and 0.1.0 here"):
        actors.engine  # noqa: B018


def test_machines_whose_models_differ_are_refused(tmp_path: Path) -> None:
    versions = iter(["2.12", "2.13", "2.13"])

    def making() -> ShardActor:
        version = next(versions)

        def make(_: ModelSettings) -> ScriptedGenerator:
            generator = ScriptedGenerator()
            generator.describe = lambda: {"backend": "scripted", "torch": version}  # type: ignore[method-assign]
            return generator

        return ShardActor(make=make, load=lambda _name, _overlays: tricky_task())

    with pytest.raises(RrrError, match="same texts: torch is '"):
        mined(tmp_path, FakePool(making))


def test_what_the_actors_spent_is_in_the_profile(tmp_path: Path) -> None:
    mined(tmp_path, FakePool(actor_maker()))
    profile = json.loads((tmp_path / "profile.json").read_text())
    assert profile["seconds"]["generate"] > 0
    assert profile["verdicts"] > 40
    assert profile["tokens"]["written"] > 0


def test_an_actors_settings_are_the_drivers(tmp_path: Path) -> None:
    seen: list[tuple[float, int]] = []

    def engine() -> ScriptedGenerator:
        generator = ScriptedGenerator(right_or_wrong)
        plain = generator.generate

        def generate(conversations: Any, sampling: Any, on_done: Any = None) -> Any:
            seen.append((sampling.temperature, sampling.max_tokens))
            return plain(conversations, sampling, on_done)

        generator.generate = generate  # type: ignore[method-assign]
        return generator

    mined(tmp_path, FakePool(actor_maker(engine=engine)), replace(MINE, temperature=0.5, max_tokens=33))
    assert set(seen) == {(0.5, 33)}


def test_actors_without_a_cluster_are_refused() -> None:
    with pytest.raises(RrrError, match="--ray-actors is for a Ray cluster"):
        ClusterSettings(ray_actors=2)
