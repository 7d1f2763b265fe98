"""Headroom: how much better retries are after a concrete reflection than after a vague one, before any training.

With less than 30 points of it there is nothing for reflections to teach. The rows are unseen (the `test` split).

    python benchmarks/headroom.py [--model FOLDER] [--rows 1000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from itertools import islice
from pathlib import Path

from rrr_countdown import warmup

from rrr_core.conversation import reflection_conversation, retry_conversation, retry_without_reflection
from rrr_core.generation.base import Sampling
from rrr_core.generation.transformers_backend import load_transformers
from rrr_core.statistics import wilson
from rrr_core.tasks import load_task


def kind_of(reflection: str) -> str:
    """The kind of a reflection that the model wrote: `worked`, `vague` or `named`."""
    if "half is" in reflection:
        return "worked"
    return "vague" if reflection in warmup.VAGUE else "named or other"


def measure(model: str | None, rows: int, temperature: float) -> dict[str, object]:
    task = load_task("countdown")
    generator = load_transformers(model or str(task.default_model()))
    sample = Sampling(temperature=temperature, max_tokens=96, seed=11)
    data = list(islice(task.load_dataset("test", {}), rows))
    prompts = [task.prompt(row, generator.model) for row in data]
    attempts = [made.text for made in generator.generate(prompts, sample)]
    verdicts = [task.verify(row, attempt) for row, attempt in zip(data, attempts, strict=True)]
    failed = [
        (row, prompt, attempt)
        for row, prompt, attempt, verdict in zip(data, prompts, attempts, verdicts, strict=True)
        if verdict.is_failed
    ]
    asked = [reflection_conversation(task, *case, generator.model) for case in failed]
    own = [made.text for made in generator.generate(asked, sample)]
    vague = max(warmup.VAGUE, key=lambda text: warmup.VAGUE[text])
    concrete = []
    for row, _, attempt in failed:
        slip = warmup.slip_in(row["nums"], row["target"], attempt)
        concrete.append(f"{slip} {warmup.worked(row['nums'], row['target'])}")

    def second_tries(reflections: list[str]) -> list[bool]:
        conversations = [
            retry_conversation(task, *case, reflection, generator.model)
            for case, reflection in zip(failed, reflections, strict=True)
        ]
        retries = generator.generate(conversations, sample)
        return [task.verify(case[0], made.text).is_passed for case, made in zip(failed, retries, strict=True)]

    own_right = second_tries(own)
    plain = generator.generate([retry_without_reflection(task, *case, generator.model) for case in failed], sample)
    right = {
        "own reflection": own_right,
        "given a vague reflection": second_tries([vague] * len(failed)),
        "given a concrete reflection": second_tries(concrete),
        "no reflection": [task.verify(c[0], made.text).is_passed for c, made in zip(failed, plain, strict=True)],
    }
    for kind in ("worked", "vague", "named or other"):
        right[f"own reflection, {kind}"] = [
            passed for passed, reflection in zip(own_right, own, strict=True) if kind_of(reflection) == kind
        ]
    figures: dict[str, object] = {
        "temperature": temperature,
        "first try": wilson(sum(verdict.is_passed for verdict in verdicts), len(verdicts)),
        **{name: wilson(sum(passed), len(passed)) for name, passed in right.items() if passed},
    }
    concrete_share, vague_share = (
        sum(right[f"given a {kind} reflection"]) / len(failed) for kind in ("concrete", "vague")
    )
    figures["headroom in points"] = round(100 * (concrete_share - vague_share), 1)
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = [measure(options.model, options.rows, temperature) for temperature in (0.0, 1.0)]
    for figures in result:
        for name, value in figures.items():
            print(f"{name:32} {value}")
        print()
    if options.json:
        options.json.write_text(json.dumps(result, indent=2, default=str))
