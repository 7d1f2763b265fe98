"""The errors that rrr raises: each says who, what happened, and what to do, in one line."""

from __future__ import annotations

from collections.abc import Iterable


class RrrError(Exception):
    """Something the user can fix. The command line prints it as one line and exits with 2."""


class PluginError(RrrError):
    """A task plugin is missing, broken or misused; the message names its distribution, version and hook."""


class DataError(RrrError):
    """A file or a row that cannot be used; the message names file and line."""


class ModelError(RrrError):
    """A model that cannot be loaded, or a server that cannot be reached."""


class TooManyAbstentions(RrrError):
    """More verdicts were withheld than allowed; the message names the plugin that withheld them."""


class TooManyWithoutAnswer(RrrError):
    """An engine had no answer to more requests than allowed; the message has their kinds and counts."""


def nearest(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x' or 'y'?` for the known names nearest to `name`, or an empty string.

    A second name is suggested only if it is about as near as the first: names that share a prefix all look alike.
    """
    import difflib  # imported here: most calls have no errors

    matches = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    likeness = [difflib.SequenceMatcher(None, match, name).ratio() for match in matches]
    matches = [match for match, ratio in zip(matches, likeness, strict=True) if ratio >= likeness[0] - 0.1]
    return f" Did you mean {' or '.join(repr(match) for match in matches)}?" if matches else ""
