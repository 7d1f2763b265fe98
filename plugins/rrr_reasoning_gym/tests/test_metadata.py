"""Metadata survives JSON."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rrr_reasoning_gym import metadata

KEYS = st.one_of(st.integers(), st.text(max_size=3), st.booleans(), st.tuples(st.integers()))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5), st.fractions()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(KEYS, inner, max_size=3),
        st.sets(st.integers(), max_size=3),
        st.frozensets(st.text(max_size=2), max_size=3),
    ),
    max_leaves=10,
)


@given(VALUES)
def test_what_is_read_back_equals_what_was_written(value):
    again = metadata.decode(json.loads(json.dumps(metadata.encode(value))))
    assert again == value
    assert repr(type(again)) == repr(type(value))


@pytest.mark.parametrize("value", [{"$tuple": [1]}, {"$pairs": []}, {"$": 1}, {1: (2, Fraction(1, 3))}])
def test_data_that_looks_like_a_mark_is_kept(value):
    assert metadata.decode(json.loads(json.dumps(metadata.encode(value)))) == value


def test_numpy_numbers_and_texts_become_python_ones():
    assert metadata.encode({"a": numpy.float64(0.5), "b": numpy.str_("x")}) == {"a": 0.5, "b": "x"}


def test_a_type_that_json_would_lose_is_refused():
    with pytest.raises(TypeError, match="metadata of the type ndarray cannot be kept in a row"):
        metadata.encode({"a": numpy.zeros(2)})
