"""Mined samples per second: our engine against transformers' `generate`, called per row and per fixed batch.

    python benchmarks/generation.py [--rows 512] [--long-rows 192] [--tries 3] [--repeats 2] …

All sides get the same model, conversations, number of samples and sampling settings, and do the same: render,
encode, sample, decode. As in mining, every row is tried once per round. `generate` is called in a loop: for one row
at a time, and for 32 rows at a time in the given order. Its rate for one row at a time does not depend on the number
of rows, and is measured on 128 of them.

Two models: Countdown's embedded model with its own rows, whose texts have about the same length; and a Qwen2-shaped
one with four million random weights, whose prompts are 200 to 400 tokens long without a common prefix, and
whose texts end after 40 tokens on average. The goal over one row at a time is for the first: a single long prompt
keeps a core as busy as many do.

In the same run, on the first round: the greedy texts of `generate` per fixed batch must equal ours, and so
must the sampled ones if `generate` gets our random numbers. The command fails if more than one in a hundred
differs; two logits that differ only in the last bit can cause that.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import rrr_countdown
import torch
from made_up import SPECIAL, Shape, save_model
from recording import Figure, folder_option, median_of, record
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from rrr_core.generation.decoding import choose, uniforms
from rrr_core.generation.engine import Sampling
from rrr_core.generation.transformers_backend import load_transformers
from rrr_core.generation.transformers_engine import TransformersEngine, cut
from rrr_core.hookspecs import Message
from rrr_core.tasks import load_task

FIXED_BATCH = 32
ALONE = 128
"""Rows on which `generate` per row is measured."""
QWEN = Shape(hidden=192, intermediate=768, layers=6, heads=6, kv_heads=2, vocabulary=4000)
MEAN_TOKENS = 40
MOST_DIFFERENT = 0.01
SEED = 0


@dataclass(frozen=True)
class Case:
    """A model and its prompts in each round."""

    name: str
    engine: TransformersEngine
    conversations: Sequence[Sequence[Message]]
    rounds: int
    max_tokens: int

    def sampling(self, round_index: int, temperature: float = 1.0) -> Sampling:
        return Sampling(temperature=temperature, max_tokens=self.max_tokens, seed=SEED + round_index)

    def first_round(self, rows: int | None = None) -> Case:
        return replace(self, conversations=self.conversations[:rows], rounds=1)

    @property
    def samples(self) -> int:
        return len(self.conversations) * self.rounds


def countdown(rows: int, tries: int) -> Case:
    """Countdown's embedded model on rows of its train split, at the demo's settings."""
    task = load_task("countdown")
    engine = load_transformers(str(Path(rrr_countdown.__file__).parent / "model"))
    asked = [task.prompt(row, engine.model) for row in islice(iter(task.load_dataset("train", {})), rows)]
    return Case("Countdown", engine, asked, tries, max_tokens=64)


def qwen(rows: int, tries: int) -> Case:
    """A random Qwen2-shaped model; many of its ids end a text, so texts have uneven lengths."""
    with tempfile.TemporaryDirectory() as folder:
        save_model(QWEN, Path(folder), SEED)
        engine = load_transformers(folder)
    ends = range(len(SPECIAL), len(SPECIAL) + QWEN.vocabulary // MEAN_TOKENS)
    engine.end_ids = (*engine.end_ids, *ends)
    chance = random.Random(SEED)
    words = range(ends.stop, QWEN.vocabulary)
    texts = [" ".join(f"w{chance.choice(words)}" for _ in range(chance.randint(200, 400))) for _ in range(rows)]
    return Case("Qwen2-shaped", engine, [[{"role": "user", "content": text}] for text in texts], tries, 160)


def ours(case: Case) -> list[list[list[int]]]:
    """The sampled ids, round by round."""
    with case.engine.prefix_caching():
        return [
            [list(made.token_ids) for made in case.engine.generate(case.conversations, case.sampling(index))]
            for index in range(case.rounds)
        ]


def stock(case: Case, batch: int, greedy: bool = False, ours_drawn: bool = False) -> list[list[list[int]]]:
    """The same by transformers' `generate`, `batch` rows per call; with `ours_drawn` using our random numbers."""
    engine, written = case.engine, []
    network, tokenizer = engine.network, engine.tokenizer
    torch.manual_seed(SEED)
    for index in range(case.rounds):
        sampled = []
        for start in range(0, len(case.conversations), batch):
            asked = [list(each) for each in case.conversations[start : start + batch]]
            inputs = tokenizer.apply_chat_template(
                asked, add_generation_prompt=True, padding=True, return_dict=True, return_tensors="pt"
            )
            drawing = [Drawn(case.sampling(index), start, len(asked))] if ours_drawn else []
            output = network.generate(
                **inputs,
                generation_config=GenerationConfig(
                    do_sample=not greedy and not ours_drawn,
                    **({} if greedy or ours_drawn else {"temperature": 1.0, "top_k": 0, "top_p": 1.0}),
                    max_new_tokens=case.max_tokens,
                    eos_token_id=list(engine.end_ids),
                    pad_token_id=engine.pad_id,
                ),
                logits_processor=LogitsProcessorList(drawing),
            )
            ids = output[:, inputs["input_ids"].shape[1] :]
            tokenizer.batch_decode(ids, skip_special_tokens=True)
            sampled += [cut(row, engine.end_ids) for row in ids.tolist()]
        written.append(sampled)
    return written


class Drawn(LogitsProcessor):  # type: ignore[misc]
    """Masks every token except the one that our engine would sample at this place."""

    def __init__(self, sampling: Sampling, first: int, rows: int) -> None:
        self.sampling, self.step = sampling, 0
        self.draws = torch.stack([uniforms(sampling.seed, first + row, sampling.max_tokens) for row in range(rows)])

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        chosen = choose(scores, self.sampling, self.draws[:, self.step])
        self.step += 1
        return torch.full_like(scores, -torch.inf).scatter(1, chosen[:, None], 0.0)


def different(case: Case) -> dict[str, float]:
    """Share of the first round's texts that differ between ours and `generate`'s per fixed batch."""
    first = case.first_round()
    greedy = case.engine.generate(case.conversations, case.sampling(0, temperature=0))
    pairs = {
        "greedy": ([list(made.token_ids) for made in greedy], stock(first, FIXED_BATCH, greedy=True)[0]),
        "sampled": (ours(first)[0], stock(first, FIXED_BATCH, ours_drawn=True)[0]),
    }
    return {
        kind: sum(one != other for one, other in zip(*both, strict=True)) / len(both[0]) for kind, both in pairs.items()
    }


def timed(work: Callable[[], list[list[list[int]]]]) -> tuple[float, int]:
    """Seconds, and tokens written."""
    began = time.perf_counter()
    written = work()
    return time.perf_counter() - began, sum(len(ids) for each in written for ids in each)


def measure(case: Case, repeats: int, per_row_goal: float | None = None) -> tuple[list[Figure], dict[str, Any]]:
    """The figures of one case, and what was checked. Raises SystemExit if the texts are not equal."""
    apart = different(case)
    if max(apart.values()) > MOST_DIFFERENT:
        raise SystemExit(f"{case.name}: of the texts that should be equal, these shares differ: {apart}")
    runs = [(timed(lambda: ours(case)), timed(lambda: stock(case, FIXED_BATCH))) for _ in range(repeats)]
    few = case.first_round(ALONE)
    alone, alone_tokens = timed(lambda: stock(few, 1))
    alone_rate = few.samples / alone
    rates = [case.samples / mine for (mine, _), _ in runs]
    stock_rates = [case.samples / theirs for _, (theirs, _) in runs]
    name, fixed = case.name, f"generate, batches of {FIXED_BATCH}"
    figures = [
        median_of(f"{name}: ours", rates, "samples/s"),
        median_of(f"{name}: {fixed}", stock_rates, "samples/s"),
        Figure(f"{name}: generate per row", alone_rate, "samples/s"),
        median_of(f"{name}: over generate per row", [rate / alone_rate for rate in rates], "×", goal=per_row_goal),
        median_of(
            f"{name}: over {fixed}",
            [rate / theirs for rate, theirs in zip(rates, stock_rates, strict=True)],
            "×",
            goal=2,
        ),
    ]
    tokens = {
        "ours": runs[0][0][1] / case.samples,
        "batches": runs[0][1][1] / case.samples,
        "per row": alone_tokens / few.samples,
    }
    return figures, {"samples": case.samples, "tokens a text": tokens, "share of texts that differ": apart}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    folder_option(parser)
    parser.add_argument("--rows", type=int, default=512, help="rows of Countdown  [default: 512]")
    parser.add_argument("--long-rows", type=int, default=192, help="rows with long prompts  [default: 192]")
    parser.add_argument("--tries", type=int, default=3, help="rounds, each row tried once in each  [default: 3]")
    parser.add_argument("--repeats", type=int, default=2, help="measurements of all but per row  [default: 2]")
    options = parser.parse_args()
    figures, about = [], {}
    for case, goal in ((countdown(options.rows, options.tries), 20), (qwen(options.long_rows, options.tries), None)):
        measured, about[case.name] = measure(case, options.repeats, goal)
        figures += measured
    raise SystemExit(not record("generation", figures, options.folder, about=about))


if __name__ == "__main__":
    main()
