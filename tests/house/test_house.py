"""The README and the configuration keep their promises."""

from __future__ import annotations

import ast
import configparser
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import rrr_core

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
PLUGIN_TESTS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "plugins").glob("*/tests"))
MODULES = sorted((ROOT / "rrr_core").rglob("*.py")) + sorted((ROOT / "plugins").glob("*/src/**/*.py"))


def extra(name: str) -> dict[str, Requirement]:
    requirements = map(Requirement, PYPROJECT["project"]["optional-dependencies"][name])
    return {requirement.name: requirement for requirement in requirements}


def test_the_ci_runs_the_readmes_test_command() -> None:
    command = next(line for line in README.splitlines() if line.endswith(".venv/bin/tox"))
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert command in re.sub(r'"\$scratch/([^"]*)"', r"\1", script)


@pytest.fixture(scope="module")
def tox() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "tox.ini", encoding="utf-8")
    return parser


def test_tox_runs_the_train_environment_with_every_test_that_others_skip(tox: configparser.ConfigParser) -> None:
    assert tox["tox"]["env_list"].split()[-2:] == ["train", "coverage"]
    found = re.search(r"{posargs:(.*)}", tox["testenv:train"]["commands"])
    assert found is not None
    files = [path for folder in PLUGIN_TESTS for path in (ROOT / folder).rglob("test_*.py")]
    skipping = [path for path in files if "importorskip" in path.read_text(encoding="utf-8")]
    assert skipping
    assert set(found[1].split()) == {"tests", *(path.relative_to(ROOT).as_posix() for path in skipping)}


def test_what_the_train_environment_leaves_to_py311_skips_nothing_there(tox: configparser.ConfigParser) -> None:
    left = re.findall(r"--ignore (\S+)", tox["testenv:train"]["commands"])
    assert left
    assert "py311: coverage run -m pytest" in tox["testenv"]["commands"]
    asking = [
        path.relative_to(ROOT).as_posix()
        for room in left
        for path in (ROOT / room).rglob("*.py")
        # copier is in both environments.
        if re.search(r"importorskip\((?!\"copier\")|mark\.train|RRR_BARE", path.read_text(encoding="utf-8"))
    ]
    assert asking == []


def test_only_pip_fills_the_environments_with_torch_since_uv_would_not_find_a_cpu_build(
    tox: configparser.ConfigParser,
) -> None:
    heavy = [name for name, section in tox.items() if "train" in section.get("extras", "").split()]
    assert heavy == ["testenv:train", "testenv:vllm", "testenv:deepspeed"]
    train, *others = (tox[name]["install_command"] for name in heavy)
    assert train.startswith("python -I -m pip install ")
    assert others == ["{[testenv:train]install_command}"] * 2


def test_tox_tests_each_plugin_alone_on_every_supported_python_and_the_heavy_ones_on_one(
    tox: configparser.ConfigParser,
) -> None:
    listed = re.findall(r"^(py31\S+)-{(.*)}$", tox["tox"]["env_list"], re.MULTILINE)
    assert [pythons for pythons, _ in listed] == ["py31{1,2,3}", "py312"]
    light, heavy = (plugins.split(",") for _, plugins in listed)
    assert heavy == ["verifiers", "openenv", "inspect"]
    section = tox[f"testenv:py31{{1,2,3}}-{{{','.join([*light, *heavy])}}}"]
    assert re.findall(r"rrr_(\w+)", section["change_dir"]) == [*light, *heavy]
    assert {f"plugins/rrr_{name}/tests" for name in (*light, *heavy)} == set(PLUGIN_TESTS)
    assert PYPROJECT["project"]["requires-python"] == ">=3.11,<3.14"


def test_the_versions_agree() -> None:
    assert PYPROJECT["project"]["version"] == rrr_core.__version__
    assert f"## {rrr_core.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_ranges_admit_what_the_trainer_is_written_for() -> None:
    train = extra("train")
    assert train["torch"].specifier.contains("2.13.0")
    assert train["trl"].specifier.contains("1.16.0")
    assert not train["trl"].specifier.contains("1.17.0")


def test_vllms_range_is_the_one_that_trl_accepts() -> None:
    vllm = extra("vllm")["vllm"]
    assert vllm.specifier.contains("0.22.0")
    assert vllm.specifier.contains("0.31.0")
    assert not vllm.specifier.contains("0.21.0")
    assert not vllm.specifier.contains("0.31.1")
    assert vllm.marker is not None
    assert not vllm.marker.evaluate({"sys_platform": "darwin"})


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_its_purpose_and_is_not_long(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert (ast.get_docstring(ast.parse(source)) or "").strip()
    assert source.count("\n") <= 350


def test_the_readmes_commands_and_settings_exist() -> None:
    from rrr_core.cli import COMMANDS
    from rrr_core.config.sections import section_class
    from rrr_core.config.settings import settings_of

    for command in re.findall(r"^rrr (\w+)", README, re.MULTILINE):
        assert command in COMMANDS
    example = re.search(r"```toml\n(\[model\].*?)```", README, re.DOTALL)
    assert example is not None
    for section, table in tomllib.loads(example.group(1)).items():
        assert set(table) <= {setting.key for setting in settings_of(section_class(section))}
