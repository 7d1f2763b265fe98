"""Worked conversations that teach an untrained model to answer in haste: the training data of `rrr warmup`.

The embedded model stands in for a pretrained instruct model, so these conversations show what one does.
It answers in haste, with slips: signs that do not add up, a number used twice, a number left out.
Asked what went wrong, it is mostly vague; sometimes it names the slip; rarely it works the sum out. After a
vague reflection the retry is as hasty as before; after a worked one it follows the working. Every share is a
named constant here, and every row comes from the generator's `warmup` split, which no other job reads.
"""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator

from rrr_countdown.generated import Recipe, generate

HASTY = {"first signs": 0.45, "right": 0.25, "random signs": 0.10, "twice": 0.10, "left out": 0.10}
"""Shares of what a first attempt does."""
HASTY_RETRY = {"right": 0.10, "random signs": 0.66, "twice": 0.12, "left out": 0.12}
"""Shares of what a retry does without a worked reflection."""
REFLECTIONS = {"vague": 0.60, "named": 0.22, "worked": 0.18}
"""Shares of the kinds of reflection in the last part of the lessons."""
EARLY_REFLECTIONS = {"vague": 0.15, "named": 0.10, "worked": 0.75}
"""Shares in the first part, where the model learns the arithmetic."""
EARLY_PART = 0.75
"""Share of the lessons that is the first part."""
NO_REFLECTION = 0.15
"""Share of failed attempts that are retried without a reflection."""

POOL = 20_000
"""Rows that the conversations use; each occurs many times, with its numbers in another order."""

VAGUE = {
    "I made a mistake. I will be more careful next time.": 0.75,
    "I should check my answer again and read the question slowly.": 0.13,
    "My answer was wrong. Next time I will think more before I answer.": 0.12,
}


def choose(shares: dict[str, float], rng: random.Random) -> str:
    return rng.choices(list(shares), weights=list(shares.values()))[0]


def expression(nums: list[int], signs: tuple[int, ...]) -> str:
    """The numbers with their signs, the positive ones first: `[3, 4, 5]`, `(-1, 1, 1)` → `4+5-3`."""
    ordered = sorted(zip(nums, signs, strict=True), key=lambda pair: -pair[1])
    text = "".join(f"{'+' if sign > 0 else '-'}{n}" for n, sign in ordered)
    return text.removeprefix("+")


def solve(nums: list[int], target: int) -> tuple[int, ...]:
    """The signs, fewest minuses first, with which the numbers add up to the target."""
    options = sorted(itertools.product((1, -1), repeat=len(nums)), key=lambda signs: signs.count(-1))
    for signs in options:
        if sum(n * s for n, s in zip(nums, signs, strict=True)) == target:
            return signs
    raise ValueError(f"{nums} do not reach {target} with plus and minus alone")


def attempt(nums: list[int], target: int, shares: dict[str, float], rng: random.Random) -> str:
    """An answer, right or with one of the slips in `shares`."""
    kind = choose(shares, rng)
    signs = (1,) * (len(nums) - 1) + (-1,)
    if kind == "right":
        signs = solve(nums, target)
    elif kind == "random signs":
        signs = rng.choice([s for s in itertools.product((1, -1), repeat=len(nums)) if 1 in s])
    used = list(nums)
    if kind == "twice":
        out, twice = rng.sample(range(len(nums)), 2)
        used[out] = used[twice]
    elif kind == "left out":
        del used[rng.randrange(len(nums))]
        signs = signs[1:] if -1 in signs[1:] and 1 in signs[1:] else (1,) * len(used)
    return f"<answer>{expression(used, signs)}</answer>"


def slip_in(nums: list[int], target: int, answer: str) -> str:
    """What is wrong with an answer of plus and minus, in words; empty if it is right.

    >>> slip_in([3, 4, 5], 2, "<answer>3+4-4</answer>")
    'I used 4 twice.'
    """
    terms = [int(term) for term in re.findall(r"[+-]?\d+", answer)]
    used, given = Counter(map(abs, terms)), Counter(nums)
    if used == given:
        return "" if sum(terms) == target else f"I got {sum(terms)}, not {target}."
    if more := used - given:
        return f"I used {min(more)} twice."
    return f"I left out {min(given - used)}."


def worked(nums: list[int], target: int) -> str:
    """The sum of all numbers step by step, how far it is over the target, and half of that: what must be subtracted."""
    steps, total = [], nums[0]
    for n in nums[1:]:
        steps.append(f"{total}+{n}={total + n}")
        total += n
    over = total - target
    steps.append(f"{total}-{target}={over}")
    return ", ".join(steps) + f", half is {over // 2}."


def written(nums: list[int], target: int, attempt: str) -> str | None:
    """A worked reflection on a failed attempt; None for a row that plus and minus do not solve.

    >>> written([44, 19, 35], 60, "<answer>44+19+35</answer>")
    'I got 98, not 60. 44+19=63, 63+35=98, 98-60=38, half is 19.'
    """
    over = sum(nums) - target
    taken = (sum(some) for count in range(len(nums)) for some in itertools.combinations(nums, count))
    if over % 2 or over // 2 not in taken:
        return None
    slip = "" if re.search(r"\d{7}", attempt) else slip_in(nums, target, attempt)
    return f"{slip} {worked(nums, target)}".strip()


def reflection(
    nums: list[int], target: int, slip: str, shares: dict[str, float], rng: random.Random
) -> tuple[str, str]:
    """A reflection's text and its kind: `vague`, `named` or `worked`."""
    kind = choose(shares, rng)
    if kind == "vague":
        return choose(VAGUE, rng), kind
    return f"{slip} {'I must do better.' if kind == 'named' else worked(nums, target)}", kind


def conversations(
    count: int, ask: Callable[[list[int], int], tuple[str, str, str]], recipe: Recipe, seed: int = 0
) -> Iterator[list[dict[str, str]]]:
    """`count` conversations in training order. `ask` gives the three user messages of a row."""
    rng = random.Random(f"warmup/{seed}")
    pool = list(itertools.islice(generate("warmup", recipe), POOL))
    for index in range(count):
        shares = EARLY_REFLECTIONS if index < count * EARLY_PART else REFLECTIONS
        row = pool[rng.randrange(len(pool))]
        nums, target = list(row["nums"]), int(row["target"])
        rng.shuffle(nums)
        prompt, reflect, again = ask(nums, target)
        answer = attempt(nums, target, HASTY, rng)
        messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
        if slip := slip_in(nums, target, answer):
            retry_shares = HASTY_RETRY
            if rng.random() >= NO_REFLECTION:
                words, kind = reflection(nums, target, slip, shares, rng)
                messages += [{"role": "user", "content": reflect}, {"role": "assistant", "content": words}]
                if kind == "worked":
                    retry_shares = {"right": 1.0}
            retry = attempt(nums, target, retry_shares, rng)
            messages += [{"role": "user", "content": again}, {"role": "assistant", "content": retry}]
        yield messages
