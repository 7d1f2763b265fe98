"""Every setting is an option: command line overrides file, file overrides preset, preset overrides default."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from rrr_core.cli import options
from rrr_core.cli.options import SettingsCommand, with_settings
from rrr_core.config import files, naming
from rrr_core.config.option import option
from rrr_core.config.settings import Settings
from rrr_core.errors import RrrError


@dataclass(frozen=True)
class Oven(Settings):
    name: str | None = option(None, "Name of the oven.")
    heat_level: int = option(3, "How hot.", minimum=1, maximum=9)
    fan: bool = option(False, "Whether air moves.")
    with_: tuple[str, ...] = option(("tray",), "What is inside.")
    extra: Mapping[str, str] = option({}, "Anything else.")


@dataclass(frozen=True)
class Bread(Settings):
    heat_level: int = option(5, "How hot.")
    grain: str = option("rye", "What it is of.", choices=("rye", "wheat"))
    salt: int = option(1, "Spoons.", minimum=0)

    def check_given(self, fields: Collection[str]) -> None:
        if "salt" in fields and self.grain == "wheat":
            raise RrrError("--salt does nothing with --grain wheat: leave it out.")


@pytest.fixture
def bake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs a command with [oven] and, prefixed, [bread]; returns what it got and click's result."""
    classes = {"oven": Oven, "bread": Bread}
    for module in (files, naming, options):
        monkeypatch.setattr(module, "section_class", classes.__getitem__)
    monkeypatch.setattr(options, "read_config", lambda path, say: files.read_config(path, list(classes), say))

    def run(*arguments: str, file: str = "", presets: Any = None) -> tuple[dict[str, Any], Result]:
        got: dict[str, Any] = {}

        @click.command(cls=SettingsCommand)
        @click.option("--folder")
        @with_settings("oven", prefixed=("bread",), presets=presets)
        def command(**given: Any) -> None:
            got.update(given)

        path = tmp_path / "bake.toml"
        path.write_text(file, encoding="utf-8")
        return got, CliRunner().invoke(command, [*arguments, *(["--config", str(path)] if file else [])])

    return run


def test_without_options_the_defaults_apply(bake: Any) -> None:
    got, _ = bake()
    assert got == {"folder": None, "oven": Oven(), "bread": Bread()}


def test_every_kind_of_setting_has_its_option(bake: Any) -> None:
    got, result = bake(
        *("--heat-level", "7", "--fan", "--with", "a", "--with", "b", "--extra", "k=v", "--extra", "l=w"),
        *("--bread-heat-level", "-2", "--bread-grain", "wheat", "--name", "big", "--folder", "x"),
    )
    assert result.exit_code == 0, result.output
    assert got["oven"] == Oven("big", 7, True, ("a", "b"), {"k": "v", "l": "w"})
    assert got["bread"] == Bread(-2, "wheat")
    assert got["folder"] == "x"


def test_the_file_beats_the_preset_and_the_command_line_beats_the_file(bake: Any) -> None:
    got, _ = bake(
        "--heat-level",
        "8",
        file="[oven]\nheat_level = 7\nname = 'file'\n[bread]\nheat_level = 6\n",
        presets={"oven": {"heat_level": 2, "name": "preset", "fan": True}},
    )
    assert got["oven"] == Oven("file", 8, True)
    assert got["bread"].heat_level == 6


def test_a_switch_that_the_file_turned_on_can_be_turned_off(bake: Any) -> None:
    got, _ = bake("--no-fan", file="[oven]\nfan = true\n")
    assert got["oven"].fan is False


def test_a_list_on_the_command_line_replaces_the_files_and_a_mapping_adds_to_it(bake: Any) -> None:
    got, _ = bake("--with", "x", "--extra", "b=2", file="[oven]\nwith = ['y']\nextra = {a = 1, b = 1}\n")
    assert got["oven"].with_ == ("x",)
    assert got["oven"].extra == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--heat-level", "10"], "'--heat-level': must be at most 9, not 10."),
        (["--heat-level", "x"], "'--heat-level': expected a whole number, not 'x'."),
        (["--bread-grain", "ry"], "'--bread-grain': must be one of rye, wheat, not 'ry'. Did you mean 'rye'?"),
        (["--extra", "k"], "'--extra': expected KEY=VALUE, not 'k'."),
        (["--extra", "k=1", "--extra", "k=2"], "--extra: 'k' is given twice."),
    ],
)
def test_a_wrong_value_is_refused_naming_the_option(bake: Any, arguments: list[str], complaint: str) -> None:
    _, result = bake(*arguments)
    assert result.exit_code == 2
    assert complaint in result.output


def test_help_lists_each_section_with_defaults_limits_and_choices(bake: Any) -> None:
    _, result = bake("--help")
    words = " ".join(result.output.split())
    assert "Options of bread:" in words
    assert "--heat-level INTEGER How hot. [default: 3; at least 1; at most 9]" in words
    assert "--bread-grain rye|wheat What it is of. [default: rye]" in words
    assert "--fan / --no-fan Whether air moves. [default: off]" in words


def test_help_shows_a_preset_as_the_default(bake: Any) -> None:
    _, result = bake("--help", presets={"oven": {"heat_level": 2}})
    assert "How hot. [default: 2; at least 1; at most 9]" in " ".join(result.output.split())


def test_two_options_with_the_same_name_are_a_programming_error(bake: Any) -> None:
    with pytest.raises(TypeError, match="--heat-level: prefix one of them"):

        @with_settings("oven", "bread")
        def command(**given: Any) -> None: ...


@pytest.mark.parametrize(
    ("arguments", "file"), [(("--bread-salt", "1"), ""), ((), "[bread]\nsalt = 1\n")], ids=["command line", "file"]
)
def test_what_the_user_gave_and_does_nothing_is_refused_under_its_own_name(
    bake: Any, arguments: tuple[str, ...], file: str
) -> None:
    _, result = bake("--bread-grain", "wheat", *arguments, file=file)
    assert str(result.exception) == "--bread-salt does nothing with --bread-grain wheat: leave it out."


def test_what_a_preset_gave_is_not_refused_for_doing_nothing(bake: Any) -> None:
    got, result = bake("--bread-grain", "wheat", presets={"bread": {"salt": 2}})
    assert result.exception is None
    assert got["bread"].salt == 2
