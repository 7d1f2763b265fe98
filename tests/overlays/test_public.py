"""`rrr_core.overlays`: what overlay authors build on stays as it is."""

from __future__ import annotations

import inspect

import pytest

from rrr_core import Model, overlays
from rrr_core.errors import PluginError
from rrr_core.overlays import page_parts, pair_key, prompt_of

SIGNATURES = {
    "one_line": ("value", "longest"),
    "option": ("default", "help", "minimum", "maximum", "choices"),
    "page_parts": (),
    "pair_key": ("task", "row", "answer"),
    "pause_progress": (),
    "plain": ("text",),
    "prompt_of": ("task", "row", "model"),
    "read_options": ("overlay", "settings_class", "options", "required"),
}
"""Function → its first arguments. Others may be added at the end."""


def test_the_names_are_those_that_were_promised():
    assert overlays.__all__ == sorted(SIGNATURES)


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_arguments_of_a_function_begin_with_those_that_were_promised(name):
    promised = SIGNATURES[name]
    assert tuple(inspect.signature(getattr(overlays, name)).parameters)[: len(promised)] == promised


def test_a_pairs_key_is_the_same_in_every_release_and_whatever_the_order_of_a_rows_keys():
    key = "aa4f85809f97c809f21785a3578eb432387e6f9f5910e789969ba7202327dc00"
    assert pair_key("sums", {"a": 1, "b": 2}, "3") == pair_key("sums", {"b": 2, "a": 1}, "3") == key
    others = [pair_key("sum", {"a": 1, "b": 2}, "3"), pair_key("sums", {"a": 2, "b": 1}, "3")]
    assert key not in [*others, pair_key("sums", {"a": 1, "b": 2}, "3 ")]


def test_a_prompt_is_written_for_the_named_model(site):
    site.install_task("worded", extra="@hookimpl\ndef rrr_prompt(row, model): return f'{model.name}: {row}'")
    assert prompt_of("worded", {"a": 1}, Model("a person"))[-1]["content"] == "a person: {'a': 1}"


def test_a_prompt_that_a_plugin_cannot_write_is_blamed_on_it(site):
    site.install_task("wordless")
    with pytest.raises(PluginError, match="rrr-wordless 1.0, hook rrr_prompt"):
        prompt_of("wordless", {}, Model("a person"))


def test_the_parts_of_a_page_define_what_was_promised_and_load_nothing():
    script, style = page_parts()
    for name in ("function h(tag, attributes, ...children)", "function plain(text)", "const count = (value)"):
        assert name in script
    assert "innerHTML" not in script
    assert "url(" not in style
    assert "@import" not in style
