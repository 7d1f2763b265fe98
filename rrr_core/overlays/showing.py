"""What overlays show to judges: a row's prompt, and the parts of a page that renders hostile text safely."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from rrr_core.episode import Messages
from rrr_core.hookspecs import Model, Row
from rrr_core.tasks import Task, load_task


def prompt_of(task: str, row: Row, model: Model) -> Messages:
    """The task's prompt for `model`, as chat messages, without overlays.

    Raises PluginError if the task cannot prompt with the row.
    """
    return _loaded(task).prompt(row, model)


@cache
def _loaded(task: str) -> Task:
    return load_task(task)


def page_parts() -> tuple[str, str]:
    """Script and style for a page that shows model output, like the report.

    The script's `h(tag, attributes, ...children)` makes an element whose strings are only ever text, with invisible
    characters named; `plain(text)` does the same for one string, and `count(number)` formats a whole number.
    """
    assets = files("rrr_core.report") / "assets"
    script = "\n".join((assets / name).read_text("utf-8") for name in ("text.js", "dom.js"))
    return script, (assets / "page.css").read_text("utf-8")
