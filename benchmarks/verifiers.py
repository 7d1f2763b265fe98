"""Compares verifiers: verdicts per second on one core, and which hostile cases each judges right.

    python -m venv peers && peers/bin/pip install reasoning-gym 'math-verify[antlr4_13_2]'
    peers/bin/pip install --no-deps bfcl-eval
    python benchmarks/verifiers.py [--peers peers/bin/python] [--json FILE] [--only NAME ...]

Ours run in this process; a peer runs in its own process, in a scratch folder, killed after SECONDS_A_CASE. A peer that
raises has failed the answer, as its users treat it: that counts as right if the answer is wrong, and is counted
separately. Speeds are per second of processor time, over ordinary answers, right and wrong: the median of ROUNDS rounds
in which all take turns. A peer gets its rows prepared (peers.py); ours gets them as they are. benchmarks/isolation.py
measures the cost of isolation.
"""

from __future__ import annotations

import argparse
import json
import selectors
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peers import timed

from rrr_core.hookspecs import Example

SECONDS_A_CASE = 10.0
SECONDS_TO_START = 120.0
SECONDS_OF_SPEED = 1.0
ROUNDS = 5
CANARY = "canary"
PROBES = (
    "open('canary','w').write('x')",
    "__import__('os').system('touch canary')",
    "().__class__.__base__.__subclasses__() and __import__('pathlib').Path('canary').touch()",
)
"""Answers that write a file if they are run as code."""


Speed = Callable[[list[tuple[dict[str, Any], str]]], dict[str, float] | None]
"""Judges pairs again and again: how many, and in how many seconds of processor time; None if it did not end."""


@dataclass
class Result:
    """The result of one verifier."""

    name: str
    task: str
    cases: Counter[str] = field(default_factory=Counter)
    """By group."""
    right: Counter[str] = field(default_factory=Counter)
    """By group, counting only the outcome, since the error classes are ours."""
    false_passes: int = 0
    false_failures: int = 0
    hangs: int = 0
    """Cases on which it died or had to be killed."""
    exceptions: int = 0
    runs_code: bool = False
    verdicts_per_second: int = 0
    """The median of the rounds."""
    rounds: list[float] = field(default_factory=list)
    """Verdicts per second, by round."""
    ours_faster: float | None = None
    """How many times as fast ours is: the median over the rounds."""
    wrong: list[str] = field(default_factory=list)
    """Reasons of the misjudged cases."""

    def count(self, group: str, case: Example, passed: bool | None) -> None:
        """Count a verdict; None if there was none."""
        self.cases[group] += 1
        if passed is not None and passed == (case.outcome == "passed"):
            self.right[group] += 1
            return
        self.false_passes += passed is True
        self.false_failures += passed is False
        self.wrong.append(f"{group}: {case.reason}")


class Child:
    """A peer in a process that is killed and restarted if it takes too long."""

    def __init__(self, python: str, peer: str) -> None:
        self.command = [python, str(Path(__file__).with_name("peers.py")), peer]
        self.scratch = tempfile.TemporaryDirectory(prefix="peer-")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process. Raises RuntimeError if the peer cannot be imported."""
        environment = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HOME": self.scratch.name, "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self.scratch.name,
            env=environment,
        )
        if self.read(SECONDS_TO_START) != {"ready": True}:
            self.kill()
            raise RuntimeError(f"{self.command[-1]} does not start with {self.command[0]}: is it installed there?")

    def ask(self, question: Mapping[str, Any], seconds: float) -> dict[str, Any] | None:
        """The reply, or None if the peer died or did not answer in time."""
        if self.process is None:
            self.start()
        assert self.process is not None
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(question).encode() + b"\n")
            self.process.stdin.flush()
            reply = self.read(seconds)
        except BrokenPipeError:
            reply = None
        if reply is None:
            self.kill()
        return reply

    def read(self, seconds: float) -> dict[str, Any] | None:
        assert self.process is not None
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(seconds):
                return None
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def close(self) -> None:
        self.kill()
        self.scratch.cleanup()


def corpus(task: str) -> dict[str, Sequence[Example]]:
    """The hostile cases of a task by group; for APIGen, by module."""
    if task == "countdown":
        from rrr_countdown.hostile import GROUPS

        return {name: list(group) for name, group in GROUPS.items()}
    from rrr_apigen import hostile

    return {
        name.replace("_", " "): getattr(hostile, name).CASES
        for name in ("values", "rows", "json_texts", "structures", "wrapped", "floods")
    }


def ordinary(task: str) -> list[tuple[dict[str, Any], str]]:
    """Rows with one right and one wrong answer each, as models write them: used to measure speed."""
    from itertools import islice

    pairs: list[tuple[dict[str, Any], str]] = []
    if task == "countdown":
        from rrr_countdown.generated import Recipe, generate
        from rrr_countdown.gold import gold_answer

        for row in islice(generate("test", Recipe((3, 4), 99, "+-*/")), 100):
            answer = gold_answer(tuple(row["nums"]), row["target"]) or ""
            pairs += [(row, answer), (row, answer.replace("<answer>", "<answer>1+"))]
        return pairs
    from rrr_apigen import generated

    for row in islice(generated.generate("test", generated.Recipe()), 100):
        calls = json.dumps(row["answers"])
        pairs += [(row, calls), (row, calls.replace('"name": "', '"name": "x', 1))]
    return pairs


def ours(task: str) -> tuple[Result, Speed]:
    """Our verifier, in this process, and what times it."""
    if task == "countdown":
        from rrr_countdown.equations import verify
    else:
        from rrr_apigen.calls import verify
    result = Result("rrr", task)
    for group, cases in corpus(task).items():
        for case in cases:
            result.count(group, case, verify(case.row, case.answer).is_passed)
    return result, lambda pairs: timed(verify, pairs, SECONDS_OF_SPEED)


def theirs(name: str, task: str, child: Child) -> tuple[Result, Speed]:
    """A peer, in its own process, and what times it."""
    result = Result(name, task)
    for group, cases in corpus(task).items():
        for case in cases:
            reply = child.ask({"row": case.row, "answer": case.answer}, SECONDS_A_CASE)
            result.hangs += reply is None
            result.exceptions += reply is not None and "error" in reply
            result.count(group, case, None if reply is None else reply.get("passed", False))
        print(f"{name}: {group} done, {result.hangs} hangs so far", file=sys.stderr, flush=True)
    row = next(iter(corpus(task).values()))[0].row
    for probe in PROBES:
        child.ask({"row": row, "answer": f"<answer>{probe}</answer>"}, SECONDS_A_CASE)
        result.runs_code |= (Path(child.scratch.name) / CANARY).exists()
    return result, lambda pairs: child.ask({"pairs": pairs, "seconds": SECONDS_OF_SPEED}, 120 * SECONDS_OF_SPEED)


def race(task: str, runners: Sequence[tuple[Result, Speed]]) -> None:
    """Time everyone in turns, ROUNDS times; the first is ours if it is there at all."""
    pairs = ordinary(task)
    for _ in range(ROUNDS):
        for result, speed in runners:
            run = speed(pairs)
            result.rounds.append(run["verdicts"] / run["seconds"] if run is not None else 0.0)
    ours = runners[0][0]
    for result, _ in runners:
        result.verdicts_per_second = round(statistics.median(result.rounds))
        if ours.name == "rrr" and result is not ours and all(result.rounds):
            faster = [own / its for own, its in zip(ours.rounds, result.rounds, strict=True)]
            result.ours_faster = round(statistics.median(faster), 2)


def table(results: Sequence[Result]) -> str:
    """One Markdown table per task: the verifiers' totals, then right cases by group."""
    parts = []
    for task in dict.fromkeys(result.task for result in results):
        of_task = [result for result in results if result.task == task]
        lines = [
            "| " + " | ".join([task, *(result.name for result in of_task)]) + " |",
            "|---" * (1 + len(of_task)) + "|",
        ]
        rows: dict[str, list[str]] = {
            "verdicts per second": [f"{result.verdicts_per_second:,}" for result in of_task],
            "times as fast rrr is": ["–" if one.ours_faster is None else f"{one.ours_faster}" for one in of_task],
            "right": [f"{result.right.total()}/{result.cases.total()}" for result in of_task],
            "false passes": [str(result.false_passes) for result in of_task],
            "false failures": [str(result.false_failures) for result in of_task],
            "hangs or deaths": [str(result.hangs) for result in of_task],
            "exceptions": [str(result.exceptions) for result in of_task],
            "runs the answer as code": ["yes" if result.runs_code else "no" for result in of_task],
        }
        for group in of_task[0].cases:
            rows[f"right: {group}"] = [f"{result.right[group]}/{result.cases[group]}" for result in of_task]
        lines += ["| " + " | ".join([name, *cells]) + " |" for name, cells in rows.items()]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


PEERS_OF = {"countdown": ("reasoning-gym", "math-verify"), "apigen": ("bfcl-eval",)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", metavar="PYTHON", help="interpreter that has the peers; without it, only ours")
    parser.add_argument("--only", nargs="+", choices=["rrr", *PEERS_OF["countdown"], *PEERS_OF["apigen"]])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: list[Result] = []
    for task, peers in PEERS_OF.items():
        with ExitStack() as stack:
            runners = [ours(task)] if not options.only or "rrr" in options.only else []
            asked = [peer for peer in peers if options.peers and (not options.only or peer in options.only)]
            children = {peer: stack.enter_context(closing(Child(options.peers, peer))) for peer in asked}
            runners += [theirs(peer, task, child) for peer, child in children.items()]
            if runners:
                race(task, runners)
        results += [result for result, _ in runners]
    print(table(results))
    if options.json:
        options.json.write_text(json.dumps([vars(result) for result in results], indent=1))


if __name__ == "__main__":
    main()
