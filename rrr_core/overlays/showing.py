"""What overlays show to those who judge: the prompt of a row, and the parts of a page that tames hostile text."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from rrr_core.episode import Messages
from rrr_core.hookspecs import Model, Row
from rrr_core.tasks import Task, load_task


def prompt_of(task: str, row: Row, model: Model) -> Messages:
    """The chat messages that the task's plugin prompts `model` with, without overlays.

    Raises PluginError where the task cannot word the row.
    """
    return _loaded(task).prompt(row, model)


@cache
def _loaded(task: str) -> Task:
    return load_task(task)


def page_parts() -> tuple[str, str]:
    """Script and style for a page that shows what models wrote, as the report does.

    The script's `h(tag, attributes, ...children)` makes an element whose texts are only ever text, invisible characters
    named; `plain(text)` is the same for one string, and `count(number)` writes a whole number.
    """
    assets = files("rrr_core.report") / "assets"
    script = "\n".join((assets / name).read_text("utf-8") for name in ("text.js", "dom.js"))
    return script, (assets / "page.css").read_text("utf-8")
