"""What past runs say of the next: the lengths and verdicts in their evaluations, and the speeds in their profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rrr_core.episode import Episode, total_length
from rrr_core.errors import DataError
from rrr_core.evaluation.folder import read_episodes
from rrr_core.evaluation.settings import GREEDY
from rrr_core.mining.failure_set import read_shard
from rrr_core.mining.mined_row import MinedRow
from rrr_core.planning.lengths import Lengths, Texts
from rrr_core.planning.phases import Phase, Phases
from rrr_core.planning.rates import CONCENTRATIONS, Behaviour, fitted
from rrr_core.planning.rendered import Rendered
from rrr_core.planning.speeds import Speeds
from rrr_core.profiling.profile import read_profile
from rrr_core.profiling.spent import Spent
from rrr_core.runs.files import read_json, read_numbered_lines
from rrr_core.runs.layout import TRAINED, VANILLA, RunFolder
from rrr_core.runs.metrics import read_metrics

PREFILL_SHARE = 0.1
"""Of the seconds of a written token, what one that is read takes: many are read together. Assumed."""
KEPT = 4096
"""Most texts whose lengths are kept."""


def read_past(run: RunFolder, prompts: Rendered) -> Phases:
    """What a run, or one task's part of it, wrote, and how often it passed; the prompts are this plan's own.

    Raises DataError, in one line, if it holds neither an evaluation nor a failure set, or a damaged one.
    """
    mined = [row for shard in run.mine.shards() for row in read_shard(shard)]
    found = {label: _evaluated(run, label) for label in (VANILLA, TRAINED)}
    if not any(found[VANILLA].values()) and not mined:
        raise DataError(
            f"{run.path} holds no run to learn from: it has neither {run.mine.path} nor {run.evaluation(VANILLA).path}."
        )
    before = _phase(*_by_mode(found[VANILLA]), mined, prompts)
    after = _phase(*_by_mode(found[TRAINED]), (), prompts) if any(found[TRAINED].values()) else before
    return Phases(before, _in_training(run, before), after)


def _evaluated(run: RunFolder, label: str) -> dict[str, list[Episode]]:
    folder = run.evaluation(label)
    modes = folder.modes() if folder.path.is_dir() else {}
    return {mode: list(read_episodes(folder.path, mode)) for mode in modes}


def _by_mode(episodes: Mapping[str, list[Episode]]) -> tuple[list[Episode], list[Episode]]:
    """The sampled episodes, and the greedy ones."""
    greedy = episodes.get(GREEDY, [])
    return next((found for mode, found in episodes.items() if mode != GREEDY), greedy), greedy


def _phase(
    sampled: Sequence[Episode], greedy: Sequence[Episode], mined: Sequence[MinedRow], prompts: Rendered
) -> Phase:
    return Phase(_texts(sampled, mined, prompts), _behaviour(sampled, greedy, mined))


def _texts(sampled: Sequence[Episode], mined: Sequence[MinedRow], prompts: Rendered) -> Texts:
    attempts: list[Episode] = [*sampled] or [failure.episode for row in mined for failure in row.failures]
    rounds = [one for each in sampled for one in each.rounds]
    lengths = [total_length(each.attempts) or 0 for each in attempts][:KEPT]
    if not any(lengths):
        raise DataError("the past run's engine counted no tokens: use a probe, or another run.")
    retries = [total_length(one.actions) or 0 for one in rounds if one.actions]
    count = max(len(attempts), 1)
    return Texts(
        prompt=prompts.prompt,
        attempt=Lengths.of(lengths),
        reflect=prompts.reflect,
        reflection=Lengths.of([one.reflection.length or 0 for one in rounds][:KEPT] or lengths),
        again=prompts.again,
        retry=Lengths.of(retries[:KEPT] or lengths),
        shared=prompts.shared,
        actions=sum(len(each.attempts) for each in attempts) / count,
        observed=sum(prompts.observed(each) for each in attempts[:256]) / min(count, 256),
        extends=prompts.extends,
        shown=prompts.shown(action for each in attempts[:256] for action in each.attempts),
        reflection_shown=prompts.shown(one.reflection for one in rounds[:256]),
    )


def _behaviour(sampled: Sequence[Episode], greedy: Sequence[Episode], mined: Sequence[MinedRow]) -> Behaviour:
    counts = [(row.passes, row.tries - row.passes - row.abstentions) for row in mined]
    first = fitted(counts or [(int(each.verdict.is_passed), int(each.verdict.is_failed)) for each in sampled])
    rounds = [one for each in sampled for one in each.rounds]
    verdicts = [int(one.verdict is not None and one.verdict.is_passed) for one in rounds]
    # One retry of each row does not show how much rows differ.
    second = replace(fitted([(one, 1 - one) for one in verdicts]), concentration=2.0) if verdicts else first
    return Behaviour(
        sampled=first,
        greedy=sum(each.verdict.is_passed for each in greedy) / len(greedy) if greedy else first.mean,
        retries=second,
    )


def _in_training(run: RunFolder, before: Phase) -> Phase:
    """The texts and rates of the steps of a training, which differ from those before it."""
    metrics = run.train.metrics
    if not metrics.exists() or not run.train.manifest.exists():
        return before
    lines = [read_metrics(record, f"{metrics}:{number}") for number, record in read_numbered_lines(metrics)]

    def mean(name: str) -> float | None:
        values = [value for line in lines if (value := line.get(name)) is not None]
        return sum(values) / len(values) if values else None

    identity: Any = read_json(run.train.manifest)
    try:
        size = int(identity["identity"]["settings"]["group_size"])
    except (KeyError, TypeError, ValueError):
        raise DataError(f"{run.train.manifest}:1: no manifest of a training (it names no group size).") from None
    texts, behaviour = before.texts, before.behaviour
    of_task = mean(f"retry_success_rate/{run.path.name}")
    if length := mean("reflection_tokens"):
        # Of several tasks' reflections only the mean is known: each is taken to grow as that did.
        own = next(filter(None, (line.get("reflection_tokens") for line in lines)), length)
        factor = length / (texts.reflection.mean if of_task is None else own)
        texts = replace(texts, reflection=texts.reflection.scaled(factor, float(1 << 30)))
    passed = mean("retry_success_rate") if of_task is None else of_task
    if passed is not None:
        rates = replace(behaviour.retries, mean=min(max(passed, 0.005), 0.995))
        alike = mean("groups_without_spread")
        if alike is not None:  # the spread of rates under which as many groups are without variance
            concentration = min(
                CONCENTRATIONS, key=lambda each: abs(replace(rates, concentration=each).all_alike(size) - alike)
            )
            rates = replace(rates, concentration=concentration)
        behaviour = replace(behaviour, retries=rates)
    cut, empty = mean("reflections_cut_off") or 0.0, mean("reflections_empty") or 0.0
    return Phase(texts, replace(behaviour, without_retry=min(cut + empty, 1.0)))


def read_profiles(folder: Path) -> dict[str, Spent]:
    """Stage, such as `train` or `eval/vanilla` → its profile. Raises DataError for a damaged one."""
    run = RunFolder(folder)
    parts = run.parts() or [run]
    stages = [
        *(each.mine for part in parts for each in [part]),
        run.train,
        *(e for p in parts for e in p.evaluations()),
    ]
    found = {each.path.relative_to(folder).as_posix(): read_profile(each.path) for each in stages}
    return {name: spent for name, spent in found.items() if spent is not None}


def speeds_of(profiles: dict[str, Spent], parameters: int, source: str) -> Speeds | None:
    """The speeds of a past run, for a model of so many parameters; None if its profiles say too little.

    Of another model's run the speeds per token go with the number of parameters.
    """
    known = [each for each in profiles.values() if each.tokens.get("written") and each.machine is not None]
    trained = [each for each in known if each.tokens.get("trained")]
    if not known:
        return None
    machine = known[0].machine
    assert machine is not None
    larger = parameters / machine.parameters
    counted = sum(
        each.tokens["written"] + PREFILL_SHARE * (each.tokens.get("prompt", 0) - each.tokens.get("cached", 0))
        for each in known
    )
    written = sum(each.seconds.get("generate", 0.0) for each in known) / counted
    verdicts = sum(each.verdicts for each in known)
    judged = sum(each.seconds.get("judge", 0.0) for each in known)
    passes = sum(each.tokens["trained"] + each.tokens.get("scored", 0) / 3 for each in trained)
    passing = sum(each.seconds.get("forward_backward", 0.0) for each in trained)
    per_token = passing / passes if passes else 3 * written
    return Speeds(
        prefilled=PREFILL_SHARE * written * larger,
        step=0.0,
        written=written * larger,
        trained=per_token * larger,
        scored=per_token * larger / 3,
        verdict=judged / verdicts if verdicts else 0.0,
        start=sum(each.other_seconds for each in known) / len(known),
        source=source,
    )


def device_of(profiles: dict[str, Spent]) -> str | None:
    """The device that all stages ran on; None if it is not known or not one."""
    devices = {each.machine.device for each in profiles.values() if each.machine is not None}
    return devices.pop() if len(devices) == 1 else None
