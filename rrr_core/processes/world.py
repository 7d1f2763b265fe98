"""Who this process is among those that a launcher started: read from the variables that launchers set."""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

from rrr_core.errors import RrrError

AUTO = "auto"
"""As many processes as there are GPUs."""
OURS = "RRR_LAUNCH"
"""Set by `--processes`: this process was started by rrr, which watches it and says for all what happened."""


@dataclass(frozen=True, slots=True)
class World:
    """The processes of a launch, and which of them this is."""

    rank: int = 0
    """This process's number, from 0; the one with 0 leads."""
    size: int = 1
    local_rank: int = 0
    """Its number on its own machine, which chooses its accelerator."""
    local_size: int = 1
    address: str = "127.0.0.1"
    """Where the first process can be reached."""
    port: int = 29500
    launcher: str = ""
    """What started them, for people; empty if this process is alone."""
    watched: bool = False
    """Whether rrr started them itself, and watches them."""

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.size or not 0 <= self.local_rank < self.local_size <= self.size:
            raise RrrError(
                f"{self.launcher or 'The launcher'} calls this process {self.rank} of {self.size}, and"
                f" {self.local_rank} of {self.local_size} on its machine: correct its variables, or unset them."
            )

    @property
    def leads(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.rank == 0

    def variables(self) -> dict[str, str]:
        """The variables that torch and accelerate read, by which they join the same launch."""
        return {
            "RANK": str(self.rank),
            "WORLD_SIZE": str(self.size),
            "LOCAL_RANK": str(self.local_rank),
            "LOCAL_WORLD_SIZE": str(self.local_size),
            "MASTER_ADDR": self.address,
            "MASTER_PORT": str(self.port),
        }


ALONE = World()


def world_of(environment: Mapping[str, str]) -> World:
    """The launch that started this process: torchrun's or accelerate's, else mpirun's, else Slurm's; `ALONE` if none.

    On several machines mpirun starts its helpers by srun, so its processes have the variables of their step as well.

    Raises RrrError for variables that contradict each other or lack what is needed to join.

    >>> world_of({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_PORT": "29500"}).rank
    1
    >>> world_of({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}) == ALONE  # in a batch script, without srun
    True
    """
    for find in (_torchrun, _mpi, _slurm):
        found = find(environment)
        if found is not None and found.size > 1:
            return found
        if found is not None and "TORCHELASTIC_RUN_ID" in environment:
            return ALONE  # a torchrun of one process, though it may be in a step of several
    return ALONE


def join(environment: MutableMapping[str, str]) -> World:
    """The launch that started this process; torch finds it, too, whatever was left in its variables before."""
    world = world_of(environment)
    if world.size > 1:
        environment.update(world.variables())
    return world


def _torchrun(environment: Mapping[str, str]) -> World | None:
    if "RANK" not in environment or "WORLD_SIZE" not in environment:
        return None
    size = _number(environment, "WORLD_SIZE")
    return World(
        rank=_number(environment, "RANK"),
        size=size,
        local_rank=_number(environment, "LOCAL_RANK", _number(environment, "RANK")),
        local_size=_number(environment, "LOCAL_WORLD_SIZE", size),
        address=environment.get("MASTER_ADDR", "127.0.0.1"),
        port=_number(environment, "MASTER_PORT", 29500),
        launcher="torchrun",
        watched=OURS in environment,
    )


def _slurm(environment: Mapping[str, str]) -> World | None:
    # A batch script has most of these, too; only srun starts steps.
    if "SLURM_STEP_ID" not in environment or "SLURM_PROCID" not in environment:
        return None
    size = _number(environment, "SLURM_STEP_NUM_TASKS", _number(environment, "SLURM_NTASKS", 1))
    nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_NODELIST", "")
    node = _number(environment, "SLURM_NODEID", 0)
    job = f"{environment.get('SLURM_JOB_ID', '')}.{environment['SLURM_STEP_ID']}"
    return World(
        rank=_number(environment, "SLURM_PROCID"),
        size=size,
        local_rank=_number(environment, "SLURM_LOCALID", 0),
        local_size=min(size, tasks_on(environment.get("SLURM_STEP_TASKS_PER_NODE", ""), node) or size),
        address=environment.get("MASTER_ADDR") or first_host(nodes) or "127.0.0.1",
        port=_number(environment, "MASTER_PORT", _port(f"slurm {job}")),
        launcher="srun",
    )


def _mpi(environment: Mapping[str, str]) -> World | None:
    for rank, size, local_rank, local_size in (
        ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),
        ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
    ):
        if rank not in environment or size not in environment:
            continue
        if local_rank not in environment and "SLURM_STEP_ID" in environment:
            continue  # srun speaks PMI as well, and says more in its own variables
        count = _number(environment, size)
        here = _number(environment, local_size, count)
        if here < count and "MASTER_ADDR" not in environment:
            raise RrrError(
                "mpirun started processes on several machines: give them the address of the first, MASTER_ADDR"
                " (mpirun -x MASTER_ADDR=…, or -genv MASTER_ADDR …)."
            )
        job = environment.get("PMIX_NAMESPACE") or environment.get("OMPI_MCA_ess_base_jobid") or ""
        return World(
            rank=_number(environment, rank),
            size=count,
            local_rank=_number(environment, local_rank, _number(environment, rank)),
            local_size=here,
            address=environment.get("MASTER_ADDR", "127.0.0.1"),
            port=_number(environment, "MASTER_PORT", _port(f"mpi {job}")),
            launcher="mpirun",
        )
    return None


def first_host(nodes: str) -> str:
    """The first machine of a list as Slurm writes it.

    >>> first_host("gpu[003-006,9],login1"), first_host("a-1,a-2"), first_host("rack[1-2]n[05-06]"), first_host("")
    ('gpu003', 'a-1', 'rack1n05', '')
    """
    first = re.match(r"(?:[^,\[]|\[[^\]]*\])*", nodes)
    return re.sub(r"\[(\w+)[^\]]*\]", r"\1", first[0]) if first else ""


def tasks_on(counts: str, node: int) -> int:
    """How many tasks run on a machine, by its number, from Slurm's list; 0 if it is not in it.

    >>> [tasks_on("4(x2),2", node) for node in range(4)]
    [4, 4, 2, 0]
    """
    for count, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", counts):
        if node < int(times or 1):
            return int(count)
        node -= int(times or 1)
    return 0


def _port(job: str) -> int:
    """A port that all processes of a job choose alike."""
    import hashlib  # imported here: it loads OpenSSL, and every command imports this module

    return 20_000 + int.from_bytes(hashlib.sha256(job.encode()).digest()[:4], "big") % 20_000


def _number(environment: Mapping[str, str], name: str, default: int | None = None) -> int:
    text = environment.get(name, "")
    if not text and default is not None:
        return default
    if not text.isdecimal():
        raise RrrError(f"{name} is {text!r}, and a launcher sets it to a number: correct it, or unset it.")
    return int(text)
