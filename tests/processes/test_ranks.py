"""Several processes at a stage's shards: one writes, none is done twice, and a dead one's shard is free again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from rrr_core.errors import DataError, RrrError
from rrr_core.processes.alike import check_alike
from rrr_core.processes.claims import Claims
from rrr_core.processes.meeting import OthersFailed
from rrr_core.processes.ranks import Ranks, executor_of
from rrr_core.processes.shards import ShardJob, ThisProcess
from rrr_core.processes.world import World
from rrr_core.profiling.spent import Spent
from rrr_core.runs.files import write_lines
from rrr_core.runs.layout import MineFolder
from tests.processes.launched import MemoryStore, Squares, all_at_once, jobs, ranks


def written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix == ".jsonl"}


def work(executor: Ranks | ThisProcess, folder: Path, work: Squares, count: int, stop_after: int | None = None) -> int:
    """Do the jobs whose file is missing, as a stage does. Returns how many this process was given as done."""
    files, given = MineFolder(folder), 0

    def missing() -> Iterator[ShardJob]:
        return (job for job in jobs(count) if not files.shard(job.number).exists())

    for done in executor.in_order(folder, missing(), work, may_stop=stop_after is not None):
        write_lines(files.shard(done.job.number), done.lines())
        given += 1
        if given == stop_after:
            break
    return given


def together(folder: Path, works: list[Squares], count: int, stop_after: int | None = None) -> list[int]:
    pairs = list(zip(ranks(len(works)), works, strict=True))
    return all_at_once(pairs, lambda pair: work(pair[0], folder, pair[1], count, stop_after))


@pytest.mark.parametrize("size", [2, 4])
def test_any_number_writes_the_same_bytes_and_does_each_shard_once(size: int, tmp_path: Path) -> None:
    work(ThisProcess(), tmp_path / "one", Squares(), 9)
    works = [Squares() for _ in range(size)]
    assert together(tmp_path / "several", works, 9) == [9] + [0] * (size - 1)
    assert written(tmp_path / "several") == written(tmp_path / "one")
    assert sorted(name for each in works for name in each.made) == [job.name for job in jobs(9)]
    assert not MineFolder(tmp_path / "several").claims.path.exists()


def test_the_work_is_shared(tmp_path: Path) -> None:
    both = threading.Barrier(2, timeout=30)

    def wait_for_the_other(job: ShardJob) -> None:
        both.wait()

    works = [Squares(before_each=wait_for_the_other) for _ in range(2)]
    together(tmp_path, works, 2)
    assert [len(each.made) for each in works] == [1, 1]


def test_what_lies_beyond_the_last_shard_that_is_needed_is_forgotten(tmp_path: Path) -> None:
    work(ThisProcess(), tmp_path / "one", Squares(), 9, stop_after=3)
    together(tmp_path / "several", [Squares() for _ in range(4)], 9, stop_after=3)
    assert written(tmp_path / "several") == written(tmp_path / "one")
    assert not MineFolder(tmp_path / "several").claims.path.exists()


def test_what_another_process_did_comes_with_what_it_took(tmp_path: Path) -> None:
    first, second = ranks(2)
    claims = Claims(MineFolder(tmp_path).claims, rank=1, size=2)
    claims.open()
    (job,) = jobs(1)
    claims.hand_in(job, [each.to_json() for each in Squares().make(job)], Spent(seconds={"generate": 2.0}, verdicts=3))

    def lead(executor: Ranks) -> list[Spent | None]:
        found = list(executor.in_order(tmp_path, jobs(1), Squares()))
        return [None if each.elsewhere is None else each.elsewhere.spent for each in found]

    spent, nothing = all_at_once([first, second], lead)
    assert nothing == []
    assert spent[0] is not None
    assert (spent[0].seconds["generate"], spent[0].verdicts) == (2.0, 3)


def test_a_shard_that_was_handed_in_before_a_kill_is_not_made_again(tmp_path: Path) -> None:
    claims = Claims(MineFolder(tmp_path).claims, rank=1, size=2)
    claims.open()
    early = list(jobs(4))[2]
    claims.hand_in(early, [each.to_json() for each in Squares().make(early)], Spent())
    works = [Squares(), Squares()]
    together(tmp_path, works, 4)
    assert early.name not in works[0].made + works[1].made
    assert len(written(tmp_path)) == 4


def test_a_dead_process_gives_its_shard_back(tmp_path: Path) -> None:
    dying, heir = (Claims(MineFolder(tmp_path).claims, rank, 3) for rank in (1, 2))
    heir.open()
    (job,) = jobs(1)
    with ExitStack() as alive, ExitStack() as held:
        assert dying.claim([job], alive) is job
        assert heir.claim([job], held) is None
        with pytest.raises(KeyboardInterrupt), alive:
            raise KeyboardInterrupt
        assert heir.claim([job], held) is job
    assert heir.is_done(job)


def test_an_error_of_one_process_ends_all_and_keeps_what_was_handed_in(tmp_path: Path) -> None:
    store = MemoryStore()

    def fail(job: ShardJob) -> None:
        if job.number == 3:
            raise RrrError("the verifier abstains")

    def run(pair: tuple[Ranks, Squares]) -> type[Exception]:
        try:
            work(pair[0], tmp_path, pair[1], 9)
        except RrrError as error:
            pair[0].meeting._sleep = lambda _: None
            pair[0].meeting.fail()
            return type(error)
        raise AssertionError("the work did not end")

    pairs = [(one, Squares(before_each=fail)) for one in ranks(2, store)]
    assert set(all_at_once(pairs, run)) <= {RrrError, OthersFailed}
    works = [Squares(), Squares()]
    together(tmp_path, works, 9)
    work(ThisProcess(), tmp_path / "one", Squares(), 9)
    assert written(tmp_path) == written(tmp_path / "one")
    assert "shard-00000" not in works[0].made + works[1].made


def test_what_was_handed_in_and_is_damaged_is_one_clear_error(tmp_path: Path) -> None:
    claims = Claims(MineFolder(tmp_path).claims, rank=1, size=2)
    claims.open()
    (job,) = jobs(1)
    claims.hand_in(job, [{"square": 0}], Spent())
    with pytest.raises(DataError, match="holds 1 records of 3 rows"):
        claims.take(job)


def test_what_was_made_from_other_rows_is_refused(tmp_path: Path) -> None:
    claims = Claims(MineFolder(tmp_path).claims, rank=1, size=2)
    claims.open()
    (theirs,) = jobs(1)
    claims.hand_in(theirs, [{"square": 0}] * 3, Spent())
    ours = replace(theirs, rows=[(index, {"question": "another"}) for index, _ in theirs.rows])
    with pytest.raises(DataError, match="made from other rows than this process has: give all processes the same data"):
        claims.take(ours)


def test_a_process_that_would_write_other_texts_is_refused_naming_the_difference(tmp_path: Path) -> None:
    def check(one: Ranks) -> str:
        try:
            check_alike(one, tmp_path, {"model": {"torch": f"2.{one.world.rank}"}})
        except RrrError as error:
            return str(error)
        return ""

    first, second = all_at_once(ranks(2), check)
    assert not first
    assert "model.torch is 2.1 here and 2.0 there. Install the same packages" in second


def test_without_file_locks_each_process_has_the_shards_of_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rrr_core.processes.claims._lock", lambda descriptor: None)
    works = [Squares(), Squares()]
    together(tmp_path, works, 6)
    assert [[int(name[-1]) % 2 for name in each.made] for each in works] == [[0, 0, 0], [1, 1, 1]]
    assert len(written(tmp_path)) == 6


def test_a_launch_that_could_not_be_met_is_not_waited_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def nobody(world: World, **_: object) -> None:
        asked.append(world)
        raise RrrError("cannot meet the others")

    monkeypatch.setattr("rrr_core.processes.ranks.torch_store", nobody)
    monkeypatch.setattr("rrr_core.processes.ranks.UNMET", {})
    for _ in range(2):
        with pytest.raises(RrrError, match="cannot meet"):
            executor_of(World(0, 2, 0, 2, port=1))
    assert len(asked) == 1
