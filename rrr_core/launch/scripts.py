"""The script of a job: `torchrun` on every machine for training, a Ray cluster for mining and evaluation."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence

from rrr_core.errors import RrrError
from rrr_core.launch.settings import LaunchSettings, check_writable

TRAINS = frozenset({"train"})
"""The commands that torchrun starts, once for each rank."""
GOES_OVER_RAY = frozenset({"mine", "eval", "run"})
"""The commands that send their shards to a Ray cluster."""
RAY_PORT, TORCHRUN_PORT = 6379, 29500
STRICT = "set -euo pipefail"
SHARED = "FOLDER must be on a file system that all machines share"
RESTARTS = 3
"""Unless the settings say otherwise."""
PATIENCE = 600
"""Seconds that a machine waits for the first one's Ray."""


def job_script(place: str, settings: LaunchSettings, arguments: Sequence[str]) -> str:
    """The text of the job for a place of `PLACES`; `arguments` are an rrr command's, from its name on.

    Raises RrrError for a command that does not run on several machines, or not in this place, and for an argument that
    no line of a script can hold.
    """
    for argument in arguments:
        check_writable("the command", argument)
    name = arguments[0] if arguments else ""
    if name not in TRAINS | GOES_OVER_RAY:
        raise RrrError(
            f"{name or 'no command'}: only {', '.join(sorted(TRAINS | GOES_OVER_RAY))} run on several machines: write"
            " one of them after `--`, as in `rrr launch slurm --nodes 2 -- rrr train countdown`."
        )
    if settings.restarts is not None and name not in TRAINS:
        raise RrrError(f"--restarts is for train: {name} gives a lost process's work to the others by itself.")
    return PLACES[place](settings, arguments)


def _slurm(settings: LaunchSettings, arguments: Sequence[str]) -> str:
    trains = arguments[0] in TRAINS
    directives = {
        "job-name": f"rrr-{arguments[0]}",
        "nodes": settings.nodes,
        "ntasks-per-node": 1,
        "gpus-per-node": settings.gpus,
        "cpus-per-task": settings.cpus,
        "open-mode": "append",
    }
    lines = [
        "#!/bin/bash",
        f"# {_described(settings, arguments)}: sbatch FILE. Options of sbatch, such as --partition, --account and",
        f"# --time, override the lines below. {SHARED}; the same job resumes.",
        *(f"#SBATCH --{key}={value}" for key, value in directives.items() if value is not None),
        # Slurm ends a job that lost a machine. A training has to start again; Ray goes on with the others.
        f"#SBATCH --{'requeue' if trains else 'no-kill'}",
        STRICT,
        *settings.setup,
        'mapfile -t hosts < <(scontrol show hostnames "$SLURM_JOB_NODELIST")',
        "# Several jobs may share a machine, so each has a port of its own.",
        f'first="${{hosts[0]}}" port=$(({RAY_PORT if not trains else TORCHRUN_PORT} + SLURM_JOB_ID % 1000))',
    ]
    cores = f" --cpus-per-task={settings.cpus}" if settings.cpus else ""
    if trains:
        torchrun = _torchrun(settings, arguments, '"$SLURM_JOB_ID"', '"$first:$port"')
        return _text([*lines, *_cpu_only(settings), f"srun --kill-on-bad-exit=1{cores} {torchrun}"])
    step = f"srun{cores} --ntasks-per-node=1"
    ray = _ray_start(settings)
    lines.append(f'{step} --nodes=1 --nodelist="$first" ray start --head --port="$port" {ray} &')
    if settings.nodes > 1:
        lines += [
            f'{step} --nodes={settings.nodes - 1} --exclude="$first" bash -c \'{_wait_for("$1", "$2")}',
            f'  exec ray start --address="$1:$2" {ray}\' worker "$first" "$port" &',
        ]
    return _text([*lines, _over_ray(settings, arguments, '"$first:$port"')])


def _skypilot(settings: LaunchSettings, arguments: Sequence[str]) -> str:
    if settings.gpus and ":" not in settings.gpus:
        raise RrrError(f"--gpus {settings.gpus}: SkyPilot has to know which: write --gpus H100:{settings.gpus}.")
    resources = {"accelerators": settings.gpus, "cpus": settings.cpus}
    head = 'first=$(head -n 1 <<< "$SKYPILOT_NODE_IPS")'
    if arguments[0] in TRAINS:
        endpoint = f'"$first:{TORCHRUN_PORT}"'
        work = [*_cpu_only(settings), _torchrun(settings, arguments, '"$SKYPILOT_TASK_ID"', endpoint)]
    else:
        work = _ray_by_role(settings, arguments, '[ "$SKYPILOT_NODE_RANK" = 0 ]', f'"$first:{RAY_PORT}"')
    wanted = {key: value for key, value in resources.items() if value is not None}
    return _text(
        [
            f"# {_described(settings, arguments)}: sky launch FILE.",
            f"# {SHARED}: add it under file_mounts.",
            f"name: rrr-{arguments[0]}",
            f"num_nodes: {settings.nodes}",
            *(["resources:"] if wanted else []),
            *(f"  {key}: {json.dumps(value)}" for key, value in wanted.items()),
            "run: |",
            *(f"  {line}" for line in [STRICT, *settings.setup, head, *work]),
        ]
    )


def _ray(settings: LaunchSettings, arguments: Sequence[str]) -> str:
    if arguments[0] in TRAINS:
        raise RrrError(
            "Ray runs mining and evaluation: train over several machines with `rrr launch slurm` or skypilot."
        )
    return _text(
        [
            "#!/bin/bash",
            f"# {_described(settings, arguments)}. On the first machine, which writes FOLDER: bash FILE",
            *(["# On each of the others, with the first one's address: bash FILE FIRST"] if settings.nodes > 1 else []),
            STRICT,
            *settings.setup,
            'first="${1:-127.0.0.1}"',
            *_ray_by_role(settings, arguments, "[ $# = 0 ]", f'"$first:{RAY_PORT}"'),
        ]
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


def _cpu_only(settings: LaunchSettings) -> list[str]:
    return [] if settings.gpus else ["export ACCELERATE_USE_CPU=true"]


def _ray_start(settings: LaunchSettings) -> str:
    counts = {"num-cpus": settings.cpus, "num-gpus": settings.gpu_count or None}
    given = [f"--{key}={value}" for key, value in counts.items() if value is not None]
    return " ".join([*given, "--disable-usage-stats", "--block"])


def _ray_by_role(settings: LaunchSettings, arguments: Sequence[str], is_first: str, address: str) -> list[str]:
    """The lines of one script for all machines: the first one's Ray and the command, and the others' Ray."""
    host, port = address.strip('"').split(":")
    return [
        f"if {is_first}; then",
        f"  ray start --head --port={port} {_ray_start(settings)} &",
        "  trap 'kill $!' EXIT",
        f"  {_over_ray(settings, arguments, address)}",
        "else",
        f"  {_wait_for(host, port)}",
        "  # It ends, with an error, when the first machine's Ray has.",
        f"  ray start --address={address} {_ray_start(settings)} || true",
        "fi",
    ]


def _wait_for(host: str, port: str) -> str:
    """A shell command that waits until the first machine's Ray answers."""
    return f'timeout {PATIENCE} bash -c "until : < /dev/tcp/{host}/{port}; do sleep 2; done" 2> /dev/null'


def _over_ray(settings: LaunchSettings, arguments: Sequence[str], address: str) -> str:
    actors = settings.nodes * settings.processes
    return f"{shlex.join(['rrr', *arguments])} --ray={address} --ray-actors={actors}"


def _described(settings: LaunchSettings, arguments: Sequence[str]) -> str:
    def counted(number: int, one: str, more: str) -> str:
        return f"{number} {one if number == 1 else more}"

    each = counted(settings.processes, "process", "processes")
    return f"rrr {arguments[0]} on {counted(settings.nodes, 'machine', 'machines')}, {each} on each"


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
