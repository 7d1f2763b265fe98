"""Our decoding loop against transformers' `generate`, and what each of its parts saves.

    OMP_NUM_THREADS=1 python benchmarks/decode_loop.py [--works countdown evaluation …] [--sides …] [--batch 16] …

All sides are the same engine with parts switched off: `generate` is its path for models that the loop does not
support, which is all there would be without the loop. Measured in processor time; the sides alternate.

- `countdown`: the embedded model, first tries of 512 rows in calls of 32, 128 and 512, greedy and sampled.
- `evaluation`: the whole of `rrr eval countdown`.
- `groups`: a model of SmolLM2-135M's shape with random weights. `--batch` prompts of 300 to 600 tokens, eight of each,
  a text of `--tokens` on each; then `retries`, whose prompts are those, their texts and thirty more tokens.
- `alone`: the same model on prompts that are all different, sampled: the loop with nothing to share.

Of the greedy texts compared, at most one in a hundred may differ.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from generation import countdown
from made_up import SHAPES, SPECIAL, save_model
from recording import Figure, folder_option, median_of, record

from rrr_core.chat.format import ChatFormat
from rrr_core.cli import run_command
from rrr_core.cli.heap import keep_freed_memory
from rrr_core.generation import kv_cache, transformers_engine
from rrr_core.generation.engine import Sampling
from rrr_core.generation.transformers_backend import load_transformers
from rrr_core.generation.transformers_engine import TransformersEngine

OURS, GENERATE = "ours", "generate"
CONCATENATED, UNCACHED = "ours, cache concatenated", "ours, without prefix cache"
SIDES = (OURS, GENERATE, CONCATENATED, UNCACHED)
WORKS = ("countdown", "evaluation", "groups", "alone")
GROUP, PROMPT, ASKED_AGAIN, ROWS, BATCHES = 8, (300, 600), 30, 512, (32, 128, 512)
SEED, ALL_IN_ONE = 0, 1 << 20
Timed = Iterator[tuple[str, float, list[list[int]]]]
"""What was done, its processor time, and the texts if all sides have to write the same."""
in_place = kv_cache._appended


def joined(buffer: torch.Tensor | None, start: int, new: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Appends a decoded token to a cache's columns as transformers does; prefill still writes in place."""
    if new.shape[-2] > 1:
        return in_place(buffer, start, new)
    both = new if buffer is None else torch.cat([buffer[:, :, :start], new], dim=-2)
    return both, both


@contextmanager
def side(name: str) -> Iterator[None]:
    """The engine without the parts that this side lacks."""
    with ExitStack() as off:
        if name == GENERATE:
            off.enter_context(patch.object(transformers_engine, "can_decode", lambda _: False))
        if name in (GENERATE, UNCACHED):
            off.enter_context(patch.object(TransformersEngine, "prefix_caching", lambda _: nullcontext()))
        if name == CONCATENATED:
            off.enter_context(patch.object(kv_cache, "_appended", joined))
        yield


def written(engine: Any, calls: Sequence[Any], temperature: float, tokens: int) -> tuple[float, list[list[int]]]:
    """Processor time and texts of these calls, one after the other."""
    sampling, began = Sampling(temperature=temperature, max_tokens=tokens, seed=SEED), time.process_time()
    texts = [ids for prompts in calls for ids in engine.generate_ids(prompts, sampling)]
    return time.process_time() - began, texts


def first_tries(engine: TransformersEngine, prompts: Sequence[list[int]]) -> Timed:
    for batch in BATCHES:
        calls = [prompts[start : start + batch] for start in range(0, len(prompts), batch)]
        yield f"countdown, {batch} rows, greedy", *written(engine, calls, 0, 64)
        yield f"countdown, {batch} rows, sampled", written(engine, calls, 1, 64)[0], []


def evaluation(rows: int) -> Timed:
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        if run_command(["eval", "countdown", "--rows", str(rows), "--folder", folder]):
            raise SystemExit("the evaluation failed")
    yield "evaluation", time.process_time() - began, []


def groups(engine: TransformersEngine, batch: int, tokens: int, vocabulary: range) -> Timed:
    chance = random.Random(SEED)
    asked = [prompt for prompt in made_up(chance, batch // GROUP, vocabulary) for _ in range(GROUP)]
    with engine.prefix_caching():
        seconds, texts = written(engine, [asked], 0, tokens)
        yield f"groups, {batch} texts", seconds, texts
        # Greedy texts of a group are equal; their retry prompts are not.
        after = [
            [*prompt, *text, *chance.choices(vocabulary, k=ASKED_AGAIN)]
            for prompt, text in zip(asked, texts, strict=True)
        ]
        yield f"retries, {batch} texts", *written(engine, [after], 0, tokens)


def alone(engine: TransformersEngine, batch: int, tokens: int, vocabulary: range) -> Timed:
    prompts = made_up(random.Random(SEED), batch, vocabulary)
    yield f"alone, {batch} texts", written(engine, [prompts], 1, tokens)[0], []


def made_up(chance: random.Random, count: int, vocabulary: range) -> list[list[int]]:
    return [chance.choices(vocabulary, k=chance.randint(*PROMPT)) for _ in range(count)]


def works_of(options: argparse.Namespace) -> Iterator[Callable[[], Timed]]:
    if "countdown" in options.works:
        case = countdown(ROWS, tries=1)
        case.engine.batch_tokens = ALL_IN_ONE
        prompts = [ChatFormat(case.engine.tokenizer).encode_prompt(asked) for asked in case.conversations]
        yield lambda: first_tries(case.engine, prompts)
    if "evaluation" in options.works:
        yield lambda: evaluation(options.rows)
    if chosen := [work for work in (groups, alone) if work.__name__ in options.works]:
        with tempfile.TemporaryDirectory() as folder:
            save_model(SHAPES[options.shape], Path(folder), SEED)
            model = load_transformers(folder, dtype=options.dtype)
        size = SHAPES[options.shape].vocabulary
        model.end_ids, model.batch_tokens = (size,), ALL_IN_ONE  # No text ends before its limit.
        for work in chosen:
            yield lambda work=work: work(model, options.batch, options.tokens, range(len(SPECIAL), size))  # type: ignore[misc]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--works", nargs="+", choices=WORKS, default=WORKS)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=[GENERATE], help="what to compare ours with")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each side  [default: %(default)s]")
    parser.add_argument("--rows", type=int, default=500, help="rows evaluated  [default: %(default)s]")
    parser.add_argument("--shape", choices=sorted(SHAPES), default="SmolLM2-135M")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--batch", type=int, default=16, help="texts per call  [default: %(default)s]")
    parser.add_argument("--tokens", type=int, default=64, help="tokens per text  [default: %(default)s]")
    folder_option(parser)
    options = parser.parse_args(arguments)
    sides = list(dict.fromkeys([OURS, *options.sides]))
    keep_freed_memory()  # as the commands do
    figures, pairs = [], []
    for work in works_of(options):
        seconds: dict[str, dict[str, list[float]]] = {}
        for repeat in range(options.repeats):
            made: dict[str, list[list[int]]] = {}
            for name in sides[:: -1 if repeat % 2 else 1]:
                with side(name):
                    for what, took, texts in work():
                        seconds.setdefault(what, {}).setdefault(name, []).append(took)
                        made.setdefault(name, []).extend(texts)
            pairs += [pair for name in sides[1:] for pair in zip(made[OURS], made[name], strict=True)]
        for what, runs in seconds.items():
            found = [median_of(f"{what}: {name}", runs[name], "s") for name in sides]
            for name in sides[1:]:
                ratios = [other / mine for mine, other in zip(runs[OURS], runs[name], strict=True)]
                found.append(median_of(f"{what}: {name} over ours", ratios, "×"))
            print(*found, sep="\n", flush=True)
            figures += found
    if pairs:
        same = sum(one == other for one, other in pairs) / len(pairs)
        figures.append(Figure("greedy texts that are equal", same, "", goal=0.99))
    about = {key: value for key, value in vars(options).items() if key != "folder"}
    return 0 if record("decode_loop", figures, options.folder, about=about) else 1


if __name__ == "__main__":
    raise SystemExit(main())
