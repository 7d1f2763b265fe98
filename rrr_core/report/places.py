"""Takes the places of this machine out of what a page shows: a page is made to be shared."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_ROOTS = "home|Users|root|work|mnt|media|data|scratch|tmp|var|opt|usr|srv|private|Volumes|workspace|content|etc|proc"
_PLACE = re.compile(rf"(?:(?<![\w./\\])(?:file://)?(?:/(?:{_ROOTS})|~)/|(?<![\w])[A-Za-z]:\\)[\w.+@~/\\-]+")


class Places:
    """What is known of this machine: its folders are replaced wherever they stand in a text."""

    def __init__(self, folders: Iterable[Path]) -> None:
        known = {Path.home(), Path.cwd(), Path(sys.prefix), Path(tempfile.gettempdir())}
        for folder in folders:
            known |= {Path(folder).absolute().parent, Path(folder).resolve().parent}
        # A short path such as / or /root would be found in texts that mean something else.
        self._known = sorted({str(each) for each in known if len(each.parts) > 2}, key=len, reverse=True)

    def without(self, text: str) -> str:
        """A text in which every place of a machine begins at its last folder but one.

        >>> Places([]).without("/home/me/site-packages/rrr_countdown/model"), Places([]).without("Qwen/Qwen3-0.6B")
        ('…/rrr_countdown/model', 'Qwen/Qwen3-0.6B')
        >>> Places([]).without("see --folder=/home/me/runs/demo, and 1/2/3")
        'see --folder=…/runs/demo, and 1/2/3'
        """
        if "/" not in text and "\\" not in text:
            return text
        return self.without_known(_PLACE.sub(lambda found: shortened(found[0]), text))

    def without_known(self, text: str) -> str:
        """A text without this machine's own folders, such as what a model wrote: it may be about other paths."""
        for place in self._known:
            text = text.replace(place, "…")
        return text

    def without_any(self, value: Any) -> Any:
        """A value of JSON without the places in its texts; also of keys."""
        if isinstance(value, Mapping):
            return {self.without(str(key)): self.without_any(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.without_any(inner) for inner in value]
        if not isinstance(value, str):
            return value
        if value.startswith("/") and value.count("/") > 1 and "\n" not in value:
            return shortened(value)
        return self.without(value)


def shortened(place: str) -> str:
    """A path that begins at its last folder but one.

    >>> shortened("/home/me/models/tiny/"), shortened("/home/me")
    ('…/models/tiny', '…/me')
    """
    parts = [part for part in re.split(r"[/\\]+", place) if part]
    return "…/" + "/".join(parts[-2:] if len(parts) > 2 else parts[-1:])
