"""A small run, planned and then run, in a process of its own: `python -m tests.planning.held_run PART FOLDER [FORMS]`.

Prints what was predicted and what it really took, as JSON. Seconds are of the processor, so that other work on the
machine changes nothing.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rrr_core import pipeline
from rrr_core.cli.heap import keep_freed_memory
from rrr_core.evaluation import EvalSettings
from rrr_core.evaluation.settings import GREEDY
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


@dataclass(frozen=True)
class Form:
    """A Llama of random weights, and how much is asked of it."""

    layers: int
    hidden: int
    intermediate: int
    vocabulary: int | None
    """Entries of an embedding and of a head of its own; None for the embedded model's, which share their weights."""
    rows: int
    tokens: int
    """Of each text: those of random weights never end before."""
    group: int = 8
    passes: int = 2
    """Of a training step."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """More of training's settings."""


FORMS = {
    "4M": Form(4, 256, 1024, None, rows=64, tokens=64),
    "20M": Form(4, 256, 1024, 32_000, rows=16, tokens=32, passes=1),
    "12M": Form(8, 320, 1152, None, rows=16, tokens=32, group=4, passes=1),
    "6M wide": Form(2, 512, 1536, None, rows=32, tokens=64, group=4, options={"kl": 0.0}),
    "11M with adapters": Form(3, 192, 768, 24_000, rows=32, tokens=24, group=4, options={"lora_rank": 8}),
}
"""The first two are what the memory's formulas were found with, the others are held against them."""


SMALL = TrainSettings(
    steps=1,
    batch_size=4,
    group_size=2,
    micro_batch_size=4,
    max_reflection_tokens=4,
    max_retry_tokens=4,
    save_every=1,
    zero_variance="keep",
)


def tokens_and_seconds(folder: Path) -> dict[str, Any]:
    """A run of the embedded model, planned with a probe; thrice, since measurements of speed differ."""
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
    plans = [make_plan(settings, PlanOptions()) for _ in range(3)]
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


def memory(folder: Path, *names: str) -> dict[str, Any]:
    """For each form, what mining, training and evaluation were planned to take, and took beyond the libraries."""
    keep_freed_memory()  # as the commands do
    (each,) = pipeline.open_tasks(TASK)
    own = ModelSettings(model=each.task.default_model())
    few = EvalSettings(rows=2, max_tokens=2, modes=(GREEDY,))
    # What is imported late, such as the optimiser's modules, belongs to the libraries.
    for stage in stages(
        folder / "first", own, MineSettings(rows=4, tries=2, max_tokens=8), replace(SMALL, lora_rank=2), few
    ).values():
        stage()
    give_back()
    found: dict[str, Any] = {"libraries": [LIBRARIES, resident("VmRSS")]}
    files = resident("RssFile")
    for number, name in enumerate(names):
        found[name] = of_form(FORMS[name], folder / f"model-{number}", folder / f"run-{number}", files)
        print(name, found[name], file=sys.stderr)
    return found


def of_form(form: Form, model: Path, run: Path, files: int) -> dict[str, Any]:
    """Stage → the bytes that were planned, and those that it took."""
    large = ModelSettings(model=str(random_model(model, form)))
    mined = MineSettings(rows=form.rows, tries=1, max_tokens=form.tokens)
    trained = replace(
        SMALL,
        steps=2,  # the optimiser's state is there from the second on
        save_every=2,
        batch_size=form.rows // 2,
        group_size=form.group,
        micro_batch_size=form.rows // 2 // form.passes,
        max_reflection_tokens=form.tokens,
        max_retry_tokens=form.tokens,
        **form.options,
    )
    evaluated = EvalSettings(rows=form.rows, max_tokens=form.tokens, modes=(GREEDY,))
    took = {name: taken(stage, files) for name, stage in stages(run, large, mined, trained, evaluated).items()}
    plan = make_plan(RunSettings(TASK, large, mined, trained, evaluated), PlanOptions(past=run))
    predicted = {stage.name: stage.memory for stage in plan.stages}
    return {stage: [predicted[stage].peak - LIBRARIES, size] for stage, size in took.items()}


def stages(
    run: Path, model: ModelSettings, mined: MineSettings, trained: TrainSettings, evaluated: EvalSettings
) -> dict[str, Callable[[], Any]]:
    """The stages of a run, up to the evaluation of the untrained model."""
    from rrr_core.evaluation import evaluate
    from rrr_core.generation import make_engine
    from rrr_core.mining import mine
    from rrr_core.mining.failure_set import read_failures
    from rrr_core.training.run import train

    (each,) = pipeline.open_tasks(TASK)
    task, vanilla = each.task, run / "eval" / "vanilla"
    return {
        "mine": lambda: mine(task, make_engine(model), run / "mine", mined, {}),
        "train": lambda: train(task, read_failures(run / "mine"), model, run / "train", trained),
        "eval vanilla": lambda: evaluate(task, make_engine(model), vanilla, "vanilla", evaluated, {}),
    }


def taken(work: Callable[[], Any], files: int) -> int:
    """The most bytes that this process has in memory during some work, beyond those it begins with.

    `files` are those of the libraries' files: the kernel takes pages that lie idle, and reads them again.
    """
    give_back()
    forget_peak()
    base = resident("RssAnon") + resident("RssShmem") + max(resident("RssFile"), files)
    work()
    return resident("VmHWM") - base


def random_model(folder: Path, form: Form) -> Path:
    """A Llama of this form with the embedded model's tokenizer, that writes eight letters and nothing else.

    Other texts of random weights are read again with more tokens, or fewer, than were written.
    """
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    (each,) = pipeline.open_tasks(TASK)
    source = str(each.task.default_model())
    config, tokenizer = LlamaConfig.from_pretrained(source), AutoTokenizer.from_pretrained(source)
    config.hidden_size, config.intermediate_size, config.head_dim = form.hidden, form.intermediate, 64
    config.num_hidden_layers = form.layers
    if form.vocabulary is not None:
        config.vocab_size, config.tie_word_embeddings = form.vocabulary, False
    torch.manual_seed(0)
    network = LlamaForCausalLM(config)
    letters = tokenizer.convert_tokens_to_ids(list("QWXZVKUY"))  # none of which two make a token
    with torch.no_grad():
        head = network.get_output_embeddings().weight
        head[letters] *= 50
        head[letters[:4]] = -head[letters[4:]]  # so that one of them is always above zero, and so the likeliest
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def resident(key: str) -> int:
    """Bytes of this process in memory, now (`VmRSS`) or at their peak (`VmHWM`)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def give_back() -> None:
    """Return what is free to the system: a stage would reuse it, and seem to take less."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


def forget_peak() -> None:
    """Have the peak count from now on."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


if __name__ == "__main__":
    part, into, *forms = sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]
    print(json.dumps(memory(into, *forms) if part == "memory" else tokens_and_seconds(into)))
