"""How an overlay is requested: `NAME`, or `NAME:KEY=VALUE,KEY=VALUE` with options of its own."""

from __future__ import annotations

from collections.abc import Mapping

from rrr_core.errors import RrrError


def read_request(text: str, option: str = "--with") -> tuple[str, dict[str, str]]:
    """The overlay's name and options; a comma inside a value is doubled. Raises RrrError naming the command's option.

    >>> read_request("noisy:probability=0.1,seed=2")
    ('noisy', {'probability': '0.1', 'seed': '2'})
    >>> read_request("polite")
    ('polite', {})
    """
    name, colon, written = text.partition(":")
    options: dict[str, str] = {}
    for pair in written.replace(",,", "\0").split(",") if colon else ():
        key, equals, value = pair.replace("\0", ",").partition("=")
        if not equals or not key.strip():
            raise RrrError(f"{option} {text}: expected {name}:KEY=VALUE,KEY=VALUE, and a comma inside a value doubled.")
        if key.strip() in options:
            raise RrrError(f"{option} {text}: the option {key.strip()!r} is given twice.")
        options[key.strip()] = value
    return name, options


def write_request(name: str, options: Mapping[str, str]) -> str:
    """The text that `read_request` reads.

    >>> write_request("model-judge", {"model": "a", "rubric": "short, polite"})
    'model-judge:model=a,rubric=short,, polite'
    """
    pairs = ",".join(f"{key}={value}".replace(",", ",,") for key, value in options.items())
    return f"{name}:{pairs}" if pairs else name
