"""An overlay's options are parsed into typed settings, and each mistake in them is reported in one line."""

from dataclasses import dataclass

import pytest

from rrr_core.config.option import option
from rrr_core.errors import RrrError
from rrr_core.overlays.options import read_options


@dataclass(frozen=True)
class Settings:
    share: float = option(0.5, "A share.", minimum=0, maximum=1)
    count: int = option(3, "A count.", minimum=1)
    aloud: bool = option(False, "A switch.")
    colour: str = option("red", "A colour.", choices=("red", "green"))
    from_: str | None = option(None, "A file.")


def read(**given):
    return read_options("fake", Settings, given)


def error_of(required=(), **given):
    with pytest.raises(RrrError) as caught:
        read_options("fake", Settings, given, required)
    return str(caught.value)


def test_what_is_left_out_has_its_default():
    assert read() == Settings()


def test_texts_become_values_of_the_fields_types():
    given = {"share": "0.25", "count": "7", "aloud": "yes", "colour": "green", "from": "a=b,c.txt"}
    assert read(**given) == Settings(0.25, 7, True, "green", "a=b,c.txt")


def test_a_switch_is_turned_off_with_no():
    assert read(aloud="no").aloud is False


def test_an_unknown_option_is_answered_with_the_nearest_and_with_all():
    assert error_of(shares="1") == (
        "The overlay 'fake' has no option 'shares'. Did you mean 'share'? It takes share, count, aloud, colour, from."
    )


@pytest.mark.parametrize(
    ("key", "text", "complaint"),
    [
        ("share", "1.5", "must be at most 1, not 1.5."),
        ("share", "nan", "expected a finite number, not nan."),
        ("share", "much", "expected a number, not 'much'."),
        ("count", "0", "must be at least 1, not 0."),
        ("count", "2.5", "expected a whole number, not '2.5'."),
        ("aloud", "true", "expected yes or no, not 'true'."),
        ("colour", "gren", "must be one of red, green, not 'gren'. Did you mean 'green'?"),
    ],
)
def test_an_invalid_value_is_reported_with_overlay_and_option(key, text, complaint):
    assert error_of(**{key: text}) == f"The overlay 'fake', option {key}: {complaint}"


@pytest.mark.parametrize("given", [{}, {"from": ""}])
def test_a_required_option_that_is_missing_or_empty_is_reported(given):
    assert error_of(required=["from"], **given) == "The overlay 'fake' needs from: write --with fake:from=…"


def test_all_missing_options_are_reported_at_once():
    assert error_of(required=["from", "colour"]) == (
        "The overlay 'fake' needs from and colour: write --with fake:from=…,colour=…"
    )


def test_a_field_that_one_string_cannot_fill_is_the_authors_mistake():
    @dataclass(frozen=True)
    class Lists:
        names: tuple[str, ...] = option((), "Names.")

    with pytest.raises(TypeError, match="names: an option in a text is one value, not a list"):
        read_options("fake", Lists, {})
