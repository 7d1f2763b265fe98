"""The script of a job: torchrun on every machine under Slurm and SkyPilot, a cluster and its driver with Ray."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence

from rrr_core.errors import RrrError
from rrr_core.launch.settings import LaunchSettings, check_writable

SHARED = ("run", "mine", "eval", "train")
"""The commands whose work several processes share."""
RAY_PORT, TORCHRUN_PORT = 6379, 29500
RESTARTS = 3
"""Unless the settings say otherwise."""
PATIENCE = 600
"""Seconds that a machine waits for the first one's Ray."""
STRICT = "set -euo pipefail"
FOLDER = "FOLDER must be on a file system that all machines share"


def job_script(place: str, settings: LaunchSettings, arguments: Sequence[str]) -> str:
    """The text of the job for a place of `PLACES`; `arguments` are an rrr command's, from its name on.

    Raises RrrError for a command that does not run on several machines, or not in this place, and for an argument that
    no line of a script can hold.
    """
    for argument in arguments:
        check_writable("the command", argument)
    name = arguments[0] if arguments else ""
    if name not in SHARED:
        raise RrrError(
            f"{name or 'no command'}: only {', '.join(SHARED)} run on several machines: write one of them after `--`,"
            " as in `rrr launch slurm --nodes 2 -- rrr train countdown`."
        )
    return PLACES[place](settings, arguments)


def _slurm(settings: LaunchSettings, arguments: Sequence[str]) -> str:
    directives = {
        "job-name": f"rrr-{arguments[0]}",
        "nodes": settings.nodes,
        "ntasks-per-node": 1,  # torchrun, which starts the processes
        "gpus-per-node": settings.gpus,
        "cpus-per-task": settings.cpus,
        "open-mode": "append",
    }
    # Slurm's steps do not take this over from the job.
    cores = f" --cpus-per-task={settings.cpus}" if settings.cpus else ""
    torchrun = _torchrun(settings, arguments, '"$SLURM_JOB_ID"', '"$first:$port"')
    return _text(
        "#!/bin/bash",
        f"# {_described(settings, arguments)}: sbatch FILE. Options of sbatch, such as --partition, --account and",
        f"# --time, override the lines below. {FOLDER}; the same job resumes.",
        *(f"#SBATCH --{key}={value}" for key, value in directives.items() if value is not None),
        "#SBATCH --requeue",
        STRICT,
        *settings.setup,
        *_environment(settings),
        'mapfile -t hosts < <(scontrol show hostnames "$SLURM_JOB_NODELIST")',
        "# Jobs that share a machine have ports of their own.",
        f'first="${{hosts[0]}}" port=$(({TORCHRUN_PORT} + SLURM_JOB_ID % 1000))',
        f"srun --kill-on-bad-exit=1{cores} {torchrun}",
    )


def _skypilot(settings: LaunchSettings, arguments: Sequence[str]) -> str:
    if settings.gpus and ":" not in settings.gpus:
        raise RrrError(f"--gpus {settings.gpus}: SkyPilot has to know which: write --gpus H100:{settings.gpus}.")
    resources = {"accelerators": settings.gpus, "cpus": settings.cpus}
    wanted = {key: value for key, value in resources.items() if value is not None}
    work = [
        STRICT,
        *settings.setup,
        *_environment(settings),
        'first=$(head -n 1 <<< "$SKYPILOT_NODE_IPS")',
        _torchrun(settings, arguments, '"$SKYPILOT_TASK_ID"', f'"$first:{TORCHRUN_PORT}"'),
    ]
    return _text(
        f"# {_described(settings, arguments)}: sky launch FILE.",
        f"# {FOLDER}: add it under file_mounts.",
        f"name: rrr-{arguments[0]}",
        f"num_nodes: {settings.nodes}",
        *(["resources:"] if wanted else []),
        *(f"  {key}: {json.dumps(value)}" for key, value in wanted.items()),
        "run: |",
        *(f"  {line}" for line in work),
    )


def _ray(settings: LaunchSettings, arguments: Sequence[str]) -> str:
    if arguments[0] == "train":
        raise RrrError("Ray mines and evaluates: train on several machines with `rrr launch slurm`, or skypilot.")
    if settings.restarts is not None:
        raise RrrError("--restarts is torchrun's: on Ray the work of whoever dies goes to the others. Leave it out.")
    # A slot for each actor: so they are spread over machines that join one after the other.
    counts = {"num-cpus": settings.processes, "num-gpus": settings.gpu_count or None}
    given = [f"--{key}={value}" for key, value in counts.items() if value is not None]
    start = " ".join([*given, "--disable-usage-stats", "--block"])
    actors = settings.nodes * settings.processes
    others = [
        "# On each of the others, with the first one's address: bash FILE FIRST. They need the first one's",
        "# ~/.ray/auth_token: copy it, unless the machines share the home folder.",
    ]
    return _text(
        "#!/bin/bash",
        f"# {_described(settings, arguments)}. On the first machine, which writes FOLDER: bash FILE",
        *(others if settings.nodes > 1 else []),
        STRICT,
        *settings.setup,
        *_environment(settings),
        # Without a token anybody who reaches the cluster's ports can run code in it.
        'export RAY_AUTH_MODE="${RAY_AUTH_MODE:-token}"',
        "if [ $# = 0 ]; then",
        "  ray get-auth-token --generate > /dev/null",
        f"  ray start --head --port={RAY_PORT} {start} &",
        "  trap 'kill $!' EXIT",
        f"  {shlex.join(['rrr', *arguments])} --ray=127.0.0.1:{RAY_PORT} --ray-actors={actors}",
        "else",
        f'  timeout {PATIENCE} bash -c "until : < /dev/tcp/$1/{RAY_PORT}; do sleep 2; done" 2> /dev/null',
        "  # It ends, with an error, when the first machine's Ray has.",
        f'  ray start --address="$1:{RAY_PORT}" {start} || true',
        "fi",
    )


PLACES: Mapping[str, Callable[[LaunchSettings, Sequence[str]], str]] = {
    "slurm": _slurm,
    "ray": _ray,
    "skypilot": _skypilot,
}
"""Place → what writes its scripts."""


def _torchrun(settings: LaunchSettings, arguments: Sequence[str], job: str, endpoint: str) -> str:
    restarts = RESTARTS if settings.restarts is None else settings.restarts
    return (
        f"torchrun --nnodes={settings.nodes} --nproc-per-node={settings.processes} --max-restarts={restarts}"
        f" --rdzv-backend=c10d --rdzv-id={job} --rdzv-endpoint={endpoint} --no-python {shlex.join(['rrr', *arguments])}"
    )


def _environment(settings: LaunchSettings) -> list[str]:
    """What the processes find in their environment, where torchrun and Ray would give each a single core."""
    cpu = [] if settings.gpus else ["export ACCELERATE_USE_CPU=true"]
    return [*cpu, f"export OMP_NUM_THREADS={max(1, settings.cpus // settings.processes)}"] if settings.cpus else cpu


def _described(settings: LaunchSettings, arguments: Sequence[str]) -> str:
    def counted(number: int, one: str, more: str) -> str:
        return f"{number} {one if number == 1 else more}"

    each = counted(settings.processes, "process", "processes")
    return f"rrr {arguments[0]} on {counted(settings.nodes, 'machine', 'machines')}, {each} on each"


def _text(*lines: str) -> str:
    return "\n".join(lines) + "\n"
