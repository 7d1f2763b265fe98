"""Which launch a process belongs to, by the variables of torchrun, Slurm and MPI."""

from __future__ import annotations

import pytest

from rrr_core.errors import RrrError
from rrr_core.processes.world import ALONE, OURS, World, join, world_of

TORCHRUN = {
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
    "MASTER_ADDR": "gpu003",
    "MASTER_PORT": "29400",
}
SLURM = {
    "SLURM_JOB_ID": "77",
    "SLURM_STEP_ID": "0",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_STEP_TASKS_PER_NODE": "4(x2)",
    "SLURM_STEP_NODELIST": "gpu[003-004]",
}
OPEN_MPI = {
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    "PMIX_NAMESPACE": "prterun-1",
}


def test_without_a_launcher_a_process_is_alone() -> None:
    assert world_of({}) == ALONE
    assert ALONE.leads


def test_torchrun_says_all() -> None:
    assert world_of(TORCHRUN) == World(5, 8, 1, 4, "gpu003", 29400, "torchrun")
    assert world_of({**TORCHRUN, OURS: "1234"}).watched


def test_srun_numbers_its_tasks_and_the_first_machine_is_where_they_meet() -> None:
    found = world_of(SLURM)
    assert (found.rank, found.size, found.local_rank, found.local_size) == (5, 8, 1, 4)
    assert (found.address, found.launcher) == ("gpu003", "srun")
    assert found.port == world_of({**SLURM, "SLURM_PROCID": "0", "SLURM_NODEID": "0"}).port


def test_a_batch_script_or_a_step_of_one_task_is_no_launch() -> None:
    assert world_of({name: value for name, value in SLURM.items() if name != "SLURM_STEP_ID"}) == ALONE
    one = {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_STEP_TASKS_PER_NODE": "1"}
    assert world_of({**SLURM, **one}) == ALONE


def test_torchrun_within_a_step_of_slurm_comes_first() -> None:
    assert world_of({**SLURM, **TORCHRUN}).launcher == "torchrun"


def test_a_torchrun_of_one_process_within_a_step_of_several_is_alone() -> None:
    one = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1", "TORCHELASTIC_RUN_ID": "none"}
    assert world_of({**SLURM, **one}) == ALONE


def test_mpirun_counts_where_slurm_started_its_helpers() -> None:
    found = world_of({**SLURM, **OPEN_MPI})
    assert (found.rank, found.size, found.launcher) == (1, 2, "mpirun")


def test_srun_counts_where_it_speaks_pmi() -> None:
    assert world_of({**SLURM, "PMI_RANK": "5", "PMI_SIZE": "8"}).local_rank == 1


def test_mpi_on_one_machine_needs_no_address() -> None:
    found = world_of(OPEN_MPI)
    assert (found.rank, found.size, found.address, found.launcher) == (1, 2, "127.0.0.1", "mpirun")


def test_mpi_on_several_machines_asks_for_one() -> None:
    apart = {**OPEN_MPI, "OMPI_COMM_WORLD_LOCAL_SIZE": "1", "OMPI_COMM_WORLD_LOCAL_RANK": "0"}
    with pytest.raises(RrrError, match="MASTER_ADDR"):
        world_of(apart)
    assert world_of({**apart, "MASTER_ADDR": "a", "MASTER_PORT": "1234"}).port == 1234


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"RANK": "8"}, "calls this process 8 of 8"), ({"WORLD_SIZE": "many"}, "WORLD_SIZE is 'many'")],
)
def test_variables_that_contradict_each_other_are_one_clear_error(changes: dict[str, str], said: str) -> None:
    with pytest.raises(RrrError, match=said):
        world_of({**TORCHRUN, **changes})


def test_a_process_that_joins_gets_the_variables_that_torch_reads() -> None:
    environment = dict(SLURM)
    world = join(environment)
    assert {name: environment[name] for name in world.variables()} == world.variables()
    assert world_of(environment).rank == 5
    left = {"RANK": "0", "WORLD_SIZE": "1", **SLURM}
    join(left)
    assert (left["RANK"], left["WORLD_SIZE"]) == ("5", "8")
    alone: dict[str, str] = {}
    join(alone)
    assert alone == {}
