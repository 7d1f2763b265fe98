"""Forward, backward and optimiser of one training step, against stock TRL 1.16 on the same batch.

    python benchmarks/training_step.py [--layers 2] [--repeats 5] [--kl 0 0.001] …
    python benchmarks/training_step.py --device cuda --dtype bfloat16 --shape 1.5B --layers 28 --goal 3

All sides get the same weights, prompts, reflections and rewards, and run their own `train()` one step at a time,
alternating: stock's GRPOTrainer, the same with its head computed on completions alone (as where Triton is, and not on
a CPU), ours, and ours with `--no-shared-prompt`. The goal is against the second. The timing covers a step without
generating and judging. With KL it includes the reference model's pass. The model is Qwen2-shaped with random weights,
its layers and vocabulary cut in the same proportion. Gradient checkpointing is off on all sides unless requested.

Loss, gradient norm and every parameter's gradient are compared in the same run, in float32, with a policy that
has moved away from its reference: the command fails if any of them differs by more than 1e-4. Each side's memory is
measured in a separate process, with the largest KL weight given.
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from made_up import END, SHAPES, SPECIAL, Shape, coin_task, load_policy, make_failures, save_model
from recording import Figure, folder_option, median_of, record
from stock import fixed_trainer, published, stock_config
from transformers import PreTrainedTokenizerFast, PrinterCallback, TrainerCallback
from transformers.trainer_utils import SaveStrategy

from rrr_core.episode import Episode, Failure, Segment
from rrr_core.generation.transformers_engine import TransformersEngine
from rrr_core.hookspecs import Model
from rrr_core.training.options import grpo_config
from rrr_core.training.rollout import Rollout
from rrr_core.training.run import prepare
from rrr_core.training.settings import TrainSettings
from rrr_core.training.trainer import ReflectionTrainer
from rrr_core.verdicts import failed, passed
from rrr_core.verification import Judge

STOCK, COMPACT, OURS, UNSHARED = "stock", "stock, head on completions", "ours", "ours, --no-shared-prompt"
SIDES = (STOCK, COMPACT, OURS, UNSHARED)
STOCKS = (STOCK, COMPACT)
TOLERANCE = 1e-4
SEED = 0


@dataclass(frozen=True)
class Batch:
    """One step's batch: each group's prompt, its G reflections, their rewards."""

    prompt_ids: list[list[int]]
    reflection_ids: list[list[list[int]]]
    rewards: list[list[float]]


def make_batch(groups: int, group_size: int, prompt: int, reflection: int, vocabulary: int, seed: int) -> Batch:
    """Random ids; each reflection ends with the end token, and each group has both rewards."""
    chance = random.Random(seed)

    def ids(count: int) -> list[int]:
        return [chance.randrange(len(SPECIAL), vocabulary) for _ in range(count)]

    return Batch(
        [ids(prompt) for _ in range(groups)],
        [[[*ids(reflection - 1), END] for _ in range(group_size)] for _ in range(groups)],
        [[1.0, 0.0, *(float(chance.random() < 0.5) for _ in range(group_size - 2))] for _ in range(groups)],
    )


class FixedRollout(Rollout):
    """Returns the batch instead of sampling one."""

    batch: Batch

    def play(self, failures: Sequence[Failure], seed: tuple[object, ...]) -> list[Episode]:
        episodes, places = [], [0] * len(self.batch.prompt_ids)
        for failure in failures:
            group, place = failure.row_index, places[failure.row_index]
            places[group] += 1
            verdict = passed() if self.batch.rewards[group][place] else failed("tails")
            episodes.append(
                failure.episode.extended(
                    Segment("prompt", ids=tuple(self.batch.prompt_ids[group])),
                    Segment("reflection", text=str(place), ids=tuple(self.batch.reflection_ids[group][place])),
                    Segment("prompt", ids=(END,)),
                    Segment("retry", text=str(place), ids=(END,), verdict=verdict),
                )
            )
        return episodes


@dataclass
class Watch(TrainerCallback):
    """Seconds of each step, from TRL's start of it to after the optimiser; the gradients if wanted."""

    wants_gradients: bool = False
    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    """Processor time of each step, of all threads."""
    gradients: dict[str, torch.Tensor] = field(default_factory=dict)

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        synchronise()
        self.began, self.processor_began = time.perf_counter(), time.process_time()

    def on_pre_optimizer_step(self, *_: Any, model: Any = None, **__: Any) -> None:
        if self.wants_gradients:
            self.gradients = {name: one.grad.detach().cpu().clone() for name, one in model.named_parameters()}

    def on_step_end(self, *_: Any, **__: Any) -> None:
        synchronise()
        self.seconds.append(time.perf_counter() - self.began)
        self.processor.append(time.process_time() - self.processor_began)


def synchronise() -> None:
    """Wait for the GPU, which runs asynchronously."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


@dataclass
class Side:
    """One way to train, one step at a time."""

    trainer: Any
    watch: Watch
    context: Callable[[], AbstractContextManager[None]] = nullcontext

    def step(self, wants_gradients: bool = False) -> Mapping[str, float]:
        """Do one step; returns the loss and gradient norm that TRL logged."""
        self.watch.wants_gradients = wants_gradients
        with self.context():
            self.trainer.train()
        return next(line for line in self.trainer.state.log_history if "loss" in line)


def settings_of(options: argparse.Namespace, kl: float, dtype: str, **more: Any) -> TrainSettings:
    """Settings for one step of ours. `grpo` holds, as JSON, what the stock side's configuration gets too."""
    fields = {
        "bf16": dtype == "bfloat16",
        "gradient_checkpointing": options.checkpointing,
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
    if name in STOCKS:
        fields = {key: json.loads(one) for key, one in settings.grpo.items()}
        own = {"use_cpu": device == "cpu", "dataloader_pin_memory": device != "cpu"}
        return stock_config(settings, folder / "stock", **own, **fields)
    config = grpo_config(settings, folder / "ours", "float32", None, processes=1, device=device)
    config.save_strategy = SaveStrategy.NO
    return config


def shape_of(options: argparse.Namespace) -> Shape:
    return SHAPES[options.shape].cut(options.layers or SHAPES[options.shape].layers)


def make_side(name: str, options: argparse.Namespace, kl: float, dtype: str, folder: Path) -> Side:
    """Weights in float32; `bfloat16` is autocast, as `rrr train` does on a GPU."""
    settings = settings_of(options, kl, dtype, shared_prompt=name == OURS)
    vocabulary = shape_of(options).vocabulary
    batch = make_batch(options.groups, options.group_size, options.prompt, options.reflection, vocabulary, SEED)
    watch = Watch()
    arguments: dict[str, Any] = {
        "model": load_policy(folder / "model", SEED),
        "processing_class": PreTrainedTokenizerFast.from_pretrained(folder / "model"),
        "args": config_of(name, settings, folder, options.device),
        "callbacks": [watch],
    }
    context: Callable[[], AbstractContextManager[None]] = nullcontext
    if name in STOCKS:
        trainer = fixed_trainer(batch.prompt_ids, batch.reflection_ids, batch.rewards, **arguments)
        context = partial(published, head_on_completions=name == COMPACT)
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


def gap(one: torch.Tensor, other: torch.Tensor) -> float:
    """The difference of two tensors, relative to the first one's norm."""
    return float((one - other).norm() / one.norm().clamp(min=1e-12))


def gaps(sides: Mapping[str, Side]) -> dict[str, dict[str, float]]:
    """One step of each side; how far loss, gradient norm and the worst parameter gradient are from stock's."""
    logged = {name: side.step(wants_gradients=True) for name, side in sides.items()}
    gradients = {name: side.watch.gradients for name, side in sides.items()}
    return {
        name: {
            # The loss itself is near 0 if all completions have the same length: a group's advantages sum to zero.
            "loss": abs(logged[STOCK]["loss"] - logged[name]["loss"]) / max(abs(logged[STOCK]["loss"]), 1e-3),
            "gradient norm": abs(1 - logged[name]["grad_norm"] / logged[STOCK]["grad_norm"]),
            "gradient": max(gap(one, gradients[name][parameter]) for parameter, one in gradients[STOCK].items()),
        }
        for name in SIDES[1:]
    }


def compared(
    options: argparse.Namespace, kl: float, dtype: str, repeats: int, folder: Path
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, list[float]]]]:
    """Side → its gaps to stock in its first step, and clock → side → seconds of each step after that, in turns."""
    sides = {name: make_side(name, options, kl, dtype, folder) for name in SIDES}
    apart = gaps(sides)
    for side in sides.values():
        side.watch.gradients, side.watch.seconds, side.watch.processor = {}, [], []
    for _ in range(repeats):
        for side in sides.values():
            side.step()
    clocks = {"": {name: side.watch.seconds for name, side in sides.items()}}
    if options.device == "cpu":
        clocks[", processor time"] = {name: side.watch.processor for name, side in sides.items()}
    return apart, clocks


def figures_of(label: str, clocks: Mapping[str, Mapping[str, Sequence[float]]], goal: float) -> list[Figure]:
    figures = []
    for clock, seconds in clocks.items():
        figures += [median_of(f"{name}, {label}{clock}", values, "s") for name, values in seconds.items()]
        for peer, name in ((STOCK, COMPACT), (STOCK, OURS), (COMPACT, OURS), (STOCK, UNSHARED)):
            ratios = [stock / ours for stock, ours in zip(seconds[peer], seconds[name], strict=True)]
            aim = goal if (peer, name) == (COMPACT, OURS) else None
            figures.append(median_of(f"{name} against {peer}, {label}{clock}", ratios, "×", goal=aim))
    return figures


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


class MemoryProbe(TrainerCallback):
    """Memory in MiB before a step and at its peak: the process's resident set, or torch's on the GPU."""

    def __init__(self, device: str) -> None:
        self.device, self.before, self.peak = device, 0.0, 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated() / 2**20
            return
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM restarts from what is resident now.
        self.before = resident("VmRSS")

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.peak = torch.cuda.max_memory_allocated() / 2**20 if self.device == "cuda" else resident("VmHWM")


def resident(name: str) -> float:
    """A figure of /proc/self/status, in MiB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


def options_of(description: str | None, groups: int, goal: float) -> argparse.ArgumentParser:
    """The options that this benchmark and whole_step.py share."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="0.5B", help="the model's shape")
    parser.add_argument("--layers", type=int, default=2, help="layers kept, vocabulary in proportion; 0 for all")
    parser.add_argument("--prompt", type=int, default=800, help="tokens before the reflection")
    parser.add_argument("--reflection", type=int, default=80, help="tokens of a reflection and of a retry")
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


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = options_of(__doc__, groups=1, goal=4.0)
    parser.add_argument("--kl", type=float, nargs="+", default=[0.0, 0.001])
    parser.add_argument("--only-memory", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    prepare()
    if options.only_memory:
        print(json.dumps(measure_memory(options.only_memory, options)))
        return 0
    figures: list[Figure] = []
    equality: dict[str, dict[str, dict[str, float]]] = {}
    rounding: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        save_model(shape_of(options), Path(folder) / "model", SEED)
        for kl in options.kl:
            if options.dtype != "float32":
                equality[f"kl {kl:g}"], _ = compared(options, kl, "float32", 0, Path(folder))
            rounded, clocks = compared(options, kl, options.dtype, options.repeats, Path(folder))
            (equality if options.dtype == "float32" else rounding)[f"kl {kl:g}"] = rounded
            found = figures_of(f"kl {kl:g}", clocks, options.goal)
            figures += found
            print(*found, sep="\n", flush=True)
    kl = max(options.kl)
    memory = {name: memory_of(name, arguments, kl) for name in SIDES}
    for kind, text in (("added", "memory that a step adds"), ("peak", "peak memory of the process")):
        figures += [Figure(f"{name}, {text}, kl {kl:g}", memory[name][kind], "MiB") for name in SIDES]
        share = memory[OURS][kind] / memory[STOCK][kind]
        figures.append(Figure(f"ours of stock's {text}, kl {kl:g}", share, "×", goal=0.5, at_most=True))
    worst = max(value for sides in equality.values() for apart in sides.values() for value in apart.values())
    label = "largest relative gap of loss, gradient norm and gradients, float32"
    figures.append(Figure(label, worst, "", goal=TOLERANCE, at_most=True))
    apart = {"gaps to stock, float32": equality, "gaps to stock, bfloat16, held to nothing": rounding}
    met = record("training_step", figures, options.folder, about={**about(options), **apart})
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
