"""`--data KEY=VALUE` reaches a data set's configuration, or is refused in one line."""

from __future__ import annotations

import datetime
import typing

import pytest
from rrr_reasoning_gym import options, upstream

from rrr_core.errors import DataError


def refused(dataset: str, **given: str) -> str:
    with pytest.raises(DataError) as caught:
        options.configured(dataset, given)
    return str(caught.value)


def test_without_options_seed_and_size_are_fixed():
    config = options.configured("gcd", {}).config
    assert (config.seed, config.size) == (0, 10_000)


def test_each_kind_of_field_is_parsed():
    assert options.configured("countdown", {"min_numbers": "3", "max_numbers": "3"}).config.max_numbers == 3
    assert options.configured("chain_sum", {"allow_negation": "true"}).config.allow_negation is True
    assert options.configured("binary_matrix", {"p_zero": "0.5"}).config.p_zero == 0.5
    dates = options.configured("time_intervals", {"min_date": "2000-01-02", "max_time": "12:30"}).config
    assert (dates.min_date, dates.max_time) == (datetime.date(2000, 1, 2), datetime.time(12, 30))
    assert options.configured("boxnet", {"colour_list": '["red"]'}).config.colour_list == ["red"]
    cased = options.configured("word_sorting", {"transformation": "uppercase"}).config.transformation
    assert cased.name == "UPPERCASE"


@pytest.mark.parametrize(
    ("dataset", "given", "complaint"),
    [
        ("gcd", {"min_number": "3"}, "has no data option 'min_number'. Did you mean 'min_numbers'"),
        ("gcd", {"zzz": "3"}, "It has min_numbers, max_numbers, min_value, max_value, seed, size."),
        ("gcd", {"size": "many"}, "--data size=many: a whole number is expected."),
        ("gcd", {"size": "1e3"}, "--data size=1e3: a whole number is expected."),
        ("gcd", {"size": "true"}, "--data size=true: a whole number is expected."),
        ("gcd", {"seed": "x"}, "--data seed=x: a whole number or none is expected."),
        ("gcd", {"size": "0"}, "does not take this: size must be at least 1"),
        ("gcd", {"seed": "none"}, "does not take this: size must be at least 1, and seed a number"),
        ("gcd", {"min_numbers": "5", "max_numbers": "3"}, "--data min_numbers=5 max_numbers=3: reasoning-gym.gcd does"),
        ("chain_sum", {"allow_negation": "yes"}, "true or false is expected"),
        ("binary_matrix", {"p_zero": "[]"}, "a number is expected"),
        ("boxnet", {"colour_list": "red"}, "a list in JSON such as [1, 2] is expected"),
        ("boxnet", {"colour_list": "[1]"}, "a list in JSON such as [1, 2] is expected"),
        ("boxnet", {"colour_list": "[" * 100_000}, "a list in JSON"),
        ("word_sorting", {"transformation": "up"}, "one of lowercase, uppercase, original, randomcase is expected"),
        ("time_intervals", {"min_date": "today"}, "a date such as 2026-01-31 is expected"),
        ("arc_agi", {"board_format_opts": "{}"}, "nothing that can be written here (a BoardFormattingOptions)"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_expected(dataset, given, complaint):
    message = refused(dataset, **given)
    assert complaint in message
    assert "\n" not in message


@pytest.mark.parametrize("dataset", upstream.datasets())
def test_every_field_of_every_data_set_has_a_description(dataset):
    for kind in typing.get_type_hints(upstream.classes(dataset)[1]).values():
        assert options.expected(kind)


@pytest.mark.parametrize("dataset", upstream.datasets())
def test_every_data_set_has_a_seed_and_a_size(dataset):
    assert set(options.DEFAULTS) <= set(typing.get_type_hints(upstream.classes(dataset)[1]))


@pytest.mark.parametrize("dataset", upstream.datasets())
def test_the_declared_defaults_are_those_of_the_data_set(dataset):
    declared = list(options.declared(dataset))
    spelt_out = {option.name: option.default for option in declared if option.default}
    assert {"seed", "size"} <= set(spelt_out)
    assert options.configured(dataset, spelt_out).config == options.configured(dataset, {}).config
    assert options.differing(dataset, spelt_out) == {}
