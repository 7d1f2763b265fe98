"""Forward, backward and optimiser of one training step, against its peers on the same batch.

    pip install prefix-grouper==0.0.1.post1        # the peer that shares prompts, too; left out where it is missing
    python benchmarks/training_step.py [--layers 2] [--repeats 5] [--kl 0 0.001] …
    python benchmarks/training_step.py --device cuda --dtype bfloat16 --shape 1.5B --layers 28 --goal 3

All sides get the same weights, prompts, reflections and rewards, and run their own `train()` one step at a time,
alternating:

- stock TRL 1.16's GRPOTrainer; on a CPU it computes the head on every prompt token, too
- the same with its head on completions alone, as on a GPU: the peer at its best, that the goal is against
- PrefixGrouper in the latter's place (grouper.py)
- ours; ours with `--no-shared-prompt`; and with `--dtype bfloat16` ours in float32

The timing covers a step without generating and judging. With KL it includes the reference model's pass. The model is
Qwen2-shaped with random weights, its layers and vocabulary cut in the same proportion. Gradient checkpointing is off on
all sides unless requested.

Loss and gradients of each side are compared in the same run with a step in float64 (exact.py), of a policy that has
moved away from its reference: the command fails if a side's error is more than twice that of stock with its head on
completions, in the same precision. Each side's memory is measured in a separate process, with the largest KL weight.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from exact import MOST, Errors, ExactTrainer, errors_of
from made_up import SHAPES, Shape, coin_task, load_policy, make_failures, save_model
from one_step import FixedRollout, Side, Watch, make_batch
from recording import Figure, folder_option, median_of, record
from step_memory import MemoryProbe
from stock import fixed_trainer, published, stock_config
from transformers import PreTrainedTokenizerFast, PrinterCallback
from transformers.trainer_utils import SaveStrategy
from trl import GRPOTrainer

from rrr_core.cli.heap import keep_freed_memory
from rrr_core.generation.transformers_engine import TransformersEngine
from rrr_core.hookspecs import Model
from rrr_core.training.options import grpo_config
from rrr_core.training.run import prepare
from rrr_core.training.settings import TrainSettings
from rrr_core.training.trainer import ReflectionTrainer
from rrr_core.verification import Judge

STOCK, COMPACT, GROUPER = "stock", "stock, head on completions", "PrefixGrouper"
OURS, UNSHARED, OURS_IN_FLOAT32 = "ours", "ours, --no-shared-prompt", "ours in float32"
SIDES = (STOCK, COMPACT, GROUPER, OURS, UNSHARED, OURS_IN_FLOAT32)
EXACT = "float64"
PEERS = (STOCK, COMPACT, GROUPER, EXACT)
"""Sides on stock TRL's trainer."""
SEED = 0


def settings_of(options: argparse.Namespace, kl: float, dtype: str, exact: bool = False, **more: Any) -> TrainSettings:
    """Settings for one step of ours. `grpo` holds, as JSON, what the stock side's configuration gets too."""
    fields = {
        "bf16": dtype == "bfloat16" and not exact,
        "gradient_checkpointing": options.checkpointing or exact,  # float64 takes twice the memory
        **more.pop("grpo", {}),
    }
    return TrainSettings(
        steps=1,
        group_size=options.group_size,
        batch_size=options.group_size * options.groups,
        micro_batch_size=options.micro_batch_size,
        warmup_ratio=0.0,
        kl=kl,
        max_reflection_tokens=options.reflection,
        max_retry_tokens=options.reflection,
        seed=SEED,
        grpo={name: json.dumps(value) for name, value in fields.items()},
        **more,
    )


def config_of(name: str, settings: TrainSettings, folder: Path, device: str) -> Any:
    """A side's GRPOConfig, which saves nothing."""
    if name in PEERS:
        fields = {key: json.loads(one) for key, one in settings.grpo.items()}
        own = {"use_cpu": device == "cpu", "dataloader_pin_memory": device != "cpu"}
        return stock_config(settings, folder / "stock", **own, **fields)
    config = grpo_config(settings, folder / "ours", "float32", None, processes=1, device=device)
    config.save_strategy = SaveStrategy.NO
    return config


def shape_of(options: argparse.Namespace) -> Shape:
    whole = SHAPES[options.shape]
    cut = whole.cut(options.layers or whole.layers)
    return dataclasses.replace(cut, vocabulary=whole.vocabulary) if options.whole_vocabulary else cut


def trainer_of(peer: str) -> type[GRPOTrainer]:
    """The trainer of a peer's side."""
    if peer == GROUPER:
        from grouper import GrouperTrainer

        return GrouperTrainer
    return ExactTrainer if peer == EXACT else GRPOTrainer


def make_side(name: str, options: argparse.Namespace, kl: float, dtype: str, folder: Path) -> Side:
    """Weights in float32; `bfloat16` is autocast, as `rrr train` does on a GPU."""
    dtype = "float32" if name == OURS_IN_FLOAT32 else dtype
    settings = settings_of(options, kl, dtype, shared_prompt=name != UNSHARED, exact=name == EXACT)
    vocabulary = shape_of(options).vocabulary
    lengths = (options.shortest or options.reflection, options.reflection)
    batch = make_batch(options.groups, options.group_size, options.prompt, lengths, vocabulary, SEED)
    watch = Watch()
    arguments: dict[str, Any] = {
        "model": load_policy(folder / "model", SEED),
        "processing_class": PreTrainedTokenizerFast.from_pretrained(folder / "model"),
        "args": config_of(name, settings, folder, options.device),
        "callbacks": [watch],
    }
    context: Callable[[], AbstractContextManager[None]] = nullcontext
    if name in PEERS:
        kind = trainer_of(name)
        trainer = fixed_trainer(batch.prompt_ids, batch.reflection_ids, batch.rewards, kind, **arguments)
        context = partial(published, head_on_completions=name != STOCK)
    else:
        task = coin_task()
        engine = TransformersEngine(arguments["model"], arguments["processing_class"], Model("random"))
        rollout = FixedRollout(task, engine, Judge(task, 1.0), settings)
        rollout.batch = batch
        trainer = ReflectionTrainer(
            tasks={None: task},
            rollout=rollout,
            failures=make_failures(options.groups, 100, vocabulary, SEED),
            settings=settings,
            on_episodes=lambda *_: None,
            **arguments,
        )
    trainer.remove_callback(PrinterCallback)
    return Side(trainer, watch, context)


def compared(
    options: argparse.Namespace, kl: float, dtype: str, repeats: int, folder: Path
) -> tuple[dict[str, Errors], dict[str, dict[str, list[float]]]]:
    """Side → its errors in its first step, and clock → side → seconds of each step after that, in turns."""
    exact = make_side(EXACT, options, kl, dtype, folder).compared()
    gc.collect()  # its trainer is in cycles
    sides = {name: make_side(name, options, kl, dtype, folder) for name in sides_of(options)}
    errors = {name: errors_of(side.compared(), exact) for name, side in sides.items()}
    del exact
    for _ in range(repeats):
        for side in sides.values():
            side.step()
    clocks = {"": {name: side.watch.seconds for name, side in sides.items()}}
    if options.device == "cpu":
        clocks[", processor time"] = {name: side.watch.processor for name, side in sides.items()}
    return errors, clocks


def sides_of(options: argparse.Namespace) -> list[str]:
    """The sides that take part: those asked for, by default all that there are."""
    wanted = options.sides or SIDES
    is_there = importlib.util.find_spec("prefix_grouper") is not None
    if GROUPER in (options.sides or ()) and not is_there:
        raise SystemExit(f"{GROUPER} is not installed: pip install prefix-grouper==0.0.1.post1")
    left_out = {GROUPER: not is_there, OURS_IN_FLOAT32: options.dtype == "float32"}
    return [name for name in SIDES if name in (*wanted, COMPACT, OURS) and not left_out.get(name)]


def figures_of(
    label: str, clocks: Mapping[str, Mapping[str, Sequence[float]]], goals: Mapping[str, float | None]
) -> list[Figure]:
    """Seconds of each side, and how many times as fast ours are; a goal is that of ours against a peer."""
    figures = []
    for clock, seconds in clocks.items():
        figures += [median_of(f"{name}, {label}{clock}", values, "s") for name, values in seconds.items()]
        pairs = [(peer, OURS) for peer in (COMPACT, GROUPER, STOCK, OURS_IN_FLOAT32)]
        for peer, name in (*pairs, (COMPACT, UNSHARED), (COMPACT, GROUPER), (STOCK, COMPACT)):
            if peer in seconds and name in seconds:
                ratios = [theirs / own for theirs, own in zip(seconds[peer], seconds[name], strict=True)]
                aim = goals.get(peer) if name == OURS else None
                figures.append(median_of(f"{name} against {peer}, {label}{clock}", ratios, "×", goal=aim))
    return figures


def error_figures(label: str, errors: Mapping[str, Errors]) -> list[Figure]:
    """Each side's error as a multiple of that of stock with its head on completions."""
    return [
        Figure(f"{name}, {label}, error over stock's", found.over(errors[COMPACT]), "", goal=MOST, at_most=True)
        for name, found in errors.items()
        if name != COMPACT
    ]


def memory_of(name: str, arguments: Sequence[str], kl: float) -> dict[str, float]:
    """One side's memory in MiB, from a separate process: what a step adds at its peak, and the peak itself."""
    command = [sys.executable, __file__, *arguments, "--only-memory", name, "--kl", str(kl)]
    # Freed tensors go back to the system at once, so resident memory is memory in use.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(1 << 16)}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def measure_memory(name: str, options: argparse.Namespace) -> dict[str, float]:
    """Memory of this process's second step: by then the optimiser's state exists."""
    with tempfile.TemporaryDirectory() as folder:
        save_model(shape_of(options), Path(folder) / "model", SEED)
        side = make_side(name, options, options.kl[0], options.dtype, Path(folder))
        side.step()
        probe = MemoryProbe(options.device)
        side.trainer.add_callback(probe)
        side.step()
    return {"added": probe.peak - probe.before, "peak": probe.peak}


def options_of(description: str | None, groups: int, goal: float) -> argparse.ArgumentParser:
    """The options that this benchmark and whole_step.py share."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="0.5B", help="the model's shape")
    parser.add_argument("--layers", type=int, default=2, help="layers kept, vocabulary in proportion; 0 for all")
    parser.add_argument("--prompt", type=int, default=800, help="tokens before the reflection")
    parser.add_argument("--reflection", type=int, default=80, help="tokens of a reflection and of a retry")
    parser.add_argument("--shortest", type=int, help="tokens of the shortest reflection  [default: all are as long]")
    parser.add_argument("--whole-vocabulary", action="store_true", help="do not cut the vocabulary")
    parser.add_argument("--group-size", type=int, default=8)
    parser.add_argument("--groups", type=int, default=groups, help="groups in a step")
    parser.add_argument("--micro-batch-size", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3, help="steps timed on each side")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--checkpointing", action="store_true", help="gradient checkpointing, on all sides")
    parser.add_argument("--goal", type=float, default=goal, help="speed-up over stock to reach")
    folder_option(parser)
    return parser


def about(options: argparse.Namespace) -> dict[str, Any]:
    """What a benchmark's file records about its settings."""
    given = {key: value for key, value in vars(options).items() if key not in ("folder", "only_memory")}
    return {**given, "shape": dataclasses.asdict(shape_of(options)), "weights": "random"}


def parser() -> argparse.ArgumentParser:
    """This benchmark's options."""
    found = options_of(__doc__, groups=1, goal=4.0)
    found.add_argument("--kl", type=float, nargs="+", default=[0.0, 0.001])
    found.add_argument("--sides", choices=SIDES, nargs="+", help=f"beside {COMPACT!r} and {OURS!r}  [default: all]")
    found.add_argument("--goal-grouper", type=float, help="speed-up over PrefixGrouper to reach")
    found.add_argument("--goal-float32", type=float, help="speed-up over float32 to reach, with --dtype bfloat16")
    found.add_argument("--no-memory", action="store_true", help="leave the memory out")
    found.add_argument("--only-memory", choices=SIDES, help=argparse.SUPPRESS)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser().parse_args(arguments)
    prepare()
    keep_freed_memory()  # as the commands do
    if options.only_memory:
        print(json.dumps(measure_memory(options.only_memory, options)))
        return 0
    sides = sides_of(options)
    if options.sides is None and GROUPER not in sides:
        print(f"{GROUPER} is left out: pip install prefix-grouper==0.0.1.post1", file=sys.stderr)
    goals = {COMPACT: options.goal, GROUPER: options.goal_grouper, OURS_IN_FLOAT32: options.goal_float32}
    figures: list[Figure] = []
    apart: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        save_model(shape_of(options), Path(folder) / "model", SEED)
        for kl in options.kl:
            errors, clocks = compared(options, kl, options.dtype, options.repeats, Path(folder))
            apart[f"kl {kl:g}"] = {name: dataclasses.asdict(each) for name, each in errors.items()}
            new = figures_of(f"kl {kl:g}", clocks, goals) + error_figures(f"kl {kl:g}", errors)
            figures += new
            print(*new, sep="\n", flush=True)
    if not options.no_memory:
        figures += memory_figures(sides, arguments, max(options.kl))
    met = record("training_step", figures, options.folder, about={**about(options), "errors against float64": apart})
    return 0 if met else 1


def memory_figures(sides: Sequence[str], arguments: Sequence[str], kl: float) -> list[Figure]:
    """Each side's memory, and ours as a share of that of stock with its head on completions."""
    memory = {name: memory_of(name, arguments, kl) for name in sides}
    figures = []
    for kind, text in (("added", "memory that a step adds"), ("peak", "peak memory of the process")):
        figures += [Figure(f"{name}, {text}, kl {kl:g}", memory[name][kind], "MiB") for name in sides]
        share = memory[OURS][kind] / memory[COMPACT][kind]
        figures.append(Figure(f"ours of {COMPACT}, {text}, kl {kl:g}", share, "×", goal=0.5, at_most=True))
    return figures


if __name__ == "__main__":
    sys.exit(main())
