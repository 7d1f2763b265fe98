"""An evaluation in its folder: shards written atomically, resumed if missing, and summed up as figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

from rrr_core.answering import check_max_steps
from rrr_core.config.limits import STOPS, token_limit
from rrr_core.episode import Episode
from rrr_core.errors import DataError
from rrr_core.evaluation.controls import ALWAYS_SAMPLED, read_evaluated
from rrr_core.evaluation.deciders import Decider
from rrr_core.evaluation.deciding import make_deciders, notes_on
from rrr_core.evaluation.figures import Figures, ModeFigures, figures
from rrr_core.evaluation.known_noise import corrections
from rrr_core.evaluation.settings import GREEDY, EvalSettings
from rrr_core.evaluation.work import EvaluationWork
from rrr_core.generation.engine import Engine
from rrr_core.generation.measured import measured
from rrr_core.generation.notes import EngineNotes
from rrr_core.hookspecs import Row
from rrr_core.processes.alike import check_alike
from rrr_core.processes.shards import Executor, ShardJob, ThisProcess
from rrr_core.profiling.profile import profiled
from rrr_core.progress import Progress
from rrr_core.runs.about import about_this_run
from rrr_core.runs.digests import Digests
from rrr_core.runs.files import read_numbered_lines
from rrr_core.runs.layout import EvalFolder
from rrr_core.runs.stage import open_stage, stage_lock
from rrr_core.tasks import Task
from rrr_core.text import counted
from rrr_core.verification import Judge, VerifySettings

NO_TEXTS = {*STOPS, "known_false_pass", "known_false_fail", "decide"}
"""Settings on which no text depends. The limits may be raised to resume, and the known rates given when they are known:
figures are always made again from the shards. Deciders have a key of their own, with their versions."""
EVALUATE_AGAIN = "run the command that evaluated the model again: it evaluates these rows again."


def evaluate(
    task: Task,
    engine: Engine,
    folder: Path,
    label: str,
    settings: EvalSettings,
    data_options: Mapping[str, str],
    progress: Progress | None = None,
    verify: VerifySettings | None = None,
    executor: Executor | None = None,
) -> Figures:
    """Evaluate a model on `task`'s test split into `folder`, or resume; `label` is the model's name in the results.

    `executor` decides who evaluates its shards; this must be its leading process.
    Raises RrrError if the folder belongs to another evaluation or is locked by another process, DataError if the split
    is empty or has changed, TooManyAbstentions if the verifier abstains too often, TooManyWithoutAnswer if the engine
    has too few answers, and any PluginError or ModelError.
    Finished shards are kept in each case.
    """
    check_max_steps([task], settings.max_steps)
    settings = replace(settings, max_tokens=token_limit(settings.max_tokens, engine.thinks))
    folder, progress, executor = Path(folder), progress or Progress(), executor or ThisProcess()
    with stage_lock(folder, progress), profiled(folder, progress) as profile, ExitStack() as stack:
        deciders = make_deciders(task, settings.decide, settings.max_abstain, verify, profile)
        for decider in deciders:
            stack.callback(decider.close)
        identity = _identity(task, engine, settings, data_options, deciders)
        open_stage(folder, "eval", {"label": label, **identity}, about_this_run())
        check_alike(executor, folder, identity)
        rows = _rows(task, settings, data_options)
        if not rows:
            raise DataError(f"The test split of task {task.name!r} has no rows: check the `--data` options.")
        if len(rows) < settings.rows:
            progress.say(
                f"The test split has {counted(len(rows), 'row')}, fewer than the {settings.rows} asked for:"
                " all evaluated."
            )
        limit = settings.max_no_answer
        with Judge(task, settings.max_abstain, settings=verify, profile=profile, max_no_answer=limit) as judge:
            work = EvaluationWork(task, measured(engine, profile), judge, settings, deciders)
            _evaluate_shards(work, folder, label, rows, progress, executor)
        made = Figures(
            label=label,
            task=task.name,
            model=engine.describe(),
            rows=len(rows),
            seed=settings.seed,
            sampling={mode: _temperatures(mode, settings) for mode in settings.modes},
            notes=_notes(settings, deciders),
            modes=mode_figures(folder, task, settings),
        )
        digests, files = Digests(folder), EvalFolder(folder)
        digests.settle(path for mode in settings.modes for path in files.shards(mode))
        digests.write_json(files.figures, made.to_json())
    executor.agree(f"the figures of {folder}", None)
    return made


def assist_evaluation(
    task: Task,
    engine: Engine,
    folder: Path,
    settings: EvalSettings,
    data_options: Mapping[str, str],
    executor: Executor,
    verify: VerifySettings | None = None,
) -> None:
    """Evaluate what the leading process leaves to this one, until the figures are there. Raises as `evaluate`."""
    settings = replace(settings, max_tokens=token_limit(settings.max_tokens, engine.thinks))
    files, limit = EvalFolder(folder), settings.max_no_answer
    with ExitStack() as stack:
        judge = stack.enter_context(Judge(task, settings.max_abstain, settings=verify, max_no_answer=limit))
        deciders = make_deciders(task, settings.decide, settings.max_abstain, verify, judge.profile)
        for decider in deciders:
            stack.callback(decider.close)
        check_alike(executor, folder, _identity(task, engine, settings, data_options, deciders))
        work = EvaluationWork(task, measured(engine, judge.profile), judge, settings, deciders)
        jobs = _jobs(settings, _rows(task, settings, data_options))
        undone = (job for job in jobs if not files.shard(job.mode, job.number).exists())
        for _ in executor.in_order(folder, undone, work):
            raise AssertionError("only the leading process is given what is done")
    executor.agree(f"the figures of {folder}", None)


def _identity(
    task: Task, engine: Engine, settings: EvalSettings, data_options: Mapping[str, str], deciders: Sequence[Decider]
) -> dict[str, Any]:
    """Everything that determines the texts."""
    return {
        "task": task.provenance(),
        "model": engine.describe(),
        "data": dict(data_options),
        "split": "test",
        "settings": {name: value for name, value in asdict(settings).items() if name not in NO_TEXTS},
        **({"deciders": [decider.provenance() for decider in deciders]} if deciders else {}),
    }


def mode_figures(folder: Path, task: Task, settings: EvalSettings) -> dict[str, ModeFigures]:
    """The figures of each mode, computed from the shards in `folder`."""
    noise = settings.known_noise
    made = {
        mode: figures(read_episodes(folder, mode), settings.controls, settings.rounds, task.final_answer)
        for mode in settings.modes
    }
    if not noise:
        return made
    return {mode: replace(each, corrected=corrections(each.shares, each.gains, noise)) for mode, each in made.items()}


def read_episodes(folder: Path, mode: str) -> Iterator[Episode]:
    """The episodes of one mode in row order, lazily. Raises DataError naming file and line, or a changed file."""
    digests = Digests(folder)
    for lost in digests.lacking(f"{mode}-"):
        raise DataError(f"{lost} is missing: {EVALUATE_AGAIN}")
    for path in EvalFolder(folder).shards(mode):
        yield from _read_shard(path, digests)


def _evaluate_shards(
    work: EvaluationWork,
    folder: Path,
    label: str,
    rows: Sequence[tuple[int, Row]],
    progress: Progress,
    executor: Executor,
) -> None:
    files, settings, digests, profile = EvalFolder(folder), work.settings, Digests(folder), work.judge.profile
    notes = EngineNotes(work.engine, folder, progress)

    def undone() -> Iterator[ShardJob]:
        for mode in settings.modes:
            if (surplus := files.shard(mode, -(-len(rows) // settings.shard_rows))).exists():
                raise _changed(surplus)
        for job in _jobs(settings, rows):
            path = files.shard(job.mode, job.number)
            if path.exists():
                work.recall(_finished_episodes(path, digests, job.rows))
                advance(len(job.rows) * work.texts)
            else:
                files.figures.unlink(missing_ok=True)
                yield job

    with progress.track(f"Evaluating {label}", len(rows) * work.texts * len(settings.modes)) as advance:
        for done in executor.in_order(folder, undone(), replace(work, advance=advance)):
            digests.write_lines(files.shard(done.job.mode, done.job.number), done.lines())
            if done.elsewhere is not None:
                profile.add(done.elsewhere.spent)
                work.recall(done.records)
                advance(len(done.job.rows) * work.texts)
            profile.write(folder)
            notes.update()
    work.finish()


def _rows(task: Task, settings: EvalSettings, data_options: Mapping[str, str]) -> list[tuple[int, Row]]:
    return list(enumerate(islice(iter(task.load_dataset("test", data_options)), settings.rows)))


def _jobs(settings: EvalSettings, rows: Sequence[tuple[int, Row]]) -> Iterator[ShardJob]:
    """All shards, mode by mode."""
    size = settings.shard_rows
    for mode in settings.modes:
        for number, start in enumerate(range(0, len(rows), size)):
            yield ShardJob(f"{mode}-{number:05d}", number, rows[start : start + size], mode)


def _finished_episodes(path: Path, digests: Digests, chunk: Sequence[tuple[int, Row]]) -> list[Episode]:
    """The episodes of a finished shard. Raises DataError if they are of other rows."""
    episodes = list(_read_shard(path, digests))
    if [(each.row_index, dict(each.row)) for each in episodes] != [(index, dict(row)) for index, row in chunk]:
        raise _changed(path)
    return episodes


def _read_shard(path: Path, digests: Digests) -> Iterator[Episode]:
    for number, record in read_numbered_lines(path):
        try:
            yield read_evaluated(record, f"{path}:{number}")
        except DataError as error:
            raise DataError(f"{error} Delete the file, and {EVALUATE_AGAIN}") from None
    digests.check(path, f"delete it, and {EVALUATE_AGAIN}")


def _temperatures(mode: str, settings: EvalSettings) -> dict[str, float]:
    return {
        "temperature": 0.0 if mode == GREEDY else settings.temperature,
        **{f"{control.figure}_temperature": settings.temperature for control in ALWAYS_SAMPLED},
    }


def _notes(settings: EvalSettings, deciders: Sequence[Decider]) -> tuple[str, ...]:
    sampled = [
        f"In the mode {GREEDY}, {control.figure} takes its second sample at temperature {settings.temperature:g}, "
        "since a second greedy one would be the first again."
        for control in ALWAYS_SAMPLED
        if GREEDY in settings.modes and control.key in settings.controls
    ]
    decided = notes_on(deciders, settings.temperature, settings.rounds, GREEDY if GREEDY in settings.modes else "")
    return (*sampled, *decided, *([settings.known_noise.note] if settings.known_noise else []))


def _changed(path: Path) -> DataError:
    return DataError(f"{path} was evaluated on other rows: the data set has changed since, so use another folder.")
