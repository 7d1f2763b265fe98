"""An overlay's options: `--with NAME:KEY=VALUE,…` parsed into a frozen dataclass of settings.

The fields are declared as in all settings (`rrr_core.config.option.option`), so each option has a type, a range and a
help text, and tests can hold the documentation to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from rrr_core.config.settings import settings_of
from rrr_core.config.written import settings_from_texts
from rrr_core.errors import RrrError

Settings = TypeVar("Settings")


def read_options(
    overlay: str, settings_class: type[Settings], options: Mapping[str, str], required: Sequence[str] = ()
) -> Settings:
    """The settings in `--with OVERLAY:KEY=VALUE,…`; options that are left out get their defaults.

    `required` options have no usable default. Raises RrrError, naming the overlay, for an unknown option (with the
    nearest name), an invalid value, and a required option that is missing or empty; TypeError for a settings class with
    a field that a single string cannot fill.
    """
    made = settings_from_texts(f"The overlay {overlay!r}", settings_class, options)
    fields = {setting.key: setting.field for setting in settings_of(settings_class)}
    missing = [key for key in required if key not in options or not getattr(made, fields[key])]
    if missing:
        written = ",".join(f"{key}=…" for key in missing)
        raise RrrError(f"The overlay {overlay!r} needs {' and '.join(missing)}: write --with {overlay}:{written}")
    return made
