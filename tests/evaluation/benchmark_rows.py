"""Rows of our own in the four formats of the benchmarks that forgetting is measured on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

LETTERS = "ABCDEFGHIJ"


def write_benchmarks(folder: Path, count: int = 6) -> Path:
    """`folder` with a folder for each benchmark: `count` items of each part, and examples before them."""
    for split, first in (("validation", 0), ("test", 100)):
        rows = [
            _mmlu_pro(number, category, split)
            for category in ("law", "computer science")
            for number in range(first, first + count)
        ]
        write_lines(folder / "mmlu_pro" / "data" / f"{split}.jsonl", rows)
    for split, first in (("train", 0), ("test", 100)):
        write_lines(folder / "gsm8k" / "main" / f"{split}.jsonl", map(_gsm8k, range(first, first + count)))
        for part, kind in (("algebra", "Algebra"), ("precalculus", "Precalculus")):
            rows = [_math(number, kind) for number in range(first, first + count)]
            write_lines(folder / "math" / part / f"{split}.jsonl", rows)
    write_lines(folder / "hellaswag" / "validation.jsonl", map(_hellaswag, range(count)))
    return folder


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _mmlu_pro(number: int, category: str, split: str) -> dict[str, Any]:
    right = number % 10
    return {
        "question_id": number,
        "question": f"Which day comes {number} days after 1 March 2001?",
        # Texts that look like dates: they must stay texts.
        "options": [f"2001-03-{1 + choice:02d}" for choice in range(10)],
        "answer": LETTERS[right],
        "answer_index": right,
        "cot_content": f"A: Let's think step by step. We count. The answer is ({LETTERS[right]})."
        if split == "validation"
        else "",
        "category": category,
        "src": "ours",
    }


def _gsm8k(number: int) -> dict[str, Any]:
    return {
        "question": f"Ann has {number} pears and buys 2. How many has she?",
        "answer": f"{number} + 2 = <<{number}+2={number + 2}>>{number + 2}\n#### {number + 2}",
    }


def _hellaswag(number: int) -> dict[str, Any]:
    return {
        "ind": number,
        "activity_label": "Cooking",
        "ctx_a": f"Somebody cooks {number} eggs.",
        "ctx_b": "the person",
        "ctx": f"Somebody cooks {number} eggs. the person",
        "endings": ["eats them.", "flies off.", "reads a wall.", "sings backwards."],
        "source_id": "ours",
        "split": "val",
        "split_type": "indomain",
        "label": str(number % 4),
    }


def _math(number: int, kind: str) -> dict[str, Any]:
    return {
        "problem": f"What is ${number} + 2$?",
        "level": "Level 1",
        "type": kind,
        "solution": f"We add: ${number} + 2 = \\boxed{{{number + 2}}}$.",
    }
