"""Chain of thought beside reflection: thought on or off × reflection on or off, in one table.

The model is evaluated on the same rows of the test split with its thought on and off: first try, retry without a
reflection, and retry after its own. With `--train` it is also mined and trained, once for each, and evaluated again.

    python benchmarks/thought_and_reflection.py FOLDER [--task NAME --model MODEL] [--train ['OPTIONS']] [MODEL OPTIONS]

By default it runs on a stand-in of 150,000 weights that thinks (tests/thinking), which shows that the command works,
and nothing about large models. All other options go to each `rrr` command as they are (`--backend vllm`, `--with …`);
`--eval`, `--mine` and `--train` take further options of that command alone, in one quoted text.

Where the chat template reads `enable_thinking` or `thinking`, that is the switch. Where the model does not think by
itself, the overlay `think` asks for a thought. For other models, and for servers, say what turns thoughts on and off:
`--on '--template reasoning_effort=high' --off '--template reasoning_effort=low'`. To resume, run it again. The tables
are also in `FOLDER/table.json`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rrr_core.chat.format import ChatFormat
from rrr_core.chat.settings import ChatSettings
from rrr_core.chat.switches import switches
from rrr_core.cli import run_command
from rrr_core.episode import Episode, Segment
from rrr_core.errors import RrrError
from rrr_core.evaluation.controls import NO_REFLECTION, read_evaluated
from rrr_core.evaluation.statistics import paired_difference, wilson
from rrr_core.generation.hub import locate
from rrr_core.generation.model_files import load_tokenizer
from rrr_core.overlays.think import MARKS
from rrr_core.runs.files import read_numbered_lines
from rrr_core.runs.layout import RunFolder
from rrr_core.tasks import load_task

THOUGHTS = ("on", "off")
TRIES = ("first try", "retry without reflection", "retry after its own reflection")
NONE, OWN = TRIES[1:]
SWITCHES = ("enable_thinking", "thinking")
"""Variables of chat templates that turn a thought on and off."""
STAND_IN = "adding"
SMALL = {
    "eval": ["--max-tokens", "64"],
    "mine": ["--rows", "146", "--tries", "4", "--temperature", "1", "--max-tokens", "64"],
    "train": shlex.split(
        "--steps 20 --group-size 8 --batch-size 128 --micro-batch-size 64 --learning-rate 3e-4 --kl 0.2"
        " --temperature 1 --max-reflection-tokens 64 --max-retry-tokens 64 --save-every 10"
    ),
}
"""Options for the stand-in: a training of about a minute."""


@dataclass(frozen=True)
class Outcome:
    """One row at one try: right or not, and the tokens written for it."""

    right: bool | None
    """None if the verdict was withheld."""
    thought: float | None = None
    answer: float | None = None
    reflection: float | None = None


Cell = dict[int, dict[str, Outcome]]
"""Row → try → outcome."""


def main(arguments: Sequence[str]) -> None:
    options, shared = parser().parse_known_args(arguments)
    if options.task is None:
        use_stand_in(options)
    task, model = load_task(options.task), options.model or load_task(options.task).default_model()
    ways = thought_options(options, model)
    count = counter(model)
    cells: dict[tuple[str, str, str], Cell] = {}
    for thought in THOUGHTS:
        folder = options.folder / f"thought-{thought}"
        both = [task.name, "--folder", str(folder), *shared, *ways[thought]]
        evaluate = ["eval", *both, "--controls", NO_REFLECTION.key, *options.eval]
        named = ["--model", str(model)] if model else []
        rrr([*evaluate, *named, "--label", "untrained"])
        labels = ["untrained"]
        if options.train is not None:
            rrr(["mine", *both, *named, *options.mine])
            rrr(["train", *both, *named, *options.train])
            rrr([*evaluate, "--model", str(RunFolder(folder).train.model), "--label", "trained"])
            labels.append("trained")
        for label in labels:
            for mode, shards in RunFolder(folder).evaluation(label).modes().items():
                episodes = [
                    read_evaluated(record, f"{shard}:{number}")
                    for shard in shards
                    for number, record in read_numbered_lines(shard)
                ]
                cells[mode, label, thought] = {episode.row_index: outcomes(episode, count) for episode in episodes}
    lines, differences = table(cells), compared(cells)
    (options.folder / "table.json").write_text(json.dumps({"cells": lines, "differences": differences}, indent=1))
    print_tables(lines, differences)


def rrr(arguments: Sequence[str]) -> None:
    """Run a command of rrr. Its own message says what is wrong, if anything is."""
    if code := run_command(list(arguments)):
        raise SystemExit(code)


def use_stand_in(options: argparse.Namespace) -> None:
    """The task and model of tests/thinking, installed into the folder of results."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    made = importlib.import_module("tests.thinking.make_model")
    site = options.folder / "site"
    if not site.exists():
        site.mkdir(parents=True)
        made.install(site)
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()
    options.task, options.model = STAND_IN, options.model or str(made.MODEL)
    for name, small in SMALL.items():
        if getattr(options, name) is not None:
            setattr(options, name, [*small, *getattr(options, name)])


def thought_options(options: argparse.Namespace, model: str | None) -> dict[str, list[str]]:
    """Thought on or off → the options that make it so. Raises RrrError where nothing is known to."""
    if options.on is not None or options.off is not None:
        return {"on": shlex.split(options.on or ""), "off": shlex.split(options.off or "")}
    try:
        tokenizer = load_tokenizer(locate(str(model), None), str(model))[1]
    except RrrError as error:
        raise RrrError(f"{error} Say with --on and --off what turns its thought on and off.") from error
    template = tokenizer.chat_template or ""
    sources = template.values() if isinstance(template, Mapping) else [template]
    known = {name for source in sources for name in switches(source)}
    for name in SWITCHES:
        if name in known:
            return {"on": ["--template", f"{name}=true"], "off": ["--template", f"{name}=false"]}
    if ChatFormat(tokenizer, ChatSettings()).thinks:
        raise RrrError(f"{model} always thinks: its chat template reads none of {', '.join(SWITCHES)}; give --off.")
    return {"on": ["--with", "think", "--thought-marks", MARKS], "off": []}


def counter(model: str | None) -> Callable[[str], int] | None:
    """Counts a text's tokens; None for a model without a tokenizer here, such as a server's."""
    try:
        tokenizer = load_tokenizer(locate(str(model), None), str(model))[1]
    except RrrError:
        return None
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])


def outcomes(episode: Episode, count: Callable[[str], int] | None) -> dict[str, Outcome]:
    """A row's tries. One that was right at first is right in the others, and wrote nothing more."""
    first = right(episode.verdict)
    found = {TRIES[0]: Outcome(first, *parts(episode.attempt, count))}
    if first is not False:
        return {**found, NONE: Outcome(first), OWN: Outcome(first)}
    control: Any = episode.controls.get(NO_REFLECTION.key)
    answer, verdict = (None, None) if control is None else control if isinstance(control[0], str) else control[0]
    found[NONE] = Outcome(right(verdict), None, count(answer) if count and answer is not None else None)
    (one,) = episode.rounds[:1] or (None,)
    if one is None:
        return {**found, OWN: Outcome(None)}
    written = (None, None) if one.retry is None else parts(one.retry, count)
    reflected = [tokens for tokens in parts(one.reflection, count) if tokens is not None]
    return {**found, OWN: Outcome(right(one.verdict), *written, sum(reflected) if reflected else None)}


def right(verdict: Any) -> bool | None:
    """Whether an answer is right; None if its verdict was withheld or there is none."""
    return None if verdict is None or verdict.is_abstained else bool(verdict.is_passed)


def parts(segment: Segment, count: Callable[[str], int] | None) -> tuple[float | None, float | None]:
    """A text's tokens in its thought and in its answer, without marks; without a tokenizer split by characters."""
    if count is not None:
        return count(segment.thought), count(segment.text)
    if segment.length is None:
        return None, None
    thought = segment.length * len(segment.thought) / (len(segment.thought) + len(segment.text) or 1)
    return thought, segment.length - thought


def table(cells: Mapping[tuple[str, str, str], Cell]) -> list[dict[str, Any]]:
    """One line per mode, model, thought and try: the share right over all rows, and mean tokens where written."""
    lines = []
    for (mode, label, thought), cell in sorted(cells.items()):
        for name in TRIES:
            tried = [row[name] for row in cell.values()]
            judged = [each.right for each in tried if each.right is not None]
            line: dict[str, Any] = {"mode": mode, "model": label, "thought": thought, "try": name}
            line["right"] = asdict(wilson(sum(judged), len(judged))) if judged else None
            for part in ("thought", "answer", "reflection"):
                tokens = [value for each in tried if (value := getattr(each, part)) is not None]
                line[f"{part}_tokens"] = sum(tokens) / len(tokens) if tokens else None
            lines.append(line)
    return lines


def compared(cells: Mapping[tuple[str, str, str], Cell]) -> list[dict[str, Any]]:
    """The paired differences, over the rows that were judged on both sides."""
    lines = []
    for mode, label in sorted({key[:2] for key in cells}):
        on, off = (cells[mode, label, thought] for thought in THOUGHTS)
        named: dict[str, Any] = {f"thought on − off: {name}": paired((off, name), (on, name)) for name in TRIES}
        for thought, cell in zip(THOUGHTS, (on, off), strict=True):
            named[f"own reflection − none: thought {thought}"] = paired((cell, NONE), (cell, OWN))
        named["own reflection − none: thought on − off"] = interaction(on, off)
        lines += [{"mode": mode, "model": label, "difference": name, **value} for name, value in named.items() if value]
    return lines


def paired(first: tuple[Cell, str], second: tuple[Cell, str]) -> dict[str, Any] | None:
    """Second minus first of two shares over the same rows; None without a row judged in both."""
    pairs = [
        (one[first[1]].right, other[second[1]].right)
        for row, one in first[0].items()
        if (other := second[0].get(row)) is not None
    ]
    judged = [(a, b) for a, b in pairs if a is not None and b is not None]
    if not judged:
        return None
    counts = [judged.count(outcome) for outcome in ((True, True), (True, False), (False, True), (False, False))]
    return asdict(paired_difference(*counts))


def interaction(on: Cell, off: Cell) -> dict[str, Any] | None:
    """How much more a reflection adds with a thought than without one, with a normal interval over rows."""
    values = []
    for row in on.keys() & off.keys():
        four = [cell[row][name].right for cell in (on, off) for name in (OWN, NONE)]
        if None not in four:
            values.append((four[0] - four[1]) - (four[2] - four[3]))  # type: ignore[operator]
    if len(values) < 2:
        return None
    mean = sum(values) / len(values)
    half = 1.96 * math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))
    return {"value": mean, "low": mean - half, "high": mean + half, "total": len(values)}


def print_tables(lines: Sequence[Mapping[str, Any]], differences: Sequence[Mapping[str, Any]]) -> None:
    print("| mode | model | thought | try | right % | thought tokens | answer tokens | reflection tokens |")
    print("|---|---|---|---|---|---|---|---|")
    for line in lines:
        tokens = (line[f"{part}_tokens"] for part in ("thought", "answer", "reflection"))
        shown = " | ".join("–" if value is None else f"{value:.1f}" for value in tokens)
        named = " | ".join(line[name] for name in ("mode", "model", "thought", "try"))
        print(f"| {named} | {share(line['right'])} | {shown} |")
    print("\n| mode | model | paired difference | points |\n|---|---|---|---|")
    for line in differences:
        print(f"| {line['mode']} | {line['model']} | {line['difference']} | {share(line, '+')} |")


def share(value: Mapping[str, Any] | None, sign: str = "") -> str:
    if value is None:
        return "–"
    numbers = (100 * value[name] for name in ("value", "low", "high"))
    return "{} [{}, {}]".format(*(f"{number:{sign}.1f}" for number in numbers))


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    made.add_argument("folder", type=Path)
    made.add_argument("--task")
    made.add_argument("--model", help="the untrained model  [default: the task's own]")
    made.add_argument("--on", help="options that turn the thought on")
    made.add_argument("--off", help="options that turn it off")
    made.add_argument("--train", nargs="?", const=[], type=shlex.split, help="also train, with these options")
    made.add_argument("--eval", default=[], type=shlex.split, help="options of `rrr eval` alone")
    made.add_argument("--mine", default=[], type=shlex.split, help="options of `rrr mine` alone")
    return made


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except RrrError as error:
        raise SystemExit(f"Error: {error}") from None
