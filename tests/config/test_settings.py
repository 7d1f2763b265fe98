"""Settings from the command line and from a TOML file share their definition, their parsing and their errors."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrr_core.config import files, sections
from rrr_core.config.files import read_config
from rrr_core.config.option import option
from rrr_core.config.settings import BadValue, Settings, build, settings_of
from rrr_core.errors import RrrError
from rrr_core.training.settings import TrainSettings


@dataclass(frozen=True)
class Soup(Settings):
    """Settings of every kind."""

    bowls: int = option(3, "Bowls.", minimum=1, maximum=9)
    heat: float = option(0.5, "Heat.", minimum=0)
    name: str | None = option(None, "Name.")
    style: str = option("clear", "Style.", choices=("clear", "thick"))
    hot: bool = option(True, "Hot or cold.")
    with_: tuple[str, ...] = option(("salt",), "Spices.")
    extra: Mapping[str, str] = option({}, "Anything else.")


SETTINGS = {setting.key: setting for setting in settings_of(Soup)}


@pytest.fixture
def soup_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes and reads a TOML file with the section [soup]."""
    monkeypatch.setattr(files, "section_class", lambda section: Soup)

    def read(text: str) -> dict[str, dict[str, Any]]:
        path = tmp_path / "soup.toml"
        path.write_text(text, encoding="utf-8")
        return read_config(path, ["soup", "salad"])

    return read


def test_a_trailing_underscore_is_not_part_of_the_key() -> None:
    assert SETTINGS["with"].field == "with_"


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("bowls", "4", 4),
        ("heat", "1e-3", 0.001),
        ("name", "", ""),
        ("style", "thick", "thick"),
        ("with", "pepper", "pepper"),
        ("extra", "a=b=c", ("a", "b=c")),
    ],
)
def test_a_text_is_parsed_as_the_fields_type(key: str, text: str, value: Any) -> None:
    assert SETTINGS[key].from_text(text) == value


@pytest.mark.parametrize(
    ("key", "text", "complaint"),
    [
        ("bowls", "four", "expected a whole number, not 'four'."),
        ("bowls", "4.0", "expected a whole number, not '4.0'."),
        ("bowls", "0", "must be at least 1, not 0."),
        ("bowls", "10", "must be at most 9, not 10."),
        ("heat", "nan", "expected a finite number, not nan."),
        ("style", "thik", "must be one of clear, thick, not 'thik'. Did you mean 'thick'?"),
        ("extra", "salt", "expected KEY=VALUE, not 'salt'."),
        ("extra", "=salt", "expected KEY=VALUE, not '=salt'."),
    ],
)
def test_a_text_of_the_wrong_type_is_refused_with_what_was_expected(key: str, text: str, complaint: str) -> None:
    with pytest.raises(BadValue) as caught:
        SETTINGS[key].from_text(text)
    assert str(caught.value) == complaint


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for setting in SETTINGS.values():
        try:
            setting.from_text(text)
        except BadValue as error:
            assert "\n" not in str(error)


def test_a_file_sets_fields_of_every_kind(soup_file: Any) -> None:
    read = soup_file(
        '[soup]\nbowls = 2\nheat = 1\nname = "x"\nhot = false\nwith = ["a", "b"]\n[soup.extra]\nk = 1\n'
        "on = true\nl = [1]\n"
    )
    assert build(Soup, read["soup"]) == Soup(
        bowls=2, heat=1.0, name="x", hot=False, with_=("a", "b"), extra={"k": "1", "on": "true", "l": "[1]"}
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[sop]\n", "unknown section [sop]. Did you mean 'soup'?"),
        ("soup = 1\n", "soup must be a section, written [soup]."),
        ("bowls = 3\n", "bowls is a key of a section: put it under [soup] or [salad]."),
        ("bowl = 3\n", "unknown section [bowl]."),
        ("[soup]\nbowl = 1\n", "[soup] has no key 'bowl'. Did you mean 'bowls'?"),
        ("[soup]\nwith_ = ['x']\n", "[soup] has no key 'with_'. Did you mean 'with'?"),
        ('[soup]\nbowls = "two"\n', "[soup] bowls: expected a whole number, not 'two'."),
        ("[soup]\nbowls = true\n", "[soup] bowls: expected a whole number, not 'true'."),
        ("[soup]\nheat = inf\n", "[soup] heat: expected a finite number, not inf."),
        ("[soup]\nhot = 1\n", "[soup] hot: expected true or false, not '1'."),
        ("[soup]\nwith = 'x'\n", "[soup] with: expected a list of texts, not 'x'."),
        ("[soup]\nstyle = 'thin'\n", "[soup] style: must be one of clear, thick, not 'thin'. Did you mean 'thick'?"),
        ("[soup]\nextra = 'x'\n", "[soup] extra: expected a table, not 'x'."),
    ],
)
def test_a_file_with_a_mistake_is_refused_naming_file_section_and_key(
    soup_file: Any, tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(RrrError) as caught:
        soup_file(text)
    assert str(caught.value) == f"{tmp_path / 'soup.toml'}: {complaint}"


def test_a_key_outside_of_its_section_is_refused_naming_the_sections_that_have_it(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    for text, homes in (
        ("steps = 3\n", "[train]"),
        ("top_p = 0.9\n", "[mine] or [eval]"),
        ("alike = 'x'\n", "[train]"),
    ):
        path.write_text(text)
        with pytest.raises(RrrError, match=re.escape(f"is a key of a section: put it under {homes}.")):
            read_config(path)


def test_a_file_that_is_not_toml_is_refused_with_its_line(soup_file: Any) -> None:
    with pytest.raises(RrrError, match=r"soup\.toml: not a TOML file: .*line 2"):
        soup_file("[soup]\nbowls 3\n")


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "soup.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(RrrError, match=r"soup\.toml: not a TOML file"):
        read_config(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RrrError, match=r"nothing\.toml: cannot be read: No such file"):
        read_config(tmp_path / "nothing.toml")


def test_a_later_layer_overrides_an_earlier_one_and_mappings_are_merged() -> None:
    layers = ({"bowls": 1, "extra": {"a": "1", "b": "1"}}, {"bowls": 2, "extra": {"b": "2"}})
    assert build(Soup, *layers) == Soup(bowls=2, extra={"a": "1", "b": "2"})


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"bowls": 0}, "Soup.bowls must be at least 1, not 0."),
        ({"bowls": 2.5}, "Soup.bowls expected a whole number, not '2.5'."),
        ({"bowls": None}, "Soup.bowls expected a whole number, not 'null'."),
        ({"heat": float("nan")}, "Soup.heat expected a finite number, not nan."),
        ({"name": 3}, "Soup.name expected a text, not '3'."),
        ({"style": "thik"}, "Soup.style must be one of clear, thick, not 'thik'. Did you mean 'thick'?"),
        ({"hot": "no"}, "Soup.hot expected True or False, not 'no'."),
        ({"with_": "salt"}, "Soup.with_ expected a tuple of texts, not 'salt'."),
        ({"extra": [1]}, "Soup.extra expected a mapping of texts, not '[1]'."),
    ],
)
def test_a_value_from_python_meets_the_rules_of_its_option(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RrrError) as caught:
        Soup(**values)
    assert str(caught.value) == complaint
    with pytest.raises(RrrError):
        dataclasses.replace(Soup(), **values)


def test_a_list_from_python_becomes_the_tuple_its_field_holds() -> None:
    assert Soup(with_=["a", "b"]) == Soup(with_=("a", "b"))  # type: ignore[arg-type]


def test_further_choices_are_looked_up_only_for_a_value_that_is_not_among_the_choices() -> None:
    asked = []

    @dataclass(frozen=True)
    class Meal(Settings):
        course: str = option("soup", "Course.", choices=("soup",), further=lambda: asked.append(1) or ["cake"])

    Meal()
    assert not asked
    assert Meal("cake").course == "cake"
    assert asked
    with pytest.raises(RrrError, match=r"Meal.course must be one of soup, cake, not 'cak'\. Did you mean 'cake'"):
        Meal("cak")


@pytest.mark.parametrize("section", sections.SECTIONS)
def test_every_section_checks_its_values_when_it_is_made(section: str) -> None:
    made = sections.section_class(section)
    assert issubclass(made, Settings)
    for setting in settings_of(made):
        if setting.choices and setting.kind == "text":
            with pytest.raises(RrrError, match=rf"{made.__name__}\.{setting.field} must be one of"):
                made(**{setting.field: "no such choice"})
        if setting.minimum is not None:
            with pytest.raises(RrrError, match=rf"{made.__name__}\.{setting.field} must be at least"):
                made(**{setting.field: int(setting.minimum) - 1})


def test_a_misspelt_credit_suggests_the_right_one() -> None:
    with pytest.raises(
        RrrError, match=r"TrainSettings\.credit must be one of .* not 'placbo'\. Did you mean 'placebo'"
    ):
        TrainSettings(credit="placbo")


def test_a_field_of_a_type_that_no_option_can_have_is_a_programming_error() -> None:
    @dataclass(frozen=True)
    class Odd:
        when: bytes = option(b"", "When.")

    with pytest.raises(TypeError, match="cannot be an option"):
        settings_of(Odd)


@pytest.mark.parametrize("section", sections.SECTIONS)
def test_every_section_of_the_file_has_settings_with_help(section: str) -> None:
    settings = settings_of(sections.section_class(section))
    assert settings
    assert all(setting.help.endswith((".", ")")) for setting in settings)


@pytest.mark.parametrize("section", sections.SECTIONS)
def test_every_default_is_valid_for_its_setting(section: str) -> None:
    for setting in settings_of(sections.section_class(section)):
        default = list(setting.default) if isinstance(setting.default, tuple) else setting.default
        if default is not None:
            assert setting.from_toml(default) == setting.default, setting.key
