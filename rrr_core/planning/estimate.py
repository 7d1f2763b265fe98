"""The estimate of a whole run: pure functions of settings, the model's shape, texts, pass rates and speeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from rrr_core.evaluation.settings import EvalSettings
from rrr_core.mining.settings import MineSettings
from rrr_core.planning.disk import disk_parts
from rrr_core.planning.lengths import Lengths, Limits, Texts
from rrr_core.planning.memory import Batch, Memory, Pass, Setup, generating_memory, training_memory
from rrr_core.planning.phases import Phase, Phases
from rrr_core.planning.shape import Shape
from rrr_core.planning.speeds import Speeds
from rrr_core.planning.stages import DeciderTexts, Stage, evaluation, mining, no_deciders
from rrr_core.planning.training import Step, completion_of, training
from rrr_core.planning.work import Asked, Engine, Work
from rrr_core.training.settings import TrainSettings

CPU_READS = 2048
"""Tokens that a CPU prefills at once (`rrr_core.generation.reading`)."""
COMMUNICATION = {"none": 1.0, "zero2": 1.05, "fsdp2": 1.2, "zero3": 1.25}
"""Sharding → what its communication makes of the seconds of passes and updates; texts come from a whole copy, and need
none. Assumed, for devices in one machine."""
ERRORS = 2.0
"""Standard errors from the expected value to the ends of a range."""
SHORTEST = 1 / 3
"""The least that texts may be of what is expected, where nothing is known or the probe's texts differ widely."""


@dataclass(frozen=True)
class TaskPart:
    """One task of a run."""

    name: str
    phases: Phases
    train_rows: int
    test_rows: int
    mine: MineSettings
    eval: EvalSettings
    share: float = 1.0
    """Of the training's groups."""
    deciders: DeciderTexts = no_deciders

    def limited(self, train: TrainSettings) -> dict[str, Phase]:
        """The phases within the token limits of each stage."""
        phases = self.phases
        mined = Limits(self.mine.max_tokens, self.mine.max_tokens, self.mine.max_tokens)
        evaluated = Limits(self.eval.max_tokens, self.eval.max_tokens, self.eval.max_tokens)
        # What training reflects on was mined, unless it tries again itself.
        trained = Limits(
            max(self.mine.max_tokens, train.max_attempt_tokens) if _tries(train) else self.mine.max_tokens,
            train.max_reflection_tokens,
            train.max_retry_tokens,
        )
        return {
            "mine": replace(phases.before, texts=phases.before.texts.within(mined)),
            "train": replace(phases.training, texts=phases.training.texts.within(trained)),
            "vanilla": replace(phases.before, texts=phases.before.texts.within(evaluated)),
            "trained": replace(phases.after, texts=phases.after.texts.within(evaluated)),
        }

    def changed(self, longer: float, errors: float) -> TaskPart:
        """With texts longer or shorter, and pass rates shifted, by so many standard errors."""
        if self.phases.is_assumed:
            # Nobody knows: from a third of the assumed length to twice it, and from rarely to mostly right.
            factor = SHORTEST ** (-longer / ERRORS) if longer < 0 else 1 + longer / ERRORS
            shift = 0.3 * errors / ERRORS
        else:
            # A few short texts and a long one have an error above a half: no length would be left.
            factor, shift = max(1 + longer * _length_error(self.phases.before.texts), SHORTEST), None

        def change(phase: Phase) -> Phase:
            texts = phase.texts.scaled(factor, Limits(1 << 30, 1 << 30, 1 << 30))
            behaviour = phase.behaviour
            if shift is None:
                return Phase(texts, behaviour.shifted(errors))
            return Phase(
                texts,
                replace(
                    behaviour,
                    sampled=behaviour.sampled.shifted(shift),
                    greedy=min(max(behaviour.greedy + shift, 0.0), 1.0),
                ),
            )

        return replace(self, phases=self.phases.changed(change))


def _tries(train: TrainSettings) -> bool:
    return bool(train.on_policy_attempts or train.refresh_every or train.mixes_first_tries or train.only_first_tries)


def _length_error(texts: Texts) -> float:
    return max(texts.attempt.error(), texts.reflection.error(), texts.retry.error())


@dataclass(frozen=True)
class RunPart:
    """What is the same for all tasks of a run."""

    shape: Shape
    setup: Setup
    step: Step
    engine: Engine
    speeds: Speeds
    speed_range: tuple[float, float] = (1.0, 1.0)
    """What the seconds may be, as factors."""

    def with_step(self, sharding: str, micro_batch: int, processes: int) -> RunPart:
        """The run with another way to train."""
        settings = replace(self.step.settings, micro_batch_size=micro_batch)
        return replace(
            self,
            setup=replace(self.setup, sharding=sharding, processes=processes),
            step=replace(self.step, settings=settings, processes=processes),
        )


@dataclass(frozen=True, slots=True)
class StageEstimate:
    """One stage of one task; training is of all tasks together."""

    name: str
    work: Work
    """Over all processes."""
    seconds: float
    memory: Memory
    """Of one process, with texts as long as they are."""
    worst: Memory
    """The same if each text is as long as it may be."""


def estimates(run: RunPart, tasks: Sequence[TaskPart]) -> list[StageEstimate]:
    """All stages of a run, in the order in which they are run."""
    several = len(tasks) > 1
    processes = run.step.processes
    mined, evaluated = [], {"vanilla": list[StageEstimate](), "trained": list[StageEstimate]()}
    for task in tasks:
        phases, bounds = task.limited(run.step.settings), worst_case(task).limited(run.step.settings)
        named = f" {task.name}" if several else ""
        stage, _ = mining(task.mine, phases["mine"].texts, phases["mine"].behaviour, task.train_rows, run.engine)
        most, _ = mining(task.mine, bounds["mine"].texts, bounds["mine"].behaviour, task.train_rows, run.engine)
        mined.append(_generating(f"mine{named}", run, stage, most, processes))
        for label, found in evaluated.items():
            stage, most = (
                evaluation(
                    task.eval, each[label].texts, each[label].behaviour, task.test_rows, run.engine, task.deciders
                )
                for each in (phases, bounds)
            )
            found.append(_generating(f"eval {label}{named}", run, stage, most, processes))
    return [*mined, training_estimate(run, tasks), *evaluated["vanilla"], *evaluated["trained"]]


def training_estimate(run: RunPart, tasks: Sequence[TaskPart]) -> StageEstimate:
    """The training of all tasks together."""
    settings = run.step.settings
    parts = [(task, task.limited(settings)["train"]) for task in tasks]
    work = Work()
    for task, phase in parts:
        work += training(run.step, phase.texts, phase.behaviour, run.engine).work * task.share
    # Every step is one, whatever its groups are of.
    passes = run.step.accumulation * run.step.processes * (1 + run.step.scores) * settings.steps
    work = replace(work, passes=passes, updates=settings.steps, saves=-(-settings.steps // settings.save_every))
    own = work.divided(run.step.processes)
    seconds = run.speeds.seconds(own)
    if run.step.processes > 1:
        seconds += (COMMUNICATION[run.setup.sharding] - 1) * run.speeds.of_passes(own)
    usual = max((_training_memory(run, phase) for _, phase in parts), key=lambda memory: memory.peak)
    worst = max(
        (_training_memory(run, worst_case(task).limited(settings)["train"], worst=True) for task, _ in parts),
        key=lambda memory: memory.peak,
    )
    return StageEstimate("train", work, seconds, usual, worst)


def worst_case(task: TaskPart) -> TaskPart:
    """The task with each text as long as it may be."""
    most = Lengths((float(1 << 30),))

    def change(phase: Phase) -> Phase:
        texts = replace(phase.texts, attempt=most, reflection=most, retry=most, prompt=_all_longest(phase.texts.prompt))
        return replace(phase, texts=texts)

    return replace(task, phases=task.phases.changed(change))


def _all_longest(lengths: Lengths) -> Lengths:
    return Lengths((lengths.longest,))


def _generating(name: str, run: RunPart, stage: Stage, most: Stage, processes: int) -> StageEstimate:
    usual, worst = (
        generating_memory(run.shape, run.setup, batch_of(each.together, run.engine, run.setup))
        for each in (stage, most)
    )
    return StageEstimate(name, stage.work, run.speeds.seconds(stage.work.divided(processes)), usual, worst)


def batch_of(together: Sequence[Asked], engine: Engine, setup: Setup) -> Batch:
    """The largest batch of what is sampled together, with all that the prefix cache may have by then."""
    largest = max(together, key=lambda each: each.rows(engine) * each.columns(engine))
    rows, columns = largest.rows(engine), largest.columns(engine)
    written = largest.written.longest_of(rows)
    reads = rows * largest.fresh / max(largest.count, 1.0)
    # Rows that end together stay in the batch's own cache; those that end before are copied.
    staying = sum(length >= written for length in largest.written.sample) / len(largest.written.sample)
    own = rows * (largest.given + largest.observed + largest.written.mean)
    return Batch(
        rows=rows,
        prompt=columns - written,
        written=written,
        kept=max(sum(each.kept for each in together) - own * staying, 0.0),
        read_at_once=min(reads, CPU_READS) if setup.on_cpu else reads,
    )


def _training_memory(run: RunPart, phase: Phase, *, worst: bool = False) -> Memory:
    step, texts = run.step, phase.texts
    settings = step.settings
    micro, size = settings.micro_batch_size, settings.group_size
    completion = completion_of(step, texts, phase.behaviour, 0.0 if not settings.only_first_tries else 1.0)
    prompt = texts.prompt if settings.only_first_tries else None
    given = texts.reflected_on if prompt is None else prompt.mean
    longest = texts.longest_reflected_on if prompt is None else prompt.longest
    if step.shares_prompts:
        # A micro-batch's groups are long and short ones, unless it holds but one.
        groups = max(micro / size, 1.0)
        one = Pass(
            groups, longest if worst or groups < 2 else given, micro, completion.longest if worst else completion.mean
        )
    else:
        one = Pass(micro, longest, micro, completion.longest if worst else completion.longest_of(micro))
    stage = training(step, texts, phase.behaviour, run.engine)
    batch = batch_of(stage.together, run.engine, run.setup)
    return training_memory(run.shape, run.setup, one, batch, accumulates=step.accumulation > 1)


def ranges(run: RunPart, tasks: Sequence[TaskPart]) -> Mapping[str, dict[str, tuple[float, float]]]:
    """Stage → the least and the most of tokens and seconds, for texts and pass rates within their errors."""
    found: dict[str, dict[str, Any]] = {}
    ends = (-ERRORS, ERRORS)
    for longer, errors in ((0.0, 0.0), *product(ends, ends)):
        for stage in estimates(run, [task.changed(longer, errors) for task in tasks]):
            tokens = stage.work.prompt + stage.work.written + stage.work.trained + stage.work.scored
            values = {"tokens": tokens, "seconds": stage.seconds}
            for name, value in values.items():
                low, high = found.setdefault(stage.name, {}).get(name, (value, value))
                found[stage.name][name] = (min(low, value), max(high, value))
    fast, slow = run.speed_range
    for each in found.values():
        each["seconds"] = (each["seconds"][0] * fast, each["seconds"][1] * slow)
    return found


def disk_of(run: RunPart, tasks: Sequence[TaskPart]) -> Mapping[str, float]:
    """Bytes on the disk, by what they hold."""
    parts = [
        disk_parts(
            run.step.settings,
            task.phases.before.texts,
            run.setup.trainable,
            run.setup.bytes_per_weight,
            task.train_rows * task.mine.failures_per_row,
            2 * task.test_rows * len(task.eval.modes),
            is_first=task is tasks[0],
        )
        for task in tasks
    ]
    return {name: sum(part[name] for part in parts) for name in parts[0]}
