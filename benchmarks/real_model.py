"""The paper's table on a real language model: probe, warm up if needed, mine, train, and evaluate with every control.

    python benchmarks/real_model.py FOLDER                 # SmolLM2-135M on two cores: hours
    python benchmarks/real_model.py FOLDER --profile paper --model Qwen/Qwen2.5-1.5B-Instruct    # on a GPU

Every step is a command of rrr, which is printed before it runs. Run it again to resume, after `kill -9` as well. The
settings are written to FOLDER/settings.toml on the first call, and `--set train.steps=20` changes one (`--set
task.data=max_animals=3` and `--set train.grpo=bf16=true` one of a table): what `rrr plan` says stands in
FOLDER/plan.txt, and with `--until plan` nothing else is done. FOLDER/table.md is the table, for
docs/results.md: vanilla, trained and placebo, greedy and sampled, each with its controls and intervals; the lengths of
reflections, five pairs of them before and after, and what the training made the model forget.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probe_calibration import SMALL_RUN, SMOLLM2, as_trained
from real_model_table import PLACEBO, lines_of

from rrr_core.cli.progress import make_progress
from rrr_core.config.files import read_config
from rrr_core.config.sections import section_class
from rrr_core.config.settings import BadValue, build, settings_of
from rrr_core.generation import ModelSettings
from rrr_core.pipeline import choose_model
from rrr_core.runs.files import make_folder, read_json, write_json, write_text
from rrr_core.runs.layout import TRAINED, VANILLA, RunFolder, TrainFolder
from rrr_core.text import one_line

COMPARED = (VANILLA, TRAINED, PLACEBO)
STAGES = ("plan", "probe", "warmup", "mine", "train", "placebo", "eval", "forgetting", "report", "table")

Settings = Mapping[str, Mapping[str, Any]]
"""Section → its settings that differ from the defaults."""

PROFILES: Mapping[str, Settings] = {
    "small": {
        "mine": {**SMALL_RUN["mine"], "rows": 512},
        "train": SMALL_RUN["train"],
        "eval": {"rows": 512, "max_tokens": 96, "shard_rows": 64},
        "warmup": {
            "conversations": 4000,
            "batch_size": 16,
            "micro_batch_size": 4,
            "learning_rate": 3e-4,
            "save_every": 25,
        },
        "forgetting": {"items": 100, "max_tokens": 256},
    },
    "paper": {
        # What is not here is the default, which is the paper's: 64 tries, 1,750 steps of 256, rate 5e-7, KL 0.001.
        "mine": {"rows": 15000, "failures_per_row": 1},
        "eval": {"rows": 15000},
        "warmup": {"conversations": 16000, "batch_size": 64, "learning_rate": 1e-5},
        "forgetting": {"items": 0, "batch_size": 32},
    },
}
"""For 135 million weights on two cores, and for the paper's models (1.5 to 8 billion) on GPUs."""


@dataclass(frozen=True)
class Job:
    """One model on one task, in one folder."""

    folder: Path
    options: argparse.Namespace

    @property
    def settings_file(self) -> Path:
        return self.folder / "settings.toml"

    @property
    def warmed(self) -> TrainFolder:
        return TrainFolder(self.folder / "warmup")

    def run(self, seed: int) -> RunFolder:
        return RunFolder(self.folder / f"seed-{seed}")

    def placebo(self, seed: int) -> RunFolder:
        return RunFolder(self.folder / f"seed-{seed}-{PLACEBO}")

    def model(self, *, trained: bool = False) -> list[str]:
        """The options of the untrained model: the warmed-up one, if there was a warm-up."""
        name = str(self.warmed.model) if self.is_warmed_up else self.untrained()
        family = self.options.warmed_family if self.is_warmed_up else self.options.family
        return ["--model", name, *self.loading(family, trained=trained)]

    def untrained(self) -> str:
        """The model that was named; a GGUF file as a folder, converted once for all commands."""
        named = ModelSettings(model=self.options.model)
        return choose_model(named, run=self.run(self.options.seeds[0]).path, progress=make_progress()).named

    def loading(self, family: str | None, *, trained: bool = False) -> list[str]:
        """The options that say how a model is loaded. Weights that are trained stay in float32 (docs/training.md)."""
        dtype = None if trained else self.options.dtype
        chosen = {"--family": family, "--dtype": dtype, "--device": self.options.device}
        return [part for name, value in chosen.items() if value is not None for part in (name, value)]

    @property
    def is_warmed_up(self) -> bool:
        return self.warmed.model.is_dir()

    def rrr(self, *arguments: str, config: bool = True, may_fail: bool = False) -> str:
        """What a command of rrr prints; its progress goes to the terminal. If it fails, this ends as it did."""
        given = [*arguments, *(["--config", str(self.settings_file)] if config else [])]
        print(f"$ {shlex.join(['rrr', *given])}", flush=True)
        status, printed = call(given)
        if status and not (may_fail and status == 1):
            print(printed)
            raise SystemExit(status)
        return printed


def call(arguments: Sequence[str]) -> tuple[int, str]:
    """A command's status and what it printed. Each has its own process, so none leaves a model in the GPU's memory."""
    done = subprocess.run(
        [sys.executable, "-m", "rrr_core", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        check=False,
        preexec_fn=die_with_the_parent,  # else a killed benchmark would leave one behind, which holds its folder
    )
    return done.returncode, done.stdout


def die_with_the_parent() -> None:
    """Have the kernel kill this process when its parent dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, int(signal.SIGKILL), 0, 0, 0)  # PR_SET_PDEATHSIG


def write_settings(job: Job) -> None:
    """Write the settings file, unless an earlier call has. Raises SystemExit for a setting that does not exist."""
    if job.settings_file.exists():
        if job.options.set:
            raise SystemExit(f"{job.settings_file} is there already: edit it in place of --set, or use another folder.")
        return
    chosen: dict[str, dict[str, Any]] = {name: dict(each) for name, each in PROFILES[job.options.profile].items()}
    for text in job.options.set:
        name, _, value = text.partition("=")
        section, _, key = name.partition(".")
        known = {each.key: each for each in settings_of(section_class(section))}
        if key not in known:
            raise SystemExit(f"--set {text}: there is no setting {key!r} in [{section}].")
        try:
            parsed = known[key].from_text(value)
        except BadValue as error:
            raise SystemExit(f"--set {text}: {error}") from None
        values = chosen.setdefault(section, {})
        match known[key].kind:
            case "list":
                values[key] = [*values.get(key, ()), parsed]
            case "mapping":
                values[key] = {**values.get(key, {}), parsed[0]: parsed[1]}
            case _:
                values[key] = parsed
    built = {section: build(section_class(section), chosen.get(section, {})) for section in (*chosen, "mine", "train")}
    chosen["probe"] = {**as_trained(built["mine"], built["train"]), **chosen.get("probe", {})}
    lines = []
    for section, values in chosen.items():
        lines += [f"[{section}]", *(f"{key} = {toml(value)}" for key, value in values.items()), ""]
    make_folder(job.folder)
    write_text(job.settings_file, "\n".join(lines))


def toml(value: Any) -> str:
    """A setting's value as TOML, which is JSON but for tables.

    >>> toml({"max_animals": "3"}), toml(["sampled"])
    ('{"max_animals" = "3"}', '["sampled"]')
    """
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{json.dumps(key)} = {json.dumps(each)}' for key, each in value.items())}}}"
    return json.dumps(value)


def plan(job: Job) -> None:
    """Say what it will take."""
    path = job.folder / "plan.txt"
    if not path.exists():
        write_text(path, job.rrr("plan", job.options.task, *job.model(trained=True)))
    print(path.read_text(encoding="utf-8"), flush=True)


def probe(job: Job) -> None:
    """Forecast what training will do: of the model as it is, and again once it is warmed up."""
    path = job.folder / ("probe-warmed-up.json" if job.is_warmed_up else "probe.json")
    if not path.exists():
        found = job.rrr("probe", job.options.task, *job.model(), "--json", may_fail=True)
        write_json(path, json.loads(found)["tasks"][job.options.task])
    print(f"forecast: {read_json(path)['forecast']['outlook']}", flush=True)


def warm_up(job: Job) -> None:
    """Warm the model up if the probe says so, or if that is asked for."""
    outlook = read_json(job.folder / "probe.json")["forecast"]["outlook"]
    if job.options.warmup == "never" or (job.options.warmup == "auto" and outlook != "warm up first"):
        return
    if not job.is_warmed_up:
        job.rrr("warmup", job.options.task, "--model", job.untrained(), "--folder", str(job.folder))
    probe(job)


def mine(job: Job, seed: int) -> None:
    if not job.run(seed).mine.summary.exists():
        job.rrr("mine", job.options.task, *job.model(), "--folder", str(job.run(seed).path), "--seed", str(seed))


def train(job: Job, seed: int) -> None:
    if not job.run(seed).train.summary.exists():
        arguments = [*job.model(trained=True), "--folder", str(job.run(seed).path), "--seed", str(seed)]
        job.rrr("train", job.options.task, *arguments)


def train_placebo(job: Job, seed: int) -> None:
    """The same training on the same failures, rewarded by shuffled verdicts."""
    if not job.placebo(seed).train.summary.exists():
        arguments = [*job.model(trained=True), "--folder", str(job.placebo(seed).path), "--seed", str(seed)]
        failures = str(job.run(seed).mine.path)
        job.rrr("train", job.options.task, *arguments, "--failures", failures, "--credit", PLACEBO)


def compared_in(job: Job, seed: int) -> Mapping[str, Any]:
    """The comparison of all three models; empty as long as there is none."""
    path = job.run(seed).comparison
    found: Mapping[str, Any] = read_json(path) if path.exists() else {}
    return found if len(found.get("labels", ())) == len(COMPARED) else {}


def evaluate(job: Job, seed: int) -> None:
    """Each model on the same rows, and all compared."""
    if not compared_in(job, seed):
        arguments = evaluating(job, seed)
        if not job.run(seed).evaluation(VANILLA).figures.exists():
            job.rrr("eval", *arguments[VANILLA])
        print(job.rrr("eval", *arguments[TRAINED]), flush=True)
        job.rrr("eval", *arguments[PLACEBO])


def evaluating(job: Job, seed: int) -> dict[str, list[str]]:
    """Label → what `rrr eval` is given; each is compared with those before it."""
    run, family = job.run(seed), job.options.warmed_family if job.is_warmed_up else job.options.family
    weights = {TRAINED: run.train.model, PLACEBO: job.placebo(seed).train.model}
    models = {VANILLA: job.model()} | {
        label: ["--model", str(path), *job.loading(family)] for label, path in weights.items()
    }
    base = [job.options.task, "--folder", str(run.path), "--seed", str(seed)]
    before = {label: COMPARED[: COMPARED.index(label)] for label in COMPARED}
    return {
        label: [*base, *models[label], "--label", label]
        + [part for other in before[label] for part in ("--compare", str(run.evaluation(other).path))]
        for label in COMPARED
    }


def measure_forgetting(job: Job, seed: int) -> None:
    """The general benchmarks, before and after."""
    if job.options.forgetting == "no" or "forgetting" in compared_in(job, seed):
        return
    local = [] if job.options.forgetting == "hub" else ["--forgetting-data", job.options.forgetting]
    arguments = evaluating(job, seed)
    print(job.rrr("eval", *arguments[TRAINED], "--forgetting", *local), flush=True)
    job.rrr("eval", *arguments[PLACEBO])


def report(job: Job, seed: int) -> None:
    if not job.run(seed).report.exists():
        job.rrr("report", str(job.run(seed).path), config=False)


def table(job: Job) -> None:
    """Write the table, and print it."""
    text = "\n".join([*about(job), *lines_of({seed: job.run(seed) for seed in job.options.seeds})])
    write_text(job.folder / "table.md", text + "\n")
    print(text)


def about(job: Job) -> Iterator[str]:
    """What was trained, and what the probe said."""
    chosen = read_config(job.settings_file)
    train, evaluated = (build(section_class(name), chosen.get(name, {})) for name in ("train", "eval"))
    warmed = ", warmed up" if job.is_warmed_up else ""
    yield (
        f"`{one_line(job.options.model)}`{warmed} on {job.options.task}: {train.steps} steps of {train.batch_size}"
        f" reflections in groups of {train.group_size}, rate {train.learning_rate:g}, KL {train.kl:g};"
        f" {evaluated.rows} unseen rows."
    )
    for path, when in ((job.folder / "probe.json", "as it is"), (job.folder / "probe-warmed-up.json", "warmed up")):
        if path.exists():
            yield f"`rrr probe`, {when}: {read_json(path)['forecast']['outlook']}."


def work(job: Job) -> None:
    """All stages up to the last that is asked for; what is done is not done again."""
    write_settings(job)
    wanted = STAGES[: STAGES.index(job.options.until) + 1]
    for name, once in (("plan", plan), ("probe", probe_as_it_is), ("warmup", warm_up)):
        if name in wanted:
            once(job)
    for seed in job.options.seeds:
        for name, stage in PER_SEED.items():
            if name in wanted:
                stage(job, seed)
    if "table" in wanted:
        table(job)


def probe_as_it_is(job: Job) -> None:
    if not (job.folder / "probe.json").exists():
        probe(job)


PER_SEED = {
    "mine": mine,
    "train": train,
    "placebo": train_placebo,
    "eval": evaluate,
    "forgetting": measure_forgetting,
    "report": report,
}


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--task", default="countdown")
    parser.add_argument("--model", default=SMOLLM2)
    parser.add_argument("--profile", default="small", choices=PROFILES)
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--warmup", default="auto", choices=("auto", "always", "never"))
    parser.add_argument("--family", help="whose wording the prompts have  [default: by the model]")
    parser.add_argument("--warmed-family", default="rrr-tiny", help="the same, of a model that was warmed up")
    parser.add_argument("--dtype", help="of what only writes, as for every command of rrr")
    parser.add_argument("--device", help="as for every command of rrr")
    parser.add_argument("--forgetting", default="hub", metavar="hub|FOLDER|no", help="where the benchmarks' rows are")
    parser.add_argument("--until", default=STAGES[-1], choices=STAGES, help="the last stage to do")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    chosen = options_of()
    work(Job(chosen.folder, chosen))
