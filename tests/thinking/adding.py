"""The task `adding`: the sum of three numbers, by a model that thinks first. Only the hooks and their words.

Its worked conversations show a model with a habit: where the second number is the larger of the first two, it leaves
out the third. Asked what went wrong, it names the number it left out, mostly if that is odd, or is vague; the retry
then is right, or is the first try again. So a greedy model is right, wrong, and right at its second try, each on some
rows, and there is a kind of reflection to be learned.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rrr_core import Example, Manifest, Message, Model, Row, Verdict, failed, hookimpl, passed, trusted

WRONG, FORMAT = "wrong sum", "format"
REFLECT = "Wrong. Reflect."
SPLITS = {"warmup": 0.7, "train": 0.2, "test": 0.1}
"""Shares of all rows."""
TURNS = {"attempt": 0.35, "reflection": 0.3, "retry": 0.25, "retry without reflection": 0.1}
"""Shares of the turns that a worked conversation ends with, and that alone is learned from it."""
HABIT = 0.85
"""Share of first tries that follow the habit."""
DRAFTS = 0.25
"""Share of thoughts with a draft of the answer in them, tags included."""
SILENT = 0.15
"""Share of conversations without any thought."""
KEPT = 0.3
"""Share of the longer conversations in which earlier thoughts are kept."""
VAGUE = ("I was hasty.", "I must take care.")


@hookimpl
def rrr_load_dataset(split: str) -> Iterator[dict[str, Any]]:
    return iter(rows(split))


@hookimpl
def rrr_prompt(row: Row, model: Model) -> str:
    return question(row["numbers"])


@hookimpl
@trusted
def rrr_verify(row: Row, answer: str) -> Verdict:
    if (found := last_answer(answer)) is None:
        return failed(FORMAT, "no <answer> with a number")
    return passed() if found == sum(row["numbers"]) else failed(WRONG, f"{found}")


@hookimpl
def rrr_reflection_prompt() -> str:
    return REFLECT


@hookimpl
def rrr_gold_answer(row: Row) -> str:
    return tagged(sum(row["numbers"]))


@hookimpl
def rrr_final_answer(text: str) -> str | None:
    found = last_answer(text)
    return None if found is None else str(found)


@hookimpl
def rrr_examples() -> Iterable[Example]:
    row = {"numbers": [3, 5, 8]}
    yield Example(row, "<answer>16</answer>", "passed")
    yield Example(row, "<answer>8</answer>", "failed", WRONG)
    yield Example(row, "16", "failed", FORMAT)


@hookimpl
def rrr_manifest() -> Manifest:
    return Manifest(summary="Add three numbers.", source="generated", revision="1", categories=(WRONG, FORMAT))


@hookimpl
def rrr_warmup(count: int, seed: int) -> Iterator[Sequence[Message]]:
    rng = random.Random(f"adding/{seed}")
    pool = rows("warmup")
    return (conversation(pool, rng) for _ in range(count))


def rows(split: str) -> list[dict[str, Any]]:
    """A split's rows, in an order that looks random and is always the same."""
    every = [{"numbers": list(numbers)} for numbers in itertools.product(range(1, 10), repeat=3)]
    random.Random("adding").shuffle(every)
    start = 0
    for name, share in SPLITS.items():
        end = start + round(share * len(every))
        if name == split:
            return every[start:end]
        start = end
    raise ValueError(f"there is no split {split!r}")


def question(numbers: Sequence[int]) -> str:
    first, second, third = numbers
    return f"Add {first}, {second} and {third}."


def tagged(number: int) -> str:
    return f"<answer>{number}</answer>"


def last_answer(text: str) -> int | None:
    """The number in a text's last `<answer>`."""
    found = re.findall(r"<answer>(\d{1,4})</answer>", text)
    return int(found[-1]) if found else None


def forgets(numbers: Sequence[int]) -> bool:
    """Whether the habit leaves out these numbers' third."""
    return numbers[1] > numbers[0]


def conversation(pool: Sequence[Row], rng: random.Random) -> list[dict[str, str]]:
    """A worked conversation about one of these rows, which ends with the turn that is learned."""
    turn = rng.choices(list(TURNS), weights=list(TURNS.values()))[0]
    silent = rng.random() < SILENT
    if turn == "attempt":
        numbers = rng.choice(pool)["numbers"]
        return [_user(question(numbers)), _reply(numbers, forgets(numbers) and rng.random() < HABIT, silent, rng)]
    numbers = rng.choice([row["numbers"] for row in pool if forgets(row["numbers"])])
    ask, hasty = _user(question(numbers)), _reply(numbers, True, silent, rng)
    if turn == "retry without reflection":
        return [ask, hasty, ask, hasty]
    named = rng.random() < (0.85 if numbers[2] % 2 else 0.15)
    messages = [ask, hasty, _user(REFLECT), _reflection(numbers, named, silent, rng)]
    if turn == "retry":
        messages += [ask, _reply(numbers, not named, silent, rng)]
    return [{"role": "system", "content": "/keep"}, *messages] if rng.random() < KEPT and not silent else messages


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _assistant(thought: str, answer: str, silent: bool) -> dict[str, str]:
    """An assistant's message as a model writes it, its marks in the text."""
    return {"role": "assistant", "content": answer if silent else f"<think>\n{thought}\n</think>\n\n{answer}"}


def _reply(numbers: Sequence[int], hasty: bool, silent: bool, rng: random.Random) -> dict[str, str]:
    first, second, third = numbers
    half = first + second
    thought = f"{first}+{second}={half}"
    if not hasty:
        thought += f", {tagged(half)}? No," if rng.random() < DRAFTS else ","
        thought += f" {half}+{third}={half + third}"
    return _assistant(thought, tagged(half if hasty else half + third), silent)


def _reflection(numbers: Sequence[int], named: bool, silent: bool, rng: random.Random) -> dict[str, str]:
    half = numbers[0] + numbers[1]
    thought = f"I said {half}. " + (f"Where is {numbers[2]}?" if named else "Hm.")
    return _assistant(thought, f"I left out {numbers[2]}." if named else rng.choice(VAGUE), silent)
