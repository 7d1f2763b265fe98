"""An overlay's options: `--with NAME:KEY=VALUE,…` parsed into a frozen dataclass of settings.

The fields are declared as in all settings (`rrr_core.config.option.option`), so each option has a type, a range and a
help text, and tests can hold the documentation to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from rrr_core.config.settings import BadValue, Setting, build, settings_of
from rrr_core.errors import RrrError, nearest

Settings = TypeVar("Settings")
SWITCH = {"yes": True, "no": False}


def read_options(
    overlay: str, settings_class: type[Settings], options: Mapping[str, str], required: Sequence[str] = ()
) -> Settings:
    """The settings in `--with OVERLAY:KEY=VALUE,…`; options that are left out get their defaults.

    `required` options have no usable default. Raises RrrError, naming the overlay, for an unknown option (with the
    nearest name), an invalid value, and a required option that is missing or empty; TypeError for a settings class with
    a field that a single string cannot fill.
    """
    known = {setting.key: setting for setting in settings_of(settings_class)}
    for key in options:
        if key not in known:
            raise RrrError(
                f"The overlay {overlay!r} has no option {key!r}.{nearest(key, known)} It takes {', '.join(known)}."
            )
    values = {}
    for key, setting in known.items():
        if setting.kind in ("list", "mapping"):
            raise TypeError(f"{key}: an overlay's option is one value, not a {setting.kind}")
        if key in options:
            try:
                values[setting.field] = _value(setting, options[key])
            except BadValue as error:
                raise RrrError(f"The overlay {overlay!r}, option {key}: {error}") from None
    missing = [key for key in required if not values.get(known[key].field)]
    if missing:
        written = ",".join(f"{key}=…" for key in missing)
        raise RrrError(f"The overlay {overlay!r} needs {' and '.join(missing)}: write --with {overlay}:{written}")
    return build(settings_class, values)


def _value(setting: Setting, text: str) -> Any:
    """One option's value. Raises BadValue."""
    if setting.kind != "switch":
        return setting.from_text(text)
    if text not in SWITCH:
        raise BadValue(f"expected yes or no, not {text!r}.{nearest(text, SWITCH)}")
    return SWITCH[text]
