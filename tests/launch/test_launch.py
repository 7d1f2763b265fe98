"""`rrr launch`: scripts that shells, Slurm and SkyPilot read as they are meant, with a command that rrr accepts."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from rrr_core.cli import run_command
from rrr_core.errors import RrrError
from rrr_core.launch import PLACES, LaunchSettings, job_script

HOSTILE = [
    "two words",
    "it's",
    '"quoted"',
    "$HOME",
    "`id`",
    "$(id)",
    "a;b",
    "a\\b",
    "*",
    "#",
    "!x",
    "-",
    "",
    "é",
    "{a,b}",
    "~",
    "<x>",
]
MINE = ["mine", "countdown", "--folder", "/shared/run"]
TRAIN = ["train", "countdown", "--folder", "/shared/run"]

PROGRAMS = ("rrr", "ray", "torchrun")
FAKE = """#!/bin/bash
printf '%s\\0' "$(basename "$0")" "$@" > "$CALLS/$(date +%s%N)-$$"
[ "$1" = start ] && exec sleep "${RAY_SECONDS:-30}"
sleep 0.3  # what was started in the background has come this far
exit "${RRR_CODE:-0}"
"""
SRUN = """#!/bin/bash
# Like srun: its options first, then the program.
while [[ "$1" == --* ]]; do shift; done
exec "$@"
"""


def fake_programs(folder: Path) -> dict[str, str]:
    """An environment in which the launchers are scripts that record how they are called."""
    programs = folder / "bin"
    programs.mkdir()
    written = {**dict.fromkeys(PROGRAMS, FAKE), "srun": SRUN, "scontrol": "#!/bin/bash\nprintf 'first\\nsecond\\n'\n"}
    for name, text in written.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    calls = folder / "calls"
    calls.mkdir()
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "CALLS": str(calls),
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NODELIST": "x",
    }


def run_script(folder: Path, script: str, *arguments: str, **environment: str) -> tuple[int, list[list[str]]]:
    """Run a job where every launcher is a fake. Returns the exit code, and the calls of the launchers."""
    given = {**fake_programs(folder), **environment}
    (folder / "job.sh").write_text(script)
    with subprocess.Popen(["bash", str(folder / "job.sh"), *arguments], env=given, start_new_session=True) as job:
        code = job.wait(timeout=20)
    if _lives(job.pid):
        os.killpg(job.pid, signal.SIGKILL)
    said = [each.read_bytes().decode() for each in sorted(Path(given["CALLS"]).iterdir())]
    return code, [each.split("\0")[:-1] for each in said]


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("place", "arguments"),
    [(place, arguments) for place in PLACES for arguments in (MINE, TRAIN) if (place, arguments) != ("ray", TRAIN)],
    ids=str,
)
def test_a_script_is_valid_bash_whatever_its_arguments_hold(place: str, arguments: list[str]) -> None:
    settings = LaunchSettings(nodes=3, gpus="H100:8", cpus=16, setup=("export A='b c'",))
    script = job_script(place, settings, [*arguments, *HOSTILE])
    if place == "skypilot":
        script = "\n".join(line[2:] for line in script.split("run: |\n")[1].splitlines())
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
@pytest.mark.parametrize(("place", "arguments"), [("slurm", TRAIN), ("slurm", MINE), ("ray", MINE)], ids=str)
def test_shellcheck_has_nothing_to_say(place: str, arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "job.sh").write_text(job_script(place, LaunchSettings(nodes=3, gpus="8"), arguments))
    # SC2016: what another shell has to expand is in single quotes.
    done = subprocess.run(
        ["shellcheck", "-e", "SC2016", "job.sh"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == ""


@pytest.mark.parametrize("arguments", [MINE, TRAIN], ids=lambda arguments: arguments[0])
def test_hostile_arguments_reach_the_command_as_they_are(arguments: list[str], tmp_path: Path) -> None:
    (call,) = run_script(tmp_path, job_script("slurm", LaunchSettings(nodes=2), [*arguments, *HOSTILE]))[1]
    assert call[call.index("--no-python") + 1 :] == ["rrr", *arguments, *HOSTILE]


def test_under_slurm_torchrun_is_started_with_one_meeting_point(tmp_path: Path) -> None:
    code, calls = run_script(tmp_path, job_script("slurm", LaunchSettings(nodes=2, gpus="4", restarts=0), TRAIN))
    assert code == 0
    assert calls == [
        [
            *("torchrun", "--nnodes=2", "--nproc-per-node=4", "--max-restarts=0", "--rdzv-backend=c10d", "--rdzv-id=7"),
            *("--rdzv-endpoint=first:29507", "--no-python", "rrr", *TRAIN),
        ]
    ]


def test_under_slurm_each_machine_has_one_launcher_and_what_was_asked_for() -> None:
    script = job_script("slurm", LaunchSettings(nodes=3, gpus="A100:2", cpus=12), MINE)
    for line in ("nodes=3", "ntasks-per-node=1", "gpus-per-node=A100:2", "cpus-per-task=12", "requeue"):
        assert f"\n#SBATCH --{line}\n" in script
    assert "\nexport OMP_NUM_THREADS=6\n" in script
    assert "\nsrun --kill-on-bad-exit=1 --cpus-per-task=12 torchrun " in script


@pytest.mark.parametrize("arguments", [MINE, TRAIN], ids=lambda arguments: arguments[0])
def test_the_commands_exit_code_is_the_jobs(arguments: list[str], tmp_path: Path) -> None:
    script = job_script("slurm", LaunchSettings(), arguments)
    assert run_script(tmp_path, script, RRR_CODE="2")[0] == 2


def test_with_ray_the_first_machine_runs_the_command_and_ends_its_ray(tmp_path: Path) -> None:
    settings = LaunchSettings(nodes=2, processes_per_node=3, gpus="2")
    code, calls = run_script(tmp_path, job_script("ray", settings, [*MINE, *HOSTILE]))
    assert code == 0
    start = ["--num-cpus=3", "--num-gpus=2", "--disable-usage-stats", "--block"]
    assert ["ray", "start", "--head", "--port=6379", *start] in calls
    assert ["rrr", *MINE, *HOSTILE, "--ray=127.0.0.1:6379", "--ray-actors=6"] in calls


def test_with_ray_the_others_join_when_the_first_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first:
        script = job_script("ray", LaunchSettings(nodes=2), MINE).replace("6379", str(first.getsockname()[1]))
        code, calls = run_script(tmp_path, script, "127.0.0.1", RAY_SECONDS="0")
    assert code == 0
    assert [call[:3] for call in calls] == [["ray", "start", f"--address=127.0.0.1:{first_port(script)}"]]


def first_port(script: str) -> str:
    return script.split("--port=")[1].split()[0]


def test_a_setup_line_runs_before_everything(tmp_path: Path) -> None:
    settings = LaunchSettings(setup=("alias_of=one", 'rrr "$alias_of"'))
    assert run_script(tmp_path, job_script("slurm", settings, TRAIN))[1][0] == ["rrr", "one"]


@pytest.mark.parametrize("arguments", [MINE, TRAIN], ids=lambda arguments: arguments[0])
def test_skypilots_file_is_yaml_with_the_fields_of_a_task(arguments: list[str]) -> None:
    yaml = pytest.importorskip("yaml")
    settings = LaunchSettings(nodes=2, gpus="H100:8", cpus=96, setup=("cd '/a  b'",))
    task = yaml.safe_load(job_script("skypilot", settings, [*arguments, *HOSTILE]))
    assert list(task) == ["name", "num_nodes", "resources", "run"]
    assert (task["num_nodes"], task["resources"]) == (2, {"accelerators": "H100:8", "cpus": 96})
    lines = task["run"].splitlines()
    assert lines[:2] == ["set -euo pipefail", "cd '/a  b'"]
    words = shlex.split(lines[-1])
    assert words[words.index("rrr") + 1 :] == [*arguments, *HOSTILE]


def test_in_skypilot_each_machine_finds_its_part(tmp_path: Path) -> None:
    script = job_script("skypilot", LaunchSettings(nodes=2), TRAIN)
    body = "\n".join(line[2:] for line in script.split("run: |\n")[1].splitlines())
    environment = {"SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2", "SKYPILOT_NODE_RANK": "1", "SKYPILOT_TASK_ID": "t-1"}
    _, calls = run_script(tmp_path, body, **environment)
    assert "--rdzv-endpoint=10.0.0.1:29500" in calls[0]
    assert "--rdzv-id=t-1" in calls[0]


def test_skypilot_has_to_know_the_kind_of_gpu() -> None:
    with pytest.raises(RrrError, match="write --gpus H100:8"):
        job_script("skypilot", LaunchSettings(gpus="8"), TRAIN)


def test_without_gpus_a_training_runs_on_cpus_and_with_them_does_not() -> None:
    line = "export ACCELERATE_USE_CPU=true"
    assert line in job_script("slurm", LaunchSettings(), TRAIN)
    assert line not in job_script("slurm", LaunchSettings(gpus="1"), TRAIN)


@pytest.mark.parametrize("text", ["a\nb", "a\x00b", "a\x1b[2Jb", "a\u2028b", "\udcff", "a\tb"])
def test_what_a_line_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(RrrError, match="leave it out"):
        job_script("slurm", LaunchSettings(), [*MINE, text])
    with pytest.raises(RrrError, match="--setup"):
        LaunchSettings(setup=(text,))


@pytest.mark.parametrize("gpus", ["0", "H100", "H100:", "H100:0", "8:H100", "a b:2", "-1", "$(id):1"])
def test_gpus_that_are_none_are_refused(gpus: str) -> None:
    with pytest.raises(RrrError, match="--gpus"):
        LaunchSettings(gpus=gpus)


def launched(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run_command(["launch", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_command_prints_the_script_alone(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = launched(capsys, "slurm", "--nodes", "2", "--", "rrr", *TRAIN, "--steps", "3")
    assert (code, err) == (0, "")
    assert out == job_script("slurm", LaunchSettings(nodes=2), [*TRAIN, "--steps", "3"])


def test_a_command_that_rrr_would_refuse_is_refused_before_it_waits_in_a_queue(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, err = launched(capsys, "slurm", "--", "rrr", "train", "countdown", "--stps", "3")
    assert (code, out) == (2, "")
    assert err == "rrr: train: no option --stps. Did you mean '--steps'?\n"


@pytest.mark.parametrize("command", [["report", "x"], ["launch", "slurm"], [], ["--version"]], ids=str)
def test_only_what_can_be_shared_is_launched(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = launched(capsys, "slurm", "--", *command)
    assert (code, out) == (2, "")
    assert "only run, mine, eval, train run on several machines" in err


def test_ray_does_not_train(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = launched(capsys, "ray", "--", "rrr", *TRAIN)
    assert code == 2
    assert "rrr launch slurm" in err


@pytest.mark.parametrize("option", [["--ray", "auto"], ["--ray-actors=2"], ["--processes", "4"]], ids=str)
def test_what_the_job_adds_is_not_taken(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = launched(capsys, "slurm", "--", "rrr", *MINE, *option)
    assert code == 2
    assert "leave it out, since the job sets it" in err


def test_restarts_are_torchruns_alone(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = launched(capsys, "ray", "--restarts", "1", "--", "rrr", *MINE)
    assert code == 2
    assert "--restarts is torchrun's" in err


def test_no_secret_of_the_environment_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("OPENAI_API_KEY", "HF_TOKEN", "RRR_HEADERS"):
        monkeypatch.setenv(name, "s3cret")
    for place in PLACES:
        _, out, _ = launched(
            capsys, place, "--", "rrr", *MINE, "--base-url", "http://h/v1", "--server-headers-env", "RRR_HEADERS"
        )
        assert out
        assert "s3cret" not in out
