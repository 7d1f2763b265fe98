"""Damages every kind of file of a run folder, resumes on the command line, and looks at what comes of it.

    python benchmarks/damage.py [--every 3] [--folder runs/benchmarks] [--stages mine train …]

A small run is made once. For each damage a copy of it, finished or halfway through a stage, is damaged and the command
for that stage runs again. What may come of it:

- **same**: the results equal, byte for byte, those without damage;
- **named**: the command ends well and a line names the damaged file, which it did without;
- **refused**: one line names the file or what to do, exit status 2.

All else is a failure: **silent** (other results and no word), **traceback**, **hang**, and **ran** (a pickle was
loaded). The exit status is 1 if there is any. `--every N` takes each Nth pair of file and kind, in another phase for
each file; 1 takes all.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from damage_kinds import KINDS, kinds_for

from rrr_core.cli import QUIET, run_command
from rrr_core.evaluation.controls import CONTROL_KEYS
from rrr_core.runs.layout import RunFolder

SETTINGS = f"""
[mine]
rows = 12
tries = 2
max_tokens = 12
shard_rows = 6
[train]
steps = 4
group_size = 2
batch_size = 8
micro_batch_size = 4
learning_rate = 0.01
max_reflection_tokens = 8
max_retry_tokens = 8
save_every = 1
keep_checkpoints = 4
refresh_every = 2
[eval]
rows = 8
max_tokens = 12
shard_rows = 4
controls = ["{CONTROL_KEYS[0]}"]
"""
GOOD = ("same", "named", "refused")
SECONDS = 120
"""Longest that one command may take."""
TIMES = ("seconds", "per_second", "created", "about", "ended", "began")
"""Parts of the names of values that differ from call to call."""


class Hang(BaseException):
    """A command took too long."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """A stage, and how it is resumed."""

    name: str
    command: tuple[str, ...]
    halve: Callable[[Path], None]
    """Takes a copy of the finished run back to where a kill may have left it."""
    files: tuple[str, ...]
    """The files to damage."""


def back_to_mining(run: Path) -> None:
    files = RunFolder(run)
    for path in (files.mine.summary, files.mine.shard(1)):
        path.unlink()
    for path in (files.train.path, run / "eval"):
        shutil.rmtree(path)
    files.record.unlink()


def back_to_training(run: Path) -> None:
    files = RunFolder(run)
    for path in (files.train.model, files.train.checkpoint(4), run / "eval"):
        shutil.rmtree(path)
    files.train.summary.unlink()
    files.record.unlink()


def back_to_evaluating(run: Path) -> None:
    evaluation = RunFolder(run).evaluation("trained")
    evaluation.figures.unlink()
    evaluation.shard("greedy", 1).unlink()


def stay(run: Path) -> None:
    """Leave the run as it is."""


KEPT = ("manifest.json", "SHA256SUMS", "profile.json", ".lock")
CHECKPOINT = tuple(
    f"train/checkpoint-3/{name}"
    for name in (
        *("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"),
        *("complete.json", "config.json", "training_args.bin"),
    )
)
MODEL = ("train/model/model.safetensors", "train/model/config.json", "train/model/tokenizer.json")
MINED = ("mine/summary.json", "mine/shard-00000.jsonl")
STAGES = (
    Stage("mine", ("mine",), back_to_mining, (*(f"mine/{name}" for name in KEPT), "mine/shard-00000.jsonl")),
    Stage(
        "train",
        ("train",),
        back_to_training,
        (
            *MINED,
            "mine/SHA256SUMS",
            *(f"train/{name}" for name in (*KEPT, "metrics.jsonl", "episodes.jsonl", "refreshed-00002.jsonl")),
            *CHECKPOINT,
        ),
    ),
    Stage(
        "eval",
        ("eval", "--label", "trained"),
        back_to_evaluating,
        (*(f"eval/trained/{name}" for name in (*KEPT, "greedy-00000.jsonl", "sampled-00000.jsonl")), *MODEL),
    ),
    Stage(
        "report",
        ("report",),
        stay,
        (
            *("run.json", *MINED, "mine/manifest.json", "mine/profile.json", "train/metrics.jsonl"),
            *("train/episodes.jsonl", "eval/vanilla/figures.json", "eval/vanilla/greedy-00000.jsonl"),
            *("eval/vanilla/SHA256SUMS", "eval/comparison.json"),
        ),
    ),
    Stage(
        "run",
        ("run",),
        stay,
        (
            *("run.json", *MINED, "mine/profile.json", "train/summary.json", *MODEL, "eval/vanilla/figures.json"),
            *("eval/vanilla/manifest.json", "eval/trained/greedy-00000.jsonl", "eval/comparison.json", "report.html"),
        ),
    ),
)


def make_runs(place: Path) -> None:
    """A tiny untrained model in `place`, a whole run `whole`, and one with another seed, `other`."""
    from rrr_core.tasks import load_task
    from rrr_core.training.tiny import make_model, make_tokenizer
    from rrr_core.training.warmup_settings import WarmupSettings

    conversations = load_task("countdown").warmup("train", 200, 0)
    tokenizer = make_tokenizer((message["content"] for talk in conversations for message in talk), 400)
    model = make_model(tokenizer, WarmupSettings(hidden_size=16, layers=1, heads=2))
    model.save_pretrained(place / "model")
    tokenizer.save_pretrained(place / "model")
    (place / "tiny.toml").write_text(SETTINGS)
    for folder, seed in (("whole", 0), ("other", 1)):
        seeds = [f"--{stage}-seed={seed}" for stage in ("mine", "train", "eval")]
        code, said = called(
            ["run", "countdown", "--model", "model", "--config", "tiny.toml", "--folder", "run", *seeds],
        )
        if code:
            raise SystemExit(f"the run without damage failed: {said}")
        Path("run").rename(folder)  # A model in a run's folder is known by the folder's name.


def arguments_of(stage: Stage, run: str) -> list[str]:
    if stage.name == "report":
        return ["report", run]
    model = f"{run}/train/model" if stage.name == "eval" else "model"
    command, *more = stage.command
    return [command, "countdown", "--model", model, "--config", "tiny.toml", "--folder", run, *more]


def called(arguments: Sequence[str]) -> tuple[int, str]:
    """The exit status of a command, and what it wrote to stderr; a status of -1 is an exception, -2 a hang."""

    def too_long(*_: object) -> None:
        raise Hang

    err = io.StringIO()
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
            return run_command(arguments), err.getvalue()
    except Hang:
        return -2, err.getvalue()
    except BaseException as error:  # noqa: BLE001 - this is what is looked for
        return -1, f"{err.getvalue()}{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def results_of(run: Path) -> dict[str, Any]:
    """What a run found: file → content, without times."""
    files = RunFolder(run)
    found: dict[str, Any] = {}
    mine, train = files.mine, files.train
    texts = [*mine.shards(), mine.summary, train.episodes, train.metrics, train.summary, files.comparison]
    for evaluation in files.evaluations():
        texts += [path for paths in evaluation.modes().values() for path in paths] + [evaluation.figures]
    for path in texts:
        found[str(path.relative_to(run))] = content_of(path)
    for path in train.model.rglob("*"):
        if path.is_file() and path.name != "training_args.bin":
            found[str(path.relative_to(run))] = path.read_bytes()
    return found


def content_of(path: Path) -> Any:
    if not path.is_file() or not path.resolve().is_relative_to(path.parent.resolve()):
        return None
    content = path.read_bytes()
    try:
        lines = content.decode().splitlines() if path.suffix == ".jsonl" else [content.decode()]
        return [timeless(json.loads(line)) for line in lines]
    except (ValueError, RecursionError):
        return content


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: inner for name, inner in value.items() if not any(part in name for part in TIMES)}
        return {name: timeless(inner) for name, inner in kept.items() if name != "model" or not isinstance(inner, str)}
    return [timeless(inner) for inner in value] if isinstance(value, list) else value


def outcome(code: int, said: str, run: Path, sound: dict[str, Any], file: str) -> str:
    """What came of a damage."""
    if Path("unpickled").exists():
        return "ran"
    if code == -2:
        return "hang"
    if code not in (0, 2) or "Traceback" in said:
        return "traceback"
    lines = [line for line in said.splitlines() if line.startswith("rrr: ")]
    if code == 2:
        return "refused" if len(lines) == 1 else "traceback"
    if results_of(run) == sound:
        return "same"
    return "named" if Path(file).name in said else "silent"


def cases(stages: Sequence[Stage], every: int, place: Path) -> Iterator[tuple[Stage, str, str]]:
    """(Stage, file, kind of damage) to try."""
    for stage in stages:
        for number, file in enumerate(stage.files):
            for index, kind in enumerate(kinds_for(place / "whole" / file)):
                if (index + number) % every == 0:
                    yield stage, file, kind


def damage_all(place: Path, stages: Sequence[Stage], every: int) -> list[dict[str, str]]:
    """The outcome of every case, tried in copies of the run in `place`, which is the current folder."""
    found = []
    half: dict[str, Path] = {}
    sound: dict[str, dict[str, Any]] = {}
    for stage in stages:
        half[stage.name] = Path(shutil.copytree("whole", f"half-{stage.name}", symlinks=True))
        stage.halve(half[stage.name])
        run = Path(shutil.copytree(half[stage.name], "run"))
        code, said = called(arguments_of(stage, "run"))
        if code:
            raise SystemExit(f"{stage.name} without damage failed: {said}")
        sound[stage.name] = results_of(run)
        shutil.rmtree(run)
    for stage, file, kind in cases(stages, every, place):
        run = Path(shutil.copytree(half[stage.name], "run"))
        KINDS[kind](run / file, Path("other") / file)
        code, said = called(arguments_of(stage, "run"))
        what = outcome(code, said, run, sound[stage.name], file)
        found.append({"stage": stage.name, "file": file, "kind": kind, "outcome": what, "said": said.strip()[-600:]})
        if what not in GOOD:
            print(f"{what}: {stage.name}, {file}, {kind}: {said.strip()[-300:]}", flush=True)
        shutil.rmtree(run)
        for left in ("unpickled", "another-name"):
            Path(left).unlink(missing_ok=True)
    return found


def table(found: Sequence[dict[str, str]]) -> list[str]:
    """The counts as a table of Markdown: outcomes across, stages down."""
    counts = Counter((each["stage"], each["outcome"]) for each in found)
    outcomes = (*GOOD, "silent", "traceback", "hang", "ran")
    lines = [f"| stage | {' | '.join(outcomes)} |", "|---" * (len(outcomes) + 1) + "|"]
    stages = dict.fromkeys(each["stage"] for each in found)
    return lines + [f"| {stage} | {' | '.join(str(counts[stage, what]) for what in outcomes)} |" for stage in stages]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--every", type=int, default=3)
    parser.add_argument("--stages", nargs="+", default=[stage.name for stage in STAGES])
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmarks"))
    options = parser.parse_args()
    out = options.folder.resolve() / "damage.json"
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        make_runs(Path(folder))
        found = damage_all(Path(folder), [stage for stage in STAGES if stage.name in options.stages], options.every)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(found, indent=1))
    print("\n".join(table(found)))
    kinds = len({each["kind"] for each in found})
    print(f"{len(found)} cases, {kinds} kinds of damage, {time.monotonic() - began:.0f} s: {out}")
    sys.exit(any(each["outcome"] not in GOOD for each in found))


if __name__ == "__main__":
    main()
