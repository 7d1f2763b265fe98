"""`rrr` answers quickly, and an error the user can fix is one line and exit code 2."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest

from rrr_core import cli
from rrr_core.errors import DataError

HEAVY = ("torch", "transformers", "trl", "datasets", "vllm", "numpy", "sympy", "pandas")


def rrr(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    code = "import sys; from rrr_core.cli import main; sys.argv[0] = 'rrr'; main()"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=cwd, timeout=60)


@pytest.mark.parametrize("arguments", [["--help"], ["tasks"], ["run", "--help"], ["demo", "--help"], ["--version"]])
def test_help_and_tasks_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom rrr_core.cli import run_command\n"
        f"assert run_command({arguments!r}) == 0\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["tasks"]])
def test_help_and_tasks_answer_within_three_tenths_of_a_second(arguments: list[str]) -> None:
    # The lowest processor time of several runs: other load on the machine must not count.
    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert rrr(*arguments).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(5)) < 0.3


def test_help_lists_every_command_and_each_of_them_loads() -> None:
    context = click.Context(cli.app)
    names = cli.app.list_commands(context)
    first = ["demo", "run", "plan", "tasks", "probe"]
    stages = ["mine", "train", "eval", "transfer", "report", "warmup"]
    assert names == [*first, *stages, "verify", "check", "rejudge", "new", "launch", "docs", "doctor"]
    for name in names:
        command = cli.app.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.help


def test_tasks_lists_countdown_with_its_distribution_and_hooks() -> None:
    done = rrr("tasks")
    line = next(line for line in done.stdout.splitlines() if line.startswith("countdown"))
    assert "rrr-countdown" in line
    assert "ok" in line
    assert "verify" in line


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["tsks"], "no command 'tsks'. Did you mean 'tasks'? `rrr --help` lists them."),
        (["mine", "--tires", "3"], "mine: no option --tires. Did you mean '--tries'"),
        (["train", "--lr", "1"], "train: no option --lr. Did you mean '--learning-rate'?"),
        (["run", "--lr", "1"], "run: no option --lr. Did you mean '--train-learning-rate'?"),
        (["mine", "countdown", "--tries", "many"], "mine: Invalid value for '--tries': expected a whole number"),
        (["mine", "countdown", "--tries", "0"], "must be at least 1, not 0."),
        (["mine", "countdwn", "--model", "x"], "countdown"),
        (["mine"], "no task was named"),
        (["run", "countdown", "--train-credit", "retries"], "Did you mean 'retry'"),
        (
            ["run", "countdown", "--model", "m", "--backend", "vllm", "--base-url", "http://127.0.0.1:9/v1"],
            "a model behind a server cannot be trained",
        ),
        (["run", "countdown", "--model", "m", "--backend", "server"], "of the server backend cannot be trained"),
        (["run", "countdown", "--config", "none.toml"], "none.toml: cannot be read: No such file"),
        (["report"], "report: Missing argument 'RUN...'. Give the folder of a run, such as runs/demo."),
        (["rejudge"], "rejudge: Missing argument 'RUN'. Give the folder of a run, such as runs/demo."),
        (["report", "nowhere"], "nowhere"),
        (["eval", "countdown", "--label", "../x"], "--label '../x': use letters"),
        (["demo", "--data", "x"], "expected KEY=VALUE, not 'x'."),
    ],
)
def test_a_mistake_is_one_line_on_stderr_and_exit_code_2(arguments: list[str], line: str, tmp_path: Path) -> None:
    done = rrr(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("rrr: ")
    assert line in done.stderr
    assert list(tmp_path.iterdir()) == [], "nothing may be half-written"


def test_an_unknown_key_of_the_file_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("[train]\ngroup_sise = 4\n")
    done = rrr("mine", "countdown", "--config", "run.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "rrr: run.toml: [train] has no key 'group_sise'. Did you mean 'group_size'?\n"


def test_a_folder_whose_path_is_a_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = rrr("run", "countdown", "--model", "x", "--folder", "file/run", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "file" in done.stderr


@pytest.fixture
def broken_by(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs `rrr tasks` with it raising the given exception; returns exit code and stderr."""

    def run(error: BaseException) -> tuple[int, str]:
        def fail() -> None:
            raise error

        monkeypatch.setattr("rrr_core.tasks.find_tasks", fail)
        return cli.run_command(["tasks"]), capsys.readouterr().err

    return run


def test_an_errors_text_cannot_drive_the_terminal(broken_by) -> None:
    code, text = broken_by(DataError("rows.jsonl:3: \x1b[2J\x9b31m\u202eevil\nsecond line"))
    assert code == 2
    assert text == "rrr: rows.jsonl:3: �[2J�31m�evil second line\n"


@pytest.mark.parametrize(
    ("module", "extra"),
    [("torch", "train"), ("trl", "train"), ("datasets.arrow", "train"), ("httpx2", "server"), ("vllm", "vllm")],
)
def test_a_missing_extra_is_named_with_its_command(broken_by, module: str, extra: str) -> None:
    code, text = broken_by(ModuleNotFoundError(f"No module named {module!r}", name=module))
    assert code == 2
    assert text == f"rrr: this needs rrr-core[{extra}]: pip install 'rrr-core[{extra}]'\n"


def test_a_full_disk_is_one_line(broken_by) -> None:
    code, text = broken_by(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/x/model.safetensors"))
    assert (code, text) == (2, "rrr: runs/x/model.safetensors: No space left on device.\n")


def test_ctrl_c_exits_with_130(broken_by) -> None:
    # The blank line separates the message from the terminal's own ^C.
    assert broken_by(KeyboardInterrupt()) == (130, "\nrrr: interrupted.\n")


def test_ctrl_c_says_how_to_resume_a_resumable_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rrr_core.pipeline.open_tasks", interrupt)
    assert cli.run_command(["mine", "countdown"]) == 130
    errors = capsys.readouterr().err
    assert errors == "\nrrr: interrupted: run the same command again to resume.\n"


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError(), ModuleNotFoundError("x", name="rrr_core.nothing"), OSError(errno.EBADF, "bad descriptor")],
)
def test_a_fault_of_ours_keeps_its_traceback(broken_by, error: Exception) -> None:
    with pytest.raises(type(error)):
        broken_by(error)


def test_a_reader_that_goes_away_causes_no_traceback() -> None:
    code = "import sys; from rrr_core.cli import main; sys.argv[0] = 'rrr'; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "tasks"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(timeout=30) in (0, 1)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_lack_of_memory_is_one_line_that_says_what_to_do(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("rrr_core.cli.app.main", fail)
    assert cli.run_command(["train"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "memory" in said


def test_another_runtime_error_is_not_taken_for_a_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr("rrr_core.cli.app.main", fail)
    with pytest.raises(RuntimeError, match="shapes"):
        cli.run_command(["train"])


def codes_of_two(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[object]:
    """What a command ends with in each process of a launch of two, one after the other; None if it did nothing."""
    monkeypatch.setattr("sys.argv", ["rrr", *arguments])
    monkeypatch.setattr("rrr_core.cli.processes.enter", lambda: None)  # it would take standard output away
    codes: list[object] = []
    for rank in ("0", "1"):
        for name, value in {"RANK": rank, "WORLD_SIZE": "2", "LOCAL_RANK": rank, "MASTER_PORT": "29500"}.items():
            monkeypatch.setenv(name, value)
        try:
            cli.main()
            codes.append(None)
        except SystemExit as end:
            codes.append(end.code)
    return codes


@pytest.mark.parametrize("command", ["transfer", "warmup", "probe", "plan", "rejudge"])
def test_a_launch_of_a_command_for_one_process_does_its_work_in_none(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rrr_core.cli.run_command", lambda arguments: pytest.fail("the work started"))
    assert codes_of_two(monkeypatch, command, "countdown") == [2, None]
    said = capsys.readouterr().err
    assert said.startswith(f"rrr: {command} works in one process, and torchrun has started 2")
    assert said.count("\n") == 1


def test_what_needs_no_second_process_is_done_by_the_first_of_a_launch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rrr_core.processes.ranks.torch_store", lambda *_, **__: pytest.fail("it waits for others"))
    assert codes_of_two(monkeypatch, "new", "pairs", "--yes", "--folder", str(tmp_path / "pairs")) == [0, None]
    assert (tmp_path / "pairs" / "pyproject.toml").exists()
    assert "exists" not in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["report", "nowhere"], ["mien"], ["verify"]])
def test_its_errors_are_said_at_once_though_the_others_never_start(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rrr_core.processes.ranks.torch_store", lambda *_, **__: pytest.fail("it waits for others"))
    assert codes_of_two(monkeypatch, *arguments) == [2, None]
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("rank", [0, 1])
def test_ctrl_c_is_not_held_up_by_processes_that_never_started(
    rank: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(**_: object) -> None:
        raise KeyboardInterrupt

    for name, value in {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("rrr_core.cli.app.main", interrupt)
    monkeypatch.setattr("rrr_core.processes.ranks.torch_store", lambda *_, **__: pytest.fail("it waits for others"))
    assert cli.run_command(["mine", "countdown"]) == 130
    said = capsys.readouterr().err
    assert said == ("" if rank else "rrr: interrupted: run the same command again to resume.\n")


def test_a_wrong_setting_is_refused_before_any_process_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rrr_core.processes.launch.launch", lambda *_: pytest.fail("processes were started"))
    (tmp_path / "run.toml").write_text("[mine]\nprocesses = 2\n")
    arguments = ["mine", "countdown", "--config", str(tmp_path / "run.toml"), "--processes", "2"]
    assert cli.run_command(arguments) == 2
    assert "[mine] processes is no setting: give it on the command line, as --processes." in capsys.readouterr().err


def test_variables_of_a_launcher_that_make_no_sense_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "many")
    done = rrr("tasks")
    assert done.returncode == 2
    assert done.stderr == "rrr: WORLD_SIZE is 'many', and a launcher sets it to a number: correct it, or unset it.\n"
