"""Coverage-guided fuzzing of a verifier: no exception, no slow verdict, no verdict that the oracle contradicts.

    pip install atheris
    python benchmarks/fuzz.py countdown|apigen [--runs 10000000] [--corpus FOLDER] [--json FILE]

Inputs are structure-aware. The first byte chooses a row and how to read the rest: as tokens of the task's language,
one byte each, including the row's own numbers, names and values; as choices in building a well-formed answer, right or
nearly so; or as UTF-8. Only the verifier's modules are instrumented. Every verdict is compared with an oracle that
shares no code with the verifier, in both directions.

Prints one JSON object; exits with status 1 if anything was found. --corpus keeps the inputs that reached new code, and
a later run starts from them.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fuzz_targets import LITERAL, TARGETS, Target

LONGEST_VERDICT = 0.05
"""Seconds."""
LONGEST_TEXT, SELDOM_LONGER, EVERY = 400, 12_000, 1_000
"""Characters of a text, to keep inputs fast; one in EVERY may be longer, a little beyond Countdown's limit."""
LONGEST_INPUT = 256
"""Bytes of an input, one token each."""
RAW, BUILT = 0x80, 0x40
"""Bits of the first byte: the rest is UTF-8, not tokens; the target builds a well-formed text from the rest."""
REPEAT = 0xFF
"""From LITERAL on, a byte makes the next one a character of Latin-1; REPEAT doubles the last token as many times as
the next byte's lower four bits say."""
PROGRESS = 500_000
"""Inputs between two progress lines on standard error."""
MOST_SHOWN = 20
"""Findings printed in full; all are counted."""


def decode(target: Target, data: bytes, longest: int = LONGEST_TEXT) -> tuple[int, str]:
    """The row's index and the text that an input encodes; every input encodes something."""
    if not data:
        return 0, ""
    head, body = data[0], data[1:]
    index = head % len(target.rows)
    if head & RAW:
        return index, body.decode("utf-8", "surrogateescape")
    if head & BUILT:
        return index, target.build(target.rows[index], body)
    if max(body, default=0) < LITERAL:
        text = "".join(map(target.tokens[index].__getitem__, body))[:longest]
    else:
        text = spelt(target.tokens[index], body, longest)
    return index, text


def spelt(tokens: Sequence[str], body: bytes, longest: int) -> str:
    """The text encoded by tokens, single characters and doublings."""
    parts: list[str] = []
    codes = iter(body)
    for code in codes:
        if code < LITERAL:
            parts.append(tokens[code])
        elif code < REPEAT:
            parts.append(chr(next(codes, 0)))
        elif parts:
            parts[-1] *= min(1 << (next(codes, 0) & 15), 1 + longest // (1 + len(parts[-1])))
    return "".join(parts)[:longest]


def encode(target: Target, index: int, text: str) -> bytes:
    """An input that encodes a text: as the row's tokens, longest first, or as UTF-8 if tokens do not suffice."""
    table = sorted(enumerate(target.tokens[index]), key=lambda item: -len(item[1]))
    body = bytearray()
    place = 0
    while place < len(text):
        token = next(((code, token) for code, token in table if text.startswith(token, place)), None)
        if token is not None and token[0] < LITERAL:
            body.append(token[0])
            place += len(token[1])
        elif ord(text[place]) < 256:
            body += bytes([LITERAL, ord(text[place])])
            place += 1
        else:
            return bytes([RAW | index]) + text.encode("utf-8", "surrogatepass")
    return bytes([index]) + bytes(body)


class Judge:
    """Judges inputs and keeps the findings."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.inputs = 0
        self.verdicts: Counter[str] = Counter()
        self.second_opinions = 0
        self.findings: Counter[str] = Counter()
        self.shown: list[dict[str, str]] = []
        self.slowest = 0.0
        """Seconds of the slowest verdict, including the instrumentation's own time."""

    def __call__(self, data: bytes) -> None:
        self.inputs += 1
        if self.inputs % PROGRESS == 0:
            print(f"{self.inputs:,} inputs, {dict(self.findings) or 'no findings'}", file=sys.stderr, flush=True)
        index, text = decode(self.target, data, SELDOM_LONGER if self.inputs % EVERY == 0 else LONGEST_TEXT)
        row = self.target.rows[index]
        start = time.perf_counter()
        try:
            verdict = self.target.verify(row, text)
        except Exception as error:  # noqa: BLE001  # any exception is a finding
            self.found("exception", index, text, f"{type(error).__name__}: {error}")
            return
        taken = time.perf_counter() - start
        if taken > self.slowest:
            taken = min(taken, *(self.timed(row, text) for _ in range(3)))
            self.slowest = max(self.slowest, taken)
            if taken > LONGEST_VERDICT:
                self.found("slow", index, text, f"{taken * 1000:.0f} ms")
        self.verdicts[verdict.category or verdict.outcome] += 1
        right = self.target.oracle(row, text)
        if right is None:
            return
        self.second_opinions += 1
        if right != verdict.is_passed:
            self.found("false failure" if right else "false pass", index, text, f"{verdict}")

    def timed(self, row: Mapping[str, Any], text: str) -> float:
        """Processor seconds of one verdict, so other processes do not count."""
        start = time.process_time()
        self.target.verify(row, text)
        return time.process_time() - start

    def found(self, kind: str, index: int, text: str, detail: str) -> None:
        self.findings[kind] += 1
        if len(self.shown) < MOST_SHOWN:
            self.shown.append(
                {"kind": kind, "row": ascii(self.target.rows[index]), "text": ascii(text), "detail": detail}
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TARGETS)
    parser.add_argument("--runs", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    import atheris

    make, modules = TARGETS[options.task]
    with atheris.instrument_imports(include=modules):
        for module in modules:
            __import__(module)
    target = make()
    judge = Judge(target)
    temporary = tempfile.TemporaryDirectory(prefix="fuzz-")
    corpus = options.corpus or Path(temporary.name) / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    seeds = [encode(target, index, text) for index, text in target.seeds]
    for number, seed in enumerate(seeds):
        if len(seed) <= LONGEST_INPUT:
            (corpus / f"seed-{number:04}").write_bytes(seed)
    start = time.monotonic()

    def report() -> None:
        seconds = time.monotonic() - start
        result = {
            "task": options.task,
            "inputs": judge.inputs,
            "seconds": round(seconds, 1),
            "inputs_per_second": round(judge.inputs / seconds),
            "verdicts": dict(judge.verdicts),
            "second_opinions": judge.second_opinions,
            "slowest_verdict_ms": round(1000 * judge.slowest, 2),
            "findings": dict(judge.findings),
            "shown": judge.shown,
            "inputs_kept": sum(1 for _ in corpus.iterdir()),
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "python": platform.python_version(),
        }
        temporary.cleanup()
        text = json.dumps(result, indent=1)
        if options.json:
            options.json.write_text(text)
        print(text, flush=True)
        if judge.findings or judge.inputs < options.runs:
            os._exit(1)  # atexit cannot set the status otherwise

    atexit.register(report)
    flags = [
        f"-atheris_runs={options.runs}",
        f"-max_len={LONGEST_INPUT}",
        f"-seed={options.seed}",
        "-timeout=20",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], judge)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
