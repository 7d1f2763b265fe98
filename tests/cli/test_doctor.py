"""`rrr doctor`: what is present, what is missing and what that costs, and what is broken."""

from __future__ import annotations

import builtins
import json
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import pytest

import rrr_core
from rrr_core import cli
from rrr_core.cli.doctor import TITLES, lines_of
from rrr_core.doctor import GROUPS, Finding
from rrr_core.doctor.accelerator import accelerator, device_finding
from rrr_core.doctor.machine import machine
from rrr_core.doctor.packages import packages
from rrr_core.doctor.plugins import engines, tasks
from rrr_core.doctor.sandbox import sandbox
from rrr_core.tasks import TaskDescription, TaskEntry

CORE = {"rrr-core": rrr_core.__version__}
SUMS = TaskEntry("sums", "rrr-sums", "1.2", "rrr_sums")
WORDS = TaskEntry("words", "rrr-words", "0.1", "rrr_words", kind="overlay")


class Protection(NamedTuple):
    name: str
    in_force: bool
    detail: str


@pytest.fixture
def protected(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Gives the sandbox exactly these protections."""

    def protect(*protections: Protection) -> None:
        module = ModuleType("rrr_core.verification.protection")
        module.protections = lambda: protections  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)

    protect(Protection("no network", True, "connect was refused"))
    return protect


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes these tasks and overlays, by state, the installed ones."""

    def install(states: dict[TaskEntry, str], trusted: bool = True) -> None:
        monkeypatch.setattr("rrr_core.tasks.load_task", lambda name: SimpleNamespace(trusted=trusted))
        monkeypatch.setattr("rrr_core.tasks.find_tasks", lambda: [each for each in states if each.kind == "task"])
        monkeypatch.setattr("rrr_core.tasks.find_overlays", lambda: [each for each in states if each.kind != "task"])
        monkeypatch.setattr("rrr_core.tasks.describe_task", lambda entry: TaskDescription(entry, (), states[entry]))

    install({SUMS: "ok"})
    return install


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes these package versions the installed ones, and all others missing."""

    def install(**installed: str) -> None:
        def version(name: str) -> str:
            if name not in installed:
                raise metadata.PackageNotFoundError(name)
            return installed[name]

        monkeypatch.setattr(metadata, "version", version)

    return install


@pytest.fixture
def torch_says(monkeypatch: pytest.MonkeyPatch, versions: Any) -> Any:
    """Replaces the process that probes torch."""
    versions(torch="2.13.0")

    def say(outcome: BaseException | str, stderr: str = "") -> Finding:
        def run(command: list[str], **_: Any) -> Any:
            if isinstance(outcome, BaseException):
                raise outcome
            return SimpleNamespace(stdout=outcome, stderr=stderr)

        monkeypatch.setattr(subprocess, "run", run)
        (finding,) = accelerator()
        return finding

    return say


def by_name(findings: Any) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def rrr_doctor(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, str]:
    code = cli.run_command(["doctor", "--quick", *options])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_machine_with_nothing_broken_exits_with_0(
    protected: Any, installed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = rrr_doctor(capsys)
    assert (code, err) == (0, "")
    assert [line for line in out.splitlines() if line and not line.startswith(" ")] == list(TITLES.values())
    assert rrr_core.__version__ in out


def test_a_task_that_cannot_be_loaded_exits_with_1_and_is_named(
    protected: Any, installed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    installed({SUMS: "ok", WORDS: "rrr-words 0.1: its module rrr_words cannot be imported"})
    code, out, err = rrr_doctor(capsys)
    assert (code, err) == (1, "rrr: broken: --with words\n")
    assert "rrr-words 0.1: its module rrr_words cannot be imported" in out


def test_json_holds_every_finding_and_names_what_is_broken(
    protected: Any, installed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    installed({SUMS: "cannot be imported"})
    code, out, _ = rrr_doctor(capsys, "--json")
    reported = json.loads(out)
    assert (code, reported["broken"]) == (1, ["sums"])
    assert {
        "group": "sandbox",
        "name": "no network",
        "state": "ok",
        "detail": "connect was refused",
        "cost": "",
    } in reported["findings"]


def test_every_group_has_a_title() -> None:
    assert tuple(TITLES) == GROUPS


def test_a_missing_thing_has_its_cost_below_it_and_nothing_drives_the_terminal() -> None:
    findings = [
        Finding("tasks", "su\x1bms", "ok", "rrr-sums 1.2"),
        Finding("sandbox", "no network", "missing", "no sec\ncomp", "a verifier may connect"),
    ]
    assert list(lines_of(findings)) == [
        TITLES["tasks"],
        "  su�ms       ok      rrr-sums 1.2",
        "",
        TITLES["sandbox"],
        "  no network  -       no sec comp",
        "                      a verifier may connect",
    ]


def test_a_bare_core_says_where_to_get_a_task(installed: Any) -> None:
    installed({WORDS: "ok"})
    findings = by_name(tasks())
    assert findings["tasks"].state == "missing"
    assert "pip install rrr-countdown" in findings["tasks"].cost
    assert findings["--with words"].state == "ok"


def test_a_task_whose_verifier_runs_in_the_sandbox_says_so(installed: Any) -> None:
    installed({SUMS: "ok"}, trusted=True)
    assert by_name(tasks())["sums"].detail == "rrr-sums 1.2"
    installed({SUMS: "ok"}, trusted=False)
    assert by_name(tasks())["sums"].detail.endswith("it runs in the sandbox")


def test_a_protection_that_is_not_in_force_is_reported_missing_with_its_cost(protected: Any) -> None:
    protected(Protection("no network", True, "connect was refused"), Protection("no writing", False, "no Landlock"))
    findings = by_name(sandbox())
    assert (findings["no network"].state, findings["no network"].cost) == ("ok", "")
    assert (findings["no writing"].state, findings["no writing"].detail) == ("missing", "no Landlock")
    assert findings["no writing"].cost


def test_an_extra_is_present_when_all_its_packages_fit(versions: Any) -> None:
    versions(httpx2="2.16", **CORE)
    assert by_name(packages())["[server]"] == Finding("packages", "[server]", "ok", "httpx2 2.16")


@pytest.mark.parametrize(
    ("version", "reported"), [(None, "httpx2 is not installed"), ("1.9", "httpx2 1.9 is not <3,>=2")]
)
def test_an_extra_with_a_missing_package_says_which_and_how_to_install_it(
    versions: Any, version: str | None, reported: str
) -> None:
    versions(**CORE, **({"httpx2": version} if version else {}))
    server = by_name(packages())["[server]"]
    assert (server.state, server.detail) == ("missing", reported)
    assert server.cost.endswith("pip install 'rrr-core[server]'")


def test_every_extra_that_is_missing_says_what_cannot_be_done_without_it(versions: Any) -> None:
    versions(**CORE)
    lacking = [each for each in packages() if each.name.startswith("[") and each.state == "missing"]
    assert {each.name for each in lacking} >= {"[author]", "[verifiers]", "[inspect]", "[server]"}
    assert all(each.cost.startswith("no ") for each in lacking)


def test_an_engine_of_the_core_is_present_when_its_extra_is(versions: Any) -> None:
    versions(httpx2="2.16", **CORE)
    found = by_name(engines())
    assert found["--backend server"] == Finding("engines", "--backend server", "ok", "rrr-core[server]")
    lacking = found["--backend transformers"]
    assert (lacking.state, lacking.detail) == ("missing", "needs rrr-core[train]")
    assert lacking.cost == "no generation with transformers and no training"


def test_another_distributions_engine_is_listed_with_its_version_and_a_broken_one_with_its_reason(site: Any) -> None:
    spec = "from rrr_core.generation import EngineSpec\nENGINE = EngineSpec(open='rrr_echo:open_it')\n"
    site.install("rrr-echo", "2.0", modules={"rrr_echo": spec}, engines={"echo": "rrr_echo:ENGINE"})
    site.install("rrr-mute", "1.1", modules={"rrr_mute": "1 / 0"}, engines={"mute": "rrr_mute:ENGINE"})
    found = by_name(engines())
    assert found["--backend echo"] == Finding("engines", "--backend echo", "ok", "rrr-echo 2.0")
    assert found["--backend mute"].state == "broken"
    assert "rrr-mute 1.1: its module rrr_mute cannot be imported: ZeroDivisionError" in found["--backend mute"].detail
    assert found["--backend mute"].cost == "--backend mute cannot be used; other engines can"


def test_without_an_installed_core_its_extras_are_unknown(versions: Any) -> None:
    versions()
    findings = by_name(packages())
    assert list(findings) == ["rrr-core", "extras"]
    assert findings["extras"].state == "unknown"


def test_without_torch_it_says_how_to_install_it_and_probes_nothing(
    versions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions()
    monkeypatch.setattr(subprocess, "run", None)
    (finding,) = accelerator()
    assert finding.state == "unknown"
    assert "pip install 'rrr-core[train]'" in finding.cost


def test_with_quick_it_does_not_load_torch(versions: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    versions(torch="2.13.0")
    monkeypatch.setattr(subprocess, "run", None)
    (finding,) = accelerator(quick=True)
    assert finding.state == "unknown"


def test_each_gpu_is_listed_with_its_memory() -> None:
    reported = device_finding({"kind": "cuda", "names": ["H200", "H200"], "memory": [150e9, 150e9]})
    assert (reported.state, reported.detail) == ("ok", "cuda: H200, 150.0 GB; H200, 150.0 GB")


def test_another_accelerator_is_listed_by_its_kind() -> None:
    assert device_finding({"kind": "mps", "names": [], "memory": []}).detail == "mps"


def test_a_driver_that_torch_warns_about_is_reported(torch_says: Any) -> None:
    answer = 'noise\n{"kind": "cpu", "names": [], "memory": []}\n'
    finding = torch_says(answer, "x.py:9: UserWarning: The NVIDIA driver on your system is too old.\n  return\n")
    assert finding.state == "missing"
    assert finding.detail.endswith("warns: The NVIDIA driver on your system is too old.")


def test_a_torch_that_cannot_be_imported_is_broken_with_its_reason(torch_says: Any) -> None:
    error = subprocess.CalledProcessError(1, "python", "", "Traceback\nImportError: libcudart.so.13: no such file\n")
    finding = torch_says(error)
    assert (finding.state, finding.detail) == (
        "broken",
        "torch does not work: ImportError: libcudart.so.13: no such file",
    )


def test_a_torch_that_takes_too_long_is_not_waited_for(torch_says: Any) -> None:
    assert torch_says(subprocess.TimeoutExpired("python", 60)).state == "unknown"


def test_low_disk_space_is_reported_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1e9))
    disk = by_name(machine(tmp_path))["disk"]
    assert (disk.state, disk.detail) == ("missing", "1.0 GB free here")
    assert "--folder" in disk.cost


def test_locks_are_tried_and_nothing_is_left_behind(tmp_path: Path) -> None:
    assert by_name(machine(tmp_path))["file locks"].state == "ok"
    assert list(tmp_path.iterdir()) == []


def test_a_system_without_locks_says_what_that_costs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = builtins.__import__

    def without_fcntl(name: str, *arguments: Any) -> Any:
        if name == "fcntl":
            raise ModuleNotFoundError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without_fcntl)
    locks = by_name(machine(tmp_path))["file locks"]
    assert locks.state == "missing"
    assert "run one at a time" in locks.cost


def test_an_unwritable_folder_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(**_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    files = by_name(machine(tmp_path))["files"]
    assert (files.state, files.detail) == ("missing", "this folder cannot be written: Permission denied")


def test_it_runs_on_this_machine_and_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom rrr_core.cli import run_command\n"
        "code = run_command(['doctor', '--quick', '--json'])\n"
        "assert not {'torch', 'transformers', 'numpy'} & set(sys.modules)\nsys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    reported = json.loads(done.stdout)
    assert done.returncode == bool(reported["broken"]), done.stderr
    assert {finding["group"] for finding in reported["findings"]} == set(GROUPS)
    assert {"Python", "rrr-core", "[train]", "--backend server", "countdown"} <= {
        finding["name"] for finding in reported["findings"]
    }


@pytest.mark.train
def test_torch_reports_its_device_on_this_machine() -> None:
    pytest.importorskip("torch")
    (finding,) = accelerator()
    assert finding.state in ("ok", "missing")
