"""A preset sets only what exists, to values that the setting takes."""

from __future__ import annotations

import pytest

from rrr_core.configuration import build, section_class, settings_of
from rrr_core.presets import DEMO


@pytest.mark.parametrize("section", DEMO)
def test_the_demos_preset_is_made_of_valid_settings(section: str) -> None:
    settings = {setting.field: setting for setting in settings_of(section_class(section))}
    for field, value in DEMO[section].items():
        assert settings[field].from_toml(value) == value
    build(section_class(section), DEMO[section])
