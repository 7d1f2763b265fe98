"""What keeping freed memory (`rrr_core/cli/heap.py`) saves the commands that run a network on a CPU.

    OMP_NUM_THREADS=1 python benchmarks/allocator.py [--repeats 5] [--works evaluation texts …]

Each measurement is a separate process, alternating with and without the setting. It measures the work's processor
time, user and system, since other processes on the machine hardly change it; also page faults, the wall clock and
the process's largest resident set. Works:

- `evaluation`: `rrr eval countdown` with the embedded model, like much of `rrr demo`.
- `texts`, `texts, bfloat16`: a model of SmolLM2-135M's shape with random weights writes texts.
- `step`: one training step of the same model, optimiser included, as in `rrr train`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from recording import Figure, folder_option, median_of, record

from rrr_core.cli import run_command
from rrr_core.cli.heap import USERS_OWN, keep_freed_memory

SEED = 0
SIDES = ("without", "with")
UNITS = ("s", "s", "s", "", "MiB")
WORKS = ("evaluation", "texts", "texts, bfloat16", "step")
Work = Callable[[], object]


def evaluation(folder: Path, options: argparse.Namespace) -> Work:
    arguments = ["eval", "countdown", "--rows", str(options.rows), "--folder", str(folder / "eval")]

    def work() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            if run_command(arguments):
                raise SystemExit("the evaluation failed")

    return work


def texts(folder: Path, options: argparse.Namespace, dtype: str) -> Work:
    import random

    from made_up import SHAPES, SPECIAL, save_model

    from rrr_core.generation.engine import Sampling
    from rrr_core.generation.transformers_backend import load_transformers

    shape = SHAPES[options.shape]
    save_model(shape, folder, SEED)
    engine = load_transformers(str(folder), dtype=dtype)
    engine.end_ids = (shape.vocabulary,)  # no text ends before its limit
    chance = random.Random(SEED)
    prompts = [[chance.randrange(len(SPECIAL), shape.vocabulary) for _ in range(options.prompt)] for _ in range(16)]
    return lambda: engine.generate_ids(prompts, Sampling(max_tokens=options.tokens, seed=SEED))


def step(folder: Path, options: argparse.Namespace) -> Work:
    from made_up import SHAPES, save_model
    from training_step import OURS, make_side, options_of

    from rrr_core.training.run import prepare

    prepare()
    save_model(SHAPES[options.shape], folder / "model", SEED)
    sizes = ["--prompt", str(options.prompt), "--reflection", str(options.tokens)]
    settings = options_of(None, groups=1, goal=1).parse_args(["--shape", options.shape, "--layers", "0", *sizes])
    side = make_side(OURS, settings, 0.0, "float32", folder)
    return side.step


def measure(name: str, side: str, options: argparse.Namespace) -> dict[str, float]:
    """Measures one work in this process."""
    if side == "with" and not keep_freed_memory():
        raise SystemExit("freed memory is not kept here: no glibc, or your own allocator settings")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if name == "evaluation":
            work = evaluation(folder, options)
        elif name == "step":
            work = step(folder, options)
        else:
            work = texts(folder, options, "bfloat16" if "bfloat16" in name else "float32")
        before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        work()
        seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return {
        "processor time": user + system,
        "system's part": system,
        "wall clock": seconds,
        "page faults": after.ru_minflt - before.ru_minflt,
        "largest resident set": after.ru_maxrss / 1024,
    }


def figures_of(name: str, runs: dict[str, list[dict[str, float]]]) -> list[Figure]:
    """Each measure of both sides, and the ratios of with to without, pair by pair."""
    figures = []
    for measured, unit in zip(runs[SIDES[0]][0], UNITS, strict=True):
        pairs = {side: [run[measured] for run in runs[side]] for side in SIDES}
        figures += [median_of(f"{name}: {measured}, {side}", pairs[side], unit) for side in SIDES]
        ratios = [kept / plain for plain, kept in zip(*pairs.values(), strict=True) if plain]
        if ratios:
            figures.append(median_of(f"{name}: {measured}, with over without", ratios, "×"))
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--works", nargs="+", choices=WORKS, default=WORKS)
    parser.add_argument("--repeats", type=int, default=5, help="pairs of measurements  [default: %(default)s]")
    parser.add_argument("--rows", type=int, default=500, help="rows evaluated  [default: %(default)s]")
    parser.add_argument("--shape", default="SmolLM2-135M", help="of the random model  [default: %(default)s]")
    parser.add_argument("--prompt", type=int, default=300, help="tokens per prompt  [default: %(default)s]")
    parser.add_argument("--tokens", type=int, default=64, help="tokens per text  [default: %(default)s]")
    parser.add_argument("--only", choices=SIDES, help=argparse.SUPPRESS)
    folder_option(parser)
    options = parser.parse_args(arguments)
    if options.only:
        print(json.dumps(measure(options.works[0], options.only, options)))
        return 0
    environment = {name: value for name, value in os.environ.items() if name not in USERS_OWN}
    figures = []
    for name in options.works:
        runs: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
        for repeat in range(options.repeats):
            for side in SIDES[:: -1 if repeat % 2 else 1]:
                command = [sys.executable, __file__, *arguments, "--works", name, "--only", side]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True)
                runs[side].append(json.loads(done.stdout.splitlines()[-1]))
        figures += figures_of(name, runs)
        print(*figures[-3 * len(UNITS) :], sep="\n", flush=True)
    sizes = {key: getattr(options, key) for key in ("rows", "shape", "prompt", "tokens")}
    return 0 if record("allocator", figures, options.folder, about=sizes) else 1


if __name__ == "__main__":
    sys.exit(main())
