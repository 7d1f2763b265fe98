"""Synthetic run folders as `rrr run` leaves them: two models, two modes, training, mining, manifests."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rrr_core.episode import Episode, Segment
from rrr_core.evaluation.comparison import compare
from rrr_core.evaluation.controls import CONTROL_KEYS
from rrr_core.evaluation.figures import Figures, figures
from rrr_core.profiling.spent import Machine, Spent
from rrr_core.runs.files import write_json, write_lines
from rrr_core.verdicts import Verdict, abstained, failed, passed
from tests.episodes import make_episode, make_failure

KINDS = ("invalid equation", "wrong numbers", "missed target")
ASKED = (
    "You tried solving the problem and got the wrong answer. Reflect on what went wrong and write a short explanation"
    " that will help you do better next time."
)
VAGUE = "I made a mistake somewhere. I should be more careful next time and check my work before answering."
NOTE = "Greedy: the second sample of pass@2 is drawn at temperature 1."
SKILL = {"vanilla": (0.14, 0.12), "trained": (0.31, 0.42)}
"""Label → chance of being right at the first try, chance of fixing a failure."""


def make_run(
    folder: Path, *, rows: int = 240, steps: int = 60, seed: int = 0, lift: float = 0.0, rounds: int = 1
) -> Path:
    """A whole run folder, evaluated in `rounds` rounds; `lift` is added to the trained model's skill."""
    chance = random.Random(seed)
    write_json(folder / "run.json", _manifest("run", seed))
    _mine(folder / "mine", chance, rows, seed)
    _train(folder / "train", chance, steps, seed)
    for label, (first, fix) in SKILL.items():
        more = lift if label == "trained" else 0.0
        where = folder / "eval" / label
        modes = {}
        for mode in ("greedy", "sampled"):
            episodes = [
                _evaluated(chance, index, first + more + 0.05 * (mode == "greedy"), fix + more, label, rounds)
                for index in range(rows)
            ]
            for start in range(0, rows, 100):
                write_lines(
                    where / f"{mode}-{start // 100:05}.jsonl",
                    (episode.to_json() for episode in episodes[start : start + 100]),
                )
            modes[mode] = figures(episodes, CONTROL_KEYS, rounds)
        write_json(where / "manifest.json", _manifest("eval", seed))
        write_json(where / "profile.json", _profile(60.0, generate=52.0, judge=4.0))
        made = Figures(label, "countdown", {"name": f"tiny-{label}"}, rows, seed, {}, (NOTE,), modes)
        write_json(where / "figures.json", made.to_json())
    compare([folder / "eval" / label for label in SKILL], folder / "eval" / "comparison.json")
    return folder


def attempt_at(chance: random.Random, numbers: list[int]) -> str:
    return (
        f"I look for a way to reach the target with {numbers}. {numbers[0]} + {numbers[1]} ="
        f" {numbers[0] + numbers[1]}, and then I take away {numbers[2]}.\n"
        f"<answer>{numbers[0]} {chance.choice('+-*')} {numbers[1]} - {numbers[2]}</answer>"
    )


def verdict_on(chance: random.Random, skill: float) -> Verdict:
    if chance.random() < 0.004:
        return abstained("exception", "rrr-countdown 0.1.0, hook rrr_verify: ZeroDivisionError()")
    if chance.random() < skill:
        return passed()
    kind = chance.choices(KINDS, (1, 3, 4))[0]
    return failed(kind, {"missed target": "39 is not the target"}.get(kind, "7 is used twice"))


def reflection_on(chance: random.Random, numbers: list[int], concrete: float) -> str:
    if chance.random() > concrete:
        return VAGUE
    return f"I used {numbers[0]} twice and left out {numbers[2]}. Each of {numbers} has to be used exactly once."


def _row(index: int) -> dict[str, Any]:
    chance = random.Random(index)
    return {"target": chance.randint(10, 99), "nums": [chance.randint(1, 49) for _ in range(3)]}


def _prompt(row: Mapping[str, Any]) -> tuple[dict[str, str], ...]:
    text = (
        f"Using the numbers {row['nums']}, create an equation that equals {row['target']}. Use + - * / and each number"
        " exactly once. Put it into <answer> </answer>."
    )
    return ({"role": "user", "content": text},)


def _evaluated(chance: random.Random, index: int, first: float, fix: float, label: str, rounds: int) -> Episode:
    row = _row(index)
    attempt, first_verdict = attempt_at(chance, row["nums"]), verdict_on(chance, first)
    facts: dict[str, Any] = {"index": index, "row": row, "prompt": _prompt(row), "attempt": attempt}
    if not first_verdict.is_failed:
        return make_episode(first_verdict, **facts)
    reflection = reflection_on(chance, row["nums"], 0.8 if label == "trained" else 0.3)
    tokens = len(reflection) // 4 + chance.randint(0, 6)
    retry, second = attempt_at(chance, row["nums"]), verdict_on(chance, fix)
    controls = {name: ((attempt_at(chance, row["nums"]), verdict_on(chance, fix * 0.35)),) for name in CONTROL_KEYS}
    written = {"reflection": reflection, "tokens": tokens, "retry": retry, "asked": _asked(row)}
    made = make_episode(first_verdict, second, **facts, **written, controls=controls)
    for _ in range(rounds - 1):
        made = _with_round(chance, made, fix)
    return made


def _with_round(chance: random.Random, episode: Episode, fix: float) -> Episode:
    """One more round and one more try of each control, where the last one failed."""
    numbers = episode.row["nums"]
    if episode.last_verdict.is_failed:
        asked, again = _asked(episode.row)
        reflection = Segment("reflection", text=reflection_on(chance, numbers, 0.5), length=20)
        retry = Segment("retry", text=attempt_at(chance, numbers), verdict=verdict_on(chance, fix))
        episode = episode.extended(asked, reflection, again, retry)
    controls = {
        name: (*tries, (attempt_at(chance, numbers), verdict_on(chance, fix * 0.35)))
        if tries[-1][1].is_failed
        else tries
        for name, tries in episode.controls.items()
    }
    return replace(episode, controls=controls)


def _asked(row: Mapping[str, Any]) -> tuple[Segment, Segment]:
    return Segment("prompt", ({"role": "user", "content": ASKED},)), Segment("prompt", _prompt(row))


def _mine(folder: Path, chance: random.Random, rows: int, seed: int) -> None:
    write_json(folder / "manifest.json", _manifest("mine", seed))
    write_json(folder / "profile.json", _profile(40.0, generate=30.0, judge=6.0))
    records = []
    for index in range(rows):
        row, passes = _row(index + 100_000), chance.choices((0, 1, 2, 5, 20), (60, 20, 10, 6, 4))[0]
        verdict = failed(chance.choice(KINDS), "7 is used twice")
        attempt = attempt_at(chance, row["nums"])
        failure = make_failure(index, attempt, verdict, row=row, prompt=_prompt(row), try_index=passes)
        records.append(
            {
                "row_index": index,
                "tries": passes + 1,
                "passes": passes,
                "abstentions": 0,
                "withheld": [],
                "failures": [failure.to_json()],
            }
        )
    write_lines(folder / "shard-00000.jsonl", records)
    write_json(folder / "summary.json", {"rows": rows, "first_try_pass_rate": 0.4})


def _train(folder: Path, chance: random.Random, steps: int, seed: int) -> None:
    write_json(folder / "manifest.json", _manifest("train", seed))
    trained = {"forward_backward": 60.0, "optimiser": 8.0, "sync": 5.0, "save": 2.0}
    write_json(folder / "profile.json", _profile(150.0, generate=50.0, judge=3.0, **trained))
    metrics: list[dict[str, Any]] = []
    episodes: list[dict[str, Any]] = []
    for step in range(1, steps + 1):
        way = 1 - math.exp(-3 * step / steps)
        metrics.append(
            {
                "step": step,
                "retry_success_rate": 0.15 + 0.25 * way + chance.gauss(0, 0.02),
                "reward": 0.15 + 0.25 * way,
                "reflection_tokens": 31 - 6 * way + chance.gauss(0, 0.7),
                "groups_without_spread": 0.5 - 0.2 * way + chance.gauss(0, 0.04),
                "kl": 0.02 * way + abs(chance.gauss(0, 0.001)),
                "reflections_with_gold_answer": 0.01 + abs(chance.gauss(0, 0.003)),
                "reflections_with_retry_answer": 0.03 + 0.02 * way + abs(chance.gauss(0, 0.004)),
                "abstentions": chance.choice((0, 0, 0, 1)),
                "loss": chance.gauss(0, 0.01),
                "grad_norm": 0.4 + abs(chance.gauss(0, 0.1)),
                "learning_rate": 5e-7 * (1 + math.cos(math.pi * step / steps)) / 2,
                "entropy": None if step == 1 else 1.2 - 0.5 * way,
            }
        )
        for group in range(2):
            episodes += _group(chance, step, 7 * step + group, way)
    write_lines(folder / "metrics.jsonl", metrics)
    write_lines(folder / "episodes.jsonl", episodes)


def _group(chance: random.Random, step: int, index: int, way: float) -> list[dict[str, Any]]:
    row = _row(index + 100_000)
    verdicts = [verdict_on(chance, 0.15 + 0.3 * way) for _ in range(8)]
    known = [verdict.reward for verdict in verdicts if verdict.reward is not None]
    mean = sum(known) / len(known)
    spread = math.sqrt(sum((value - mean) ** 2 for value in known) / len(known))
    group = []
    for verdict in verdicts:
        reflection = reflection_on(chance, row["nums"], 0.3 + 0.5 * way)
        tokens = (*(f"{word} " for word in reflection.split(" ")), "<|end|>")
        group.append(
            make_episode(
                failed("wrong numbers", "7 is used twice"),
                verdict,
                index=index,
                row=row,
                prompt=_prompt(row),
                attempt=attempt_at(chance, row["nums"]),
                reflection=reflection,
                tokens=len(tokens),
                token_texts=tokens,
                retry=attempt_at(chance, row["nums"]),
                asked=_asked(row),
                step=step,
                reward=verdict.reward,
                advantage=0.0 if verdict.reward is None or not spread else (verdict.reward - mean) / (spread + 1e-4),
            ).to_json()
        )
    return group


def _profile(wall: float, **seconds: float) -> dict[str, Any]:
    tokens = {"prompt": 120_000, "cached": 90_000, "written": 40_000}
    if "forward_backward" in seconds:
        tokens |= {"trained": 300_000, "scored": 300_000}
    machine = Machine(494_000_000, 494_000_000, "NVIDIA H200")
    return Spent(1, wall, seconds, tokens, 4000, machine).to_json()


def _manifest(kind: str, seed: int) -> dict[str, Any]:
    return {
        "kind": kind,
        "identity": {
            "task": {"task": "countdown", "distribution": "rrr-countdown", "version": "0.1.0", "overlays": []},
            "model": {"name": "tiny", "revision": None, "dtype": "float32"},
            "settings": {"temperature": 0.9, "group_size": 8, "learning_rate": 5e-7, "credit": "reflection"},
            "seed": seed,
        },
        "about": {
            "versions": {"rrr-core": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0", "trl": "1.16.0"},
            "python": "3.11.9",
            "git": {"commit": "239bd04c0ffee", "dirty": False},
            "arguments": ["rrr", "demo"],
        },
        "created": "2026-11-21T10:00:00+00:00",
    }
