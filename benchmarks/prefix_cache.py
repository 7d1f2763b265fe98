"""How much of a training step's prompts, and of its time, vLLM's prefix cache saves.

    python benchmarks/prefix_cache.py [--failures 8] [--group 8] [--repeats 3] …

Needs vLLM; on a machine without a GPU, the environment that `tox -e vllm` builds. The model is a small Llama
with random weights, so its texts are noise; the measurements do not depend on their content. Three conversations,
laid out as in training: attempt, request to reflect, a reflection sampled from these, the retry's prompt.

- `made up`: a prompt of about 800 tokens with its failed attempt, a reflection of 80, a retry prompt of a sentence.
- `countdown` and `apigen`: rows, prompts and retry prompts of the plugins, with the reference answer as the
  attempt. The tokenizer is that of Countdown's embedded model, which splits text finer than a large model's.

A hit is a prompt token whose keys and values were in the cache. Each failure's prompt occurs G times, and each
retry's prompt extends one of them and its reflection. The same run also takes the same step without a cache: seconds
of both, and the share of texts that are the same.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from recording import Figure, folder_option, median_of, record
from transformers import AutoTokenizer

from rrr_core.chat.format import ChatFormat
from rrr_core.conversation import reflection_conversation
from rrr_core.episode import Episode, Segment
from rrr_core.generation import ModelSettings, Sampling
from rrr_core.generation.engine import Hits
from rrr_core.generation.model_files import ModelFiles, read_files
from rrr_core.generation.vllm_backend import VllmEngine
from rrr_core.generation.vllm_start import engine_arguments, machine_bytes, start_engine
from rrr_core.hookspecs import Message
from rrr_core.tasks import load_task
from rrr_core.training.tiny import make_model
from rrr_core.training.warmup_settings import WarmupSettings

REFLECTION_TOKENS, RETRY_TOKENS = 80, 40
CONTEXT = 4096
GOAL = 0.9
ASKED = "You tried solving the problem and got the wrong answer. Reflect on what went wrong, in a few sentences."
AGAIN = "Now answer the question above again, in the form that was asked for, and nothing else."


@dataclass(frozen=True)
class Prompted:
    """A failure's conversation, up to where the reflection starts, and the prompt of its retry."""

    conversation: Sequence[Message]
    again: str


@dataclass(frozen=True)
class Step:
    """One step's reflections and retries, and what they cost."""

    seconds: float
    reflections: Hits
    retries: Hits
    texts: list[list[int]]


def made_up(tokenizer: Any, count: int) -> list[Prompted]:
    """Failures with prompts of about 800 tokens, attempts included, with different beginnings."""

    def words(start: int, tokens: int) -> str:
        text = f"Question {start}."
        while len(tokenizer(text)["input_ids"]) < tokens:
            text += f" The number {(7 * start + len(text)) % 300} goes with {len(text) % 100}."
        return text

    return [
        Prompted(
            [
                {"role": "user", "content": words(number, 660)},
                {"role": "assistant", "content": words(number + 1000, 80)},
                {"role": "user", "content": ASKED},
            ],
            AGAIN,
        )
        for number in range(count)
    ]


def of_task(name: str, files: ModelFiles, count: int) -> list[Prompted]:
    """The first rows of a task's training split, with its reference answer as the failed attempt."""
    task = load_task(name)
    failures = []
    for index, row in enumerate(islice(task.load_dataset("train"), count)):
        attempt = Segment("attempt", text=task.gold_answer(row) or "I do not know.")
        episode = Episode(index, row, (Segment("prompt", task.prompt(row, files.model)), attempt))
        failures.append(
            Prompted(reflection_conversation(task, episode, files.model), task.retry_prompt(row, files.model))
        )
    return failures


def play(engine: VllmEngine, failures: Sequence[Prompted], group: int, seed: int) -> Step:
    """G reflections per failure, each with a retry, laid out as by `Rollout.play`."""
    prompts = [ChatFormat(engine.tokenizer).encode_prompt(one.conversation) for one in failures for _ in range(group)]
    owners = [one for one in failures for _ in range(group)]
    engine.engine.reset_prefix_cache()  # as new weights do at the start of a step
    started, before = time.perf_counter(), engine.prefix_cache_hits
    reflections = engine.generate_ids(prompts, Sampling(max_tokens=REFLECTION_TOKENS, seed=seed))
    between = engine.prefix_cache_hits
    after = [
        ChatFormat(engine.tokenizer).continuation_ids(
            one.conversation, one.again, reflection, engine.is_ended(reflection)
        )
        for one, reflection in zip(owners, reflections, strict=True)
    ]
    contexts = [
        [*prompt, *reflection, *more] for prompt, reflection, more in zip(prompts, reflections, after, strict=True)
    ]
    retries = engine.generate_ids(contexts, Sampling(max_tokens=RETRY_TOKENS, seed=seed + 1))
    seconds = time.perf_counter() - started
    return Step(seconds, _less(between, before), _less(engine.prefix_cache_hits, between), [*reflections, *retries])


def _less(after: Hits, before: Hits) -> Hits:
    return Hits(after.prompt_tokens - before.prompt_tokens, after.cached_tokens - before.cached_tokens)


def save_model(folder: Path, shape: WarmupSettings) -> ModelSettings:
    """A Llama with random weights and Countdown's tokenizer."""
    model = load_task("countdown").default_model()
    assert model is not None
    tokenizer = AutoTokenizer.from_pretrained(model)
    make_model(tokenizer, shape).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return ModelSettings(model=str(folder), backend="vllm", family="qwen")  # prompts for large models


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--failures", type=int, default=8, help="failures in a step (8)")
    parser.add_argument("--group", type=int, default=8, help="reflections on a failure (8)")
    parser.add_argument("--repeats", type=int, default=3, help="steps timed on each side (3)")
    parser.add_argument("--hidden", type=int, default=256, help="width of the model (256)")
    parser.add_argument("--layers", type=int, default=4, help="layers of the model (4)")
    folder_option(parser)
    options = parser.parse_args()
    shape = WarmupSettings(
        hidden_size=options.hidden, layers=options.layers, heads=options.hidden // 64, context=CONTEXT, seed=0
    )
    with tempfile.TemporaryDirectory() as folder:
        settings = save_model(Path(folder), shape)
        files = read_files(settings)
        arguments = engine_arguments(
            dtype="auto",
            revision=None,
            gpu_share=0.4,
            beside_training=False,
            cuda=torch.cuda.is_available(),
            machine_bytes=machine_bytes(),
            processes=1,
        )
        cached = VllmEngine(start_engine(files.name, arguments), files)
        plain = VllmEngine(start_engine(files.name, {**arguments, "enable_prefix_caching": False}), files)
        prompted = made_up(files.tokenizer, options.failures)
        tasks = {name: of_task(name, files, options.failures) for name in ("countdown", "apigen")}
        for engine in (cached, plain):  # one-time work is done before the clock starts
            play(engine, prompted[:1], 2, seed=100)
        with_cache, without = [], []
        for repeat in range(options.repeats):
            with_cache.append(play(cached, prompted, options.group, seed=10 * repeat))
            without.append(play(plain, prompted, options.group, seed=10 * repeat))
        of_tasks = {name: play(cached, failures, options.group, seed=0) for name, failures in tasks.items()}
    ours = [text for step in with_cache for text in step.texts]
    theirs = [text for step in without for text in step.texts]
    same = sum(map(lambda one, other: one == other, ours, theirs)) / len(ours)
    first = with_cache[0]
    figures = [
        Figure("retries' prompt tokens from the cache, made up", first.retries.rate, "", goal=GOAL),
        Figure("reflections' prompt tokens from the cache, made up", first.reflections.rate, ""),
        *(
            Figure(f"{kind} prompt tokens from the cache, {name}", hits.rate, "")
            for name, step in of_tasks.items()
            for kind, hits in (("retries'", step.retries), ("reflections'", step.reflections))
        ),
        median_of("a step's texts with the cache", [step.seconds for step in with_cache], "s"),
        median_of("a step's texts without the cache", [step.seconds for step in without], "s"),
        median_of(
            "times faster with the cache",
            [slow.seconds / quick.seconds for quick, slow in zip(with_cache, without, strict=True)],
            "×",
        ),
        Figure("texts that are the same without the cache", same, ""),
    ]
    about = {
        "failures": options.failures,
        "group": options.group,
        "model": {"hidden": shape.hidden_size, "layers": shape.layers, "heads": shape.heads, "context": shape.context},
        "block_tokens": arguments.get("block_size"),
        "tokens_written_in_a_step": sum(map(len, first.texts)),
        "prompt_tokens": {
            "made up": _lengths(first, options),
            **{name: _lengths(step, options) for name, step in of_tasks.items()},
        },
    }
    return 0 if record("prefix_cache", figures, options.folder, about=about) else 1


def _lengths(step: Step, options: argparse.Namespace) -> dict[str, float]:
    """Mean tokens of a reflection's and of a retry's prompt."""
    turns = options.failures * options.group
    return {
        "reflection": round(step.reflections.prompt_tokens / turns, 1),
        "retry": round(step.retries.prompt_tokens / turns, 1),
    }


if __name__ == "__main__":
    raise SystemExit(main())
