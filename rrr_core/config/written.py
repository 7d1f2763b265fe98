"""Settings from options that are all texts, as in `NAME:KEY=VALUE,…`: those of overlays and of deciders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from rrr_core.config.settings import BadValue, Setting, build, settings_of
from rrr_core.errors import RrrError, nearest

Made = TypeVar("Made")
SWITCH = {"yes": True, "no": False}


def settings_from_texts(who: str, settings_class: type[Made], options: Mapping[str, str]) -> Made:
    """The settings that the options ask for; those that are left out get their defaults.

    `who`, such as `The overlay 'noisy'`, begins every error. Raises RrrError for an unknown option (with the nearest
    name) and for an invalid value; TypeError for a settings class with a field that a single text cannot fill.
    """
    known = {setting.key: setting for setting in settings_of(settings_class)}
    for key in options:
        if key not in known:
            raise RrrError(f"{who} has no option {key!r}.{nearest(key, known)} It takes {', '.join(known) or 'none'}.")
    values = {}
    for key, setting in known.items():
        if setting.kind in ("list", "mapping"):
            raise TypeError(f"{key}: an option in a text is one value, not a {setting.kind}")
        if key in options:
            try:
                values[setting.field] = _value(setting, options[key])
            except BadValue as error:
                raise RrrError(f"{who}, option {key}: {error}") from None
    return build(settings_class, values)


def _value(setting: Setting, text: str) -> Any:
    """One option's value. Raises BadValue."""
    if setting.kind != "switch":
        return setting.from_text(text)
    if text not in SWITCH:
        raise BadValue(f"expected yes or no, not {text!r}.{nearest(text, SWITCH)}")
    return SWITCH[text]
