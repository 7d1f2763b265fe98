"""The lines of `rrr tasks NAME`: what a task is, and its verdicts on some answers."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rrr_core.hookspecs import DataOption
from rrr_core.text import cut, one_line, plain

if TYPE_CHECKING:
    from rrr_core.cli.task_view import Judged, Sample, TaskView

LABEL = 16
"""Width of the labels on the left, in columns."""
LONGEST_ROW = 300
"""Most characters shown of a row or an answer."""
LONGEST_PROMPT = 1200
"""Most characters shown of a message."""
PAGE = "rrr docs hooks.md#rrr_manifest"
OPTIONS_PAGE = "rrr docs hooks.md#rrr_data_options"


def page(view: TaskView) -> Iterator[str]:
    """The whole page, line by line; nothing a plugin gave can drive the terminal."""
    width = max(60, min(shutil.get_terminal_size((100, 24)).columns, 120))
    for label, text in facts(view):
        yield from labelled(label, one_line(text), width)
    label = "--data"
    for option in view.options or ():
        yield from labelled(label, one_line(described(option)), width)
        label = ""
    for number, sample in enumerate(view.samples, start=1):
        yield ""
        yield from sample_lines(number, sample, width)
    if view.examples or view.unshown:
        yield ""
        yield f"the plugin's own failing examples{unshown(view)}"
        shown = None
        for each in view.examples:
            if each.row != shown:
                yield from labelled("  row", short_json(each.row), width)
            shown = each.row
            yield from judged_lines(each, "answer", width)
    if view.problems:
        yield ""
        yield "could not be shown"
        for problem in view.problems:
            yield from labelled("", one_line(problem), width)


def facts(view: TaskView) -> Iterator[tuple[str, str]]:
    """Label and text of each fact about the task; a missing one says where it is explained."""
    package, manifest = view.package, view.manifest
    yield "task", view.name
    if manifest is None:
        yield "manifest", f"none: the plugin does not say what it asks or where its rows come from ({PAGE})"
    else:
        yield "asks", manifest.summary or missing("summary")
    yield "package", f"{package.name} {package.version}"
    yield "code's licence", package.license or "not stated in the package's metadata"
    if package.homepage:
        yield "homepage", package.homepage
    yield "made for", f"rrr-core {package.core}" if package.core else "any rrr-core: the package states no range"
    if manifest is not None:
        yield "rows from", manifest.source or missing("source")
        yield "fixed by", manifest.revision or missing("revision")
        yield "rows' licence", manifest.data_license or missing("data_license")
        yield "error classes", ", ".join(manifest.categories) or missing("categories")
        yield "verdicts", "always the same" if manifest.deterministic else "may differ when asked again"
    yield "judged", "in the core's own process: marked @trusted" if view.trusted else "in sandboxed processes"
    if view.has_steps:
        yield "acts", "in steps, up to its answer (--max-steps)"
    if view.gives_rewards:
        yield "rewards", "a number from 0 to 1 for each answer (rrr train --reward task)"
    if not view.options:
        yield "--data", "takes no options" if view.options is not None else f"options are not declared ({OPTIONS_PAGE})"
    yield "hooks", " ".join(hook.removeprefix("rrr_") for hook in view.hooks)
    if view.stacked:
        yield "with", ", ".join(view.stacked)
    others = [name for name in view.overlays if name not in view.stacked]
    if others:
        yield "overlays", f"{', '.join(others)} (stack one with --with NAME)"


def described(option: DataOption) -> str:
    """A data option in one line.

    >>> described(DataOption("seed", "seed of the generator", "whole number", "0", (0, 9), sources=("generated",)))
    'seed=0: seed of the generator (whole number, 0 to 9; for source=generated)'
    """
    values = " or ".join(option.choices) or (option.kind if option.kind != "text" else "")
    if option.bounds:
        values += ", {:.15g} to {:.15g}".format(*option.bounds)
    owners = " or ".join(option.sources)
    about = "; ".join(filter(None, (values, f"for source={owners}" if owners and option.name != "source" else "")))
    name = f"{option.name}={option.default}" if option.default else option.name
    return f"{name}: {option.help or option.kind}" + (f" ({about})" if about else "")


def missing(field: str) -> str:
    """The text for a manifest's empty field."""
    return f"not given: Manifest({field}=…) is empty ({PAGE})"


def unshown(view: TaskView) -> str:
    """How many failing examples are not shown, if any."""
    hostile = f", {view.unshown_hostile:,} of them hostile" if view.unshown_hostile else ""
    return f" (not shown: {view.unshown:,} more{hostile})" if view.unshown else ""


def sample_lines(number: int, sample: Sample, width: int) -> Iterator[str]:
    """A row, its prompt, and the verdicts on its gold answer and on an empty one."""
    yield from labelled(f"row {number}", short_json(sample.row), width)
    for message in sample.prompt:
        text = message["content"]
        cut = text if len(text) <= LONGEST_PROMPT else f"{text[:LONGEST_PROMPT]}…"
        label = f"  {one_line(message['role'])}"
        for line in plain(cut).expandtabs(4).split("\n"):
            yield from labelled(label, line, width)
            label = ""
    names = {"gold": "gold answer", "empty": "empty answer"}
    if not any(each.kind == "gold" for each in sample.judged):
        yield from labelled("  gold answer", "not known", width)
    for each in sample.judged:
        yield from judged_lines(each, names[each.kind], width)


def judged_lines(each: Judged, label: str, width: int) -> Iterator[str]:
    """An answer with its verdict below it."""
    if each.answer:
        label = f"  {label}"
        for line in plain(cut(each.answer, LONGEST_ROW)).expandtabs(4).split("\n"):
            yield from labelled(label, line, width)
            label = ""
    verdict = each.verdict
    said = ": ".join(text for text in (verdict.category, verdict.detail) if text)
    reward = "" if verdict.score is None else f", reward {verdict.score:g}"
    arrow = f"→ {verdict.outcome}{f' ({one_line(said, LONGEST_ROW)})' if said else ''}{reward}"
    yield from labelled(f"  {label}" if label else "", arrow, width)


def short_json(value: object) -> str:
    """JSON on one line, truncated if it is long."""
    return one_line(json.dumps(value, ensure_ascii=False), LONGEST_ROW)


def labelled(label: str, text: str, width: int) -> Iterator[str]:
    """Text made safe next to its label, wrapped at words; the following lines are aligned with the first."""
    for line in textwrap.wrap(text, width - LABEL, break_on_hyphens=False) or [""]:
        yield f"{label:<{LABEL}}{line}".rstrip()
        label = ""
