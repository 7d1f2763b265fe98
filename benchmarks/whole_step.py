"""One whole training step (reflect, retry, judge, train), against the paper's recipe on stock TRL 1.16.

    python benchmarks/whole_step.py [--layers 2] [--groups 2] [--repeats 3] …

Stock is `TwoStepTrainer` of stock.py: TRL's own generation of the reflections, then the retries in one padded
batch with the same call, their verdicts as rewards, and TRL's masked GRPO step. Both sides get the same weights,
failures, task and settings, and alternate. The model is Qwen2-shaped with random weights, made to write texts
of exactly the given length: both sides sample and train equally many tokens, whatever their random streams.
The learning rate is zero to keep it that way, and zero-variance groups are computed on both sides: the
figure does not include what we save by dropping them.

Two samplers with different random streams cannot write the same texts. So equality is checked with greedy decoding:
the command fails unless both sides write the same reflections and retries. training_step.py checks that training
on one batch is equal.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

from made_up import coin_task, load_policy, make_failures, save_model
from one_step import Side, Watch
from recording import Figure, median_of, record
from stock import Clock, TwoStepTrainer, published
from training_step import OURS, SEED, STOCK, about, config_of, options_of, settings_of, shape_of
from transformers import PreTrainedTokenizerFast, PrinterCallback

from rrr_core.episode import Episode
from rrr_core.generation.transformers_engine import TransformersEngine
from rrr_core.hookspecs import Model
from rrr_core.training.rollout import Rollout
from rrr_core.training.run import prepare
from rrr_core.training.trainer import ReflectionTrainer
from rrr_core.verification import Judge

SIDES = (STOCK, OURS)
SAMPLED = ("reflect", "retry", "judge")


@dataclass
class WholeSide(Side):
    """A side that runs whole steps."""

    clock: Clock = field(default_factory=Clock)
    episodes: list[Episode] = field(default_factory=list)
    """Those of our last batch; stock's trainer keeps its own."""

    def texts(self) -> dict[int, set[tuple[str, str]]]:
        """Failure → the reflections on it in the last batch, each with its retry."""
        if isinstance(self.trainer, TwoStepTrainer):
            written = self.trainer.texts
        else:
            written = [
                (episode.row_index, one.reflection.text, "" if one.retry is None else one.retry.text)
                for episode in self.episodes
                for one in episode.rounds
            ]
        by_failure: dict[int, set[tuple[str, str]]] = {}
        for failure, reflection, retry in written:
            by_failure.setdefault(failure, set()).add((reflection, retry))
        return by_failure

    def phases(self) -> dict[str, float]:
        """Seconds of the last step by phase; everything except sampling and judging is training."""
        sampled = {phase: self.clock.seconds[phase] for phase in SAMPLED}
        self.clock.seconds.clear()
        return {**sampled, "train": self.watch.seconds[-1] - sum(sampled.values())}


def make_side(name: str, options: argparse.Namespace, folder: Path, greedy: bool = False) -> WholeSide:
    # Half precision breaks ties by rounding, so greedy texts are compared in float32.
    dtype = "float32" if greedy else options.dtype
    settings = settings_of(
        options,
        options.kl,
        dtype,
        grpo={"top_k": 1} if greedy else {},
        # The weights that end the texts must not drift, and both sides must compute every group.
        learning_rate=0.0,
        zero_variance="keep",
    )
    task, watch = coin_task(), Watch()
    network = load_policy(folder / "model", SEED).to(options.device)
    arguments: dict[str, Any] = {
        "failures": make_failures(options.groups, options.prompt, shape_of(options).vocabulary, SEED),
        "model": network,
        "processing_class": PreTrainedTokenizerFast.from_pretrained(folder / "model"),
        "args": config_of(name, settings, folder, options.device),
        "callbacks": [watch],
    }
    if name == STOCK:
        trainer: Any = TwoStepTrainer(
            task=task, verify=lambda row, answer: task.verify(row, answer).reward or 0.0, **arguments
        )
        side = WholeSide(trainer, watch, published, clock=trainer.clock)
    else:
        clock, episodes = Clock(), []
        engine = TransformersEngine(network, arguments["processing_class"], Model("random"))
        judge = Judge(task, 1.0)
        engine.generate_ids = clocked(engine.generate_ids, clock, ("reflect", "retry"))
        judge.judge = clocked(judge.judge, clock, ("judge",))
        trainer = ReflectionTrainer(
            tasks={None: task},
            rollout=Rollout(task, engine, judge, settings),
            settings=settings,
            on_episodes=lambda _step, batch, *_: episodes.__setitem__(slice(None), batch),
            **arguments,
        )
        side = WholeSide(trainer, watch, clock=clock, episodes=episodes)
    trainer.remove_callback(PrinterCallback)
    return side


def clocked(function: Any, clock: Clock, phases: Sequence[str]) -> Any:
    """The function, with its successive calls timed as the phases in turn."""
    upcoming = cycle(phases)

    def measured(*arguments: Any, **keywords: Any) -> Any:
        with clock.measure(next(upcoming)):
            return function(*arguments, **keywords)

    return measured


def greedy_texts_agree(options: argparse.Namespace, folder: Path) -> bool:
    """Whether both sides write the same texts with greedy decoding, each of the right length."""
    written = []
    for name in SIDES:
        side = make_side(name, options, folder, greedy=True)
        side.step()
        written.append(side.texts())
    lengths = {len(text.split()) for texts in written[0].values() for pair in texts for text in pair}
    return written[0] == written[1] and lengths == {options.reflection - 1}


def timed(options: argparse.Namespace, folder: Path) -> dict[str, list[dict[str, float]]]:
    """Side → phase → seconds, for each step; the sides alternate, after one warm-up step each."""
    sides = {name: make_side(name, options, folder) for name in SIDES}
    steps: dict[str, list[dict[str, float]]] = {name: [] for name in SIDES}
    for _ in range(options.repeats + 1):
        for name, side in sides.items():
            side.step()
            steps[name].append(side.phases())
    return {name: measured[1:] for name, measured in steps.items()}


def figures_of(steps: Mapping[str, Sequence[Mapping[str, float]]], goal: float) -> list[Figure]:
    whole = {name: [sum(step.values()) for step in measured] for name, measured in steps.items()}
    ratios = [stock / ours for stock, ours in zip(whole[STOCK], whole[OURS], strict=True)]
    figures = [median_of("a whole step, ours against stock", ratios, "×", goal=goal)]
    for name in SIDES:
        figures.append(median_of(f"a whole step, {name}", whole[name], "s"))
        figures += [
            median_of(f"{phase}, {name}", [step[phase] for step in steps[name]], "s") for phase in steps[name][0]
        ]
    for phase in ("reflect", "retry", "train"):
        stock, ours = (median(step[phase] for step in steps[name]) for name in SIDES)
        figures.append(Figure(f"{phase}, ours against stock", stock / ours, "×", len(steps[STOCK])))
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    parser = options_of(__doc__, groups=2, goal=3.0)
    parser.add_argument("--kl", type=float, default=0.001)
    options = parser.parse_args(arguments)
    prepare()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        save_model(shape_of(options), folder / "model", SEED, ends_after=options.reflection)
        same = greedy_texts_agree(options, folder)
        figures = figures_of(timed(options, folder), options.goal)
    figures.append(Figure("greedy reflections and retries are the same", float(same), "", goal=1.0))
    return 0 if record("whole_step", figures, options.folder, about=about(options)) else 1


if __name__ == "__main__":
    sys.exit(main())
