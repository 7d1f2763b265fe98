"""A small run, planned and then run, in a process of its own: `python -m tests.planning.held_run PART FOLDER`.

Prints what was predicted and what it really took, as JSON. Seconds are of the processor, so that other work on the
machine changes nothing.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

from rrr_core import pipeline
from rrr_core.evaluation import EvalSettings
from rrr_core.generation import ModelSettings
from rrr_core.mining import MineSettings
from rrr_core.pipeline import RunSettings
from rrr_core.planning import probing
from rrr_core.planning.machine import LIBRARIES
from rrr_core.planning.plan import make_plan
from rrr_core.planning.settings import PlanOptions
from rrr_core.profiling.profile import read_profile
from rrr_core.tasks.settings import TaskSettings
from rrr_core.training.settings import TrainSettings

TASK = TaskSettings("countdown")


def tokens_and_seconds(folder: Path) -> dict[str, Any]:
    """A run of the embedded model, planned with a probe; planned twice, as a measurement that may be repeated."""
    settings = RunSettings(
        TASK,
        ModelSettings(),
        MineSettings(rows=192, tries=4, temperature=1.0, max_tokens=64),
        TrainSettings(
            steps=3,
            batch_size=64,
            micro_batch_size=32,
            max_reflection_tokens=64,
            max_retry_tokens=24,
            save_every=3,
            learning_rate=1e-6,
        ),
        EvalSettings(rows=120, max_tokens=64),
    )
    probing.probe.__defaults__ = (time.process_time,)
    plans = [make_plan(settings, PlanOptions()) for _ in range(2)]
    began = time.process_time()
    pipeline.run(settings, folder)
    took = time.process_time() - began
    stages = {}
    for stage, name in zip(plans[0].stages, ("mine", "train", "eval/vanilla", "eval/trained"), strict=True):
        spent = read_profile(folder / name)
        assert spent is not None
        stages[name] = {kind: (getattr(stage.work, kind), count) for kind, count in spent.tokens.items()}
    disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {
        "tokens": stages,
        "seconds": [[plan.seconds for plan in plans], took],
        "disk": [sum(plans[0].disk.values()), disk],
    }


def memory(folder: Path) -> dict[str, Any]:
    """Mining and training of a model of four million random weights, of which no text ends before its limit."""
    from rrr_core.generation import make_engine
    from rrr_core.mining import mine
    from rrr_core.mining.failure_set import read_failures
    from rrr_core.training.run import train

    (each,) = pipeline.open_tasks(TASK)
    own, large = (
        ModelSettings(model=each.task.default_model()),
        ModelSettings(model=str(random_model(folder / "model"))),
    )
    small = TrainSettings(
        steps=1,
        batch_size=4,
        group_size=2,
        micro_batch_size=4,
        max_reflection_tokens=8,
        max_retry_tokens=8,
        save_every=1,
    )
    # What is imported late, such as the optimiser's modules, belongs to the baseline.
    mine(each.task, make_engine(own), folder / "first", MineSettings(rows=8, tries=2, max_tokens=16), {})
    train(each.task, read_failures(folder / "first"), own, folder / "first-train", small)
    mined = MineSettings(rows=64, tries=1, max_tokens=64)
    trained = TrainSettings(
        steps=2,
        batch_size=32,
        micro_batch_size=16,
        max_reflection_tokens=64,
        max_retry_tokens=64,
        save_every=2,
        zero_variance="keep",  # no retry of random weights passes
    )
    gc.collect()
    base, found = resident("VmRSS"), {}
    forget_peak()
    mine(each.task, make_engine(large), folder / "run" / "mine", mined, {})
    found["mine"] = resident("VmHWM") - base
    gc.collect()
    forget_peak()
    train(each.task, read_failures(folder / "run" / "mine"), large, folder / "run" / "train", trained)
    found["train"] = resident("VmHWM") - base
    settings = RunSettings(TASK, large, mined, trained, EvalSettings(rows=8, max_tokens=64))
    plan = make_plan(settings, PlanOptions(past=folder / "run"))
    predicted = {stage.name: stage.memory.peak - LIBRARIES for stage in plan.stages}
    return {name: [predicted[name], measured] for name, measured in found.items()}


def random_model(folder: Path) -> Path:
    """A Llama of four layers of 256 with the embedded model's tokenizer."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    (each,) = pipeline.open_tasks(TASK)
    source = str(each.task.default_model())
    config, tokenizer = LlamaConfig.from_pretrained(source), AutoTokenizer.from_pretrained(source)
    config.hidden_size, config.intermediate_size, config.head_dim = 256, 1024, 64
    network = LlamaForCausalLM(config)
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def resident(key: str) -> int:
    """Bytes of this process in memory, now (`VmRSS`) or at their peak (`VmHWM`)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def forget_peak() -> None:
    """Have the peak count from now on."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


if __name__ == "__main__":
    work = {"tokens": tokens_and_seconds, "memory": memory}[sys.argv[1]]
    print(json.dumps(work(Path(sys.argv[2]))))
