"""Worked conversations that teach an untrained model to act in haste: the training data of `rrr warmup`.

The embedded model stands in for a pretrained instruct model, so these conversations show what one does. It looks at the
schema, then passes the question's number on as it is, whatever unit the column has; or it guesses the column's name
without a look. Asked what went wrong, it is mostly vague; sometimes it names the slip; rarely it works out the number
in the column's unit. After a vague reflection the second course is as hasty as the first. After a worked one it takes
column and number from the reflection, even if they are wrong for the row. Every share is a named constant here, and
every row is of the `warmup` split, which no other job reads.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rrr_core import Step
from rrr_sqlite import prompts
from rrr_sqlite.actions import step
from rrr_sqlite.generated import COMPARISONS, LATER_WORDS, Plan, Recipe, draw_plan, query, row_of

HASTY = {"hasty": 0.82, "right": 0.06, "slip": 0.12}
"""Shares of what a first answer does where the column has another unit than the question."""
PLAIN = {"hasty": 0.70, "slip": 0.30}
"""Shares where the units are the same, and haste is right."""
HASTY_RETRY = {"hasty": 0.80, "right": 0.06, "slip": 0.14}
"""Shares of what an answer does after no worked reflection, where the units differ."""
PLAIN_RETRY = {"hasty": 0.35, "slip": 0.65}
"""The same where they do not."""
SLIPS = {"comparison": 0.4, "column": 0.6}
LOOKS = {"schema": 0.80, "guess": 0.14, "none": 0.06}
"""How a course begins: with a look, with a query on a guessed column and then a look, or with no look at all."""
LOOKS_AGAIN = 0.6
"""Share of second courses that begin with a look, where the first has had one."""
EARLY_PART = 0.7
"""Share of the lessons that is the first part."""
NO_REFLECTION = 0.12
"""Share of failed courses that are retried without a reflection."""

BLOCK, ALIKE = 2048, 64
"""Conversations that are sorted by length together and stay together, so a batch holds little padding."""

VAGUE = {
    "I made a mistake. I will be more careful next time.": 0.75,
    "I should check my answer again and read the question slowly.": 0.13,
    "My answer was wrong. Next time I will think more before I answer.": 0.12,
}
NO_LOOK = "I did not look at the schema."

TAGS = (
    *("answer: SELECT ", "sql: SELECT ", "count(*)", " FROM ", " WHERE ", " JOIN ", " USING(", " ORDER BY ", " DESC"),
    *(f"_{word}" for word in LATER_WORDS),
)
"""One token each for the embedded model: the words of SQL, and all words of a name but the first with the `_` before
them, so that a name is copied in two or three tokens."""


@dataclass(frozen=True)
class Stage:
    """Shares of the kinds of reflection, and of whose numbers a worked one has, in one part of the lessons."""

    reflections: Mapping[str, float]
    numbers: Mapping[str, float]


EARLY = Stage(
    {"vague": 0.10, "named": 0.05, "worked": 0.85},
    {"own": 0.86, "miscounted": 0.06, "another's": 0.08},
)
"""The first part, where the model learns to convert, and to take column and number from the reflection alone."""
LATE = Stage(
    {"vague": 0.60, "named": 0.22, "worked": 0.18},
    {"own": 0.96, "miscounted": 0.01, "another's": 0.03},
)
"""The last part, where worked reflections are rare and mostly right."""

Turn = dict[str, str]


def choose(shares: Mapping[str, float], rng: random.Random) -> str:
    return rng.choices(list(shares), weights=list(shares.values()))[0]


def said(content: str) -> Turn:
    return {"role": "assistant", "content": content}


def asked(content: str) -> Turn:
    return {"role": "user", "content": content}


@dataclass(frozen=True)
class Answer:
    """A last query, and what is wrong with it in words; nothing if it is right."""

    sql: str
    slip: str = ""


def answer(plan: Plan, row: Mapping[str, Any], shares: Mapping[str, float], rng: random.Random) -> Answer:
    """A query without a worked reflection: right, in haste, or with a slip."""
    kind = choose(shares, rng)
    if kind == "right" or (kind == "hasty" and plan.factor == 1):
        return Answer(query(plan))
    if kind == "hasty":
        return Answer(query(plan, number=plan.count), "My number was wrong.")
    if choose(SLIPS, rng) == "comparison":
        other = rng.choice([each for each in COMPARISONS if each != plan.comparison])
        return Answer(query(plan, number=plan.count, comparison=other), "My comparison was wrong.")
    column = next(each for each in measured(row) if each != plan.full_column)
    return Answer(query(plan, column=column, number=plan.count), "My column was wrong.")


def measured(row: Mapping[str, Any]) -> list[str]:
    """The columns of a row's first table that hold a quantity."""
    return list(row["tables"][0]["columns"])[-2:]


def worked(plan: Plan) -> str:
    """The column and the number that the query needs, the number worked out in the column's unit.

    >>> plan = Plan("count", "shop", "orders", "net_weight", "g", "over", 3, "kg")
    >>> worked(plan)
    'net_weight_g is in g: 3 kg is 3*1000=3000.'
    """
    sum_of_it = f"{plan.count}*{plan.factor}={plan.threshold}" if plan.factor > 1 else str(plan.threshold)
    return f"{plan.full_column} is in {plan.unit}: {plan.count} {plan.asked_unit} is {sum_of_it}."


def course(plan: Plan, row: Mapping[str, Any], look: str, last: Answer) -> list[Turn]:
    """The actions of a course and what the task says to each, as it says it to any model."""
    actions = ["schema"] if look in ("schema", "guess") else []
    if look == "guess":
        actions.insert(0, f"sql: {query(plan, column=plan.column, number=plan.count)}")
    turns = []
    for action in actions:
        led: Step = step(row, action)
        turns += [said(action), asked(led.observation)]
    return [*turns, said(f"answer: {last.sql}")]


def reflection(plan: Plan, stray: Plan, slip: str, stage: Stage, rng: random.Random) -> tuple[str, Answer | None]:
    """A reflection's text, and the answer of the second course; None for one as hasty as without a reflection.

    `stray` is another row's, for the reflections that work out another row's number.
    """
    kind = choose(stage.reflections, rng)
    if kind == "vague":
        return choose(VAGUE, rng), None
    if kind == "named" or slip == NO_LOOK:
        return f"{slip} I must do better.", None
    numbers = choose(stage.numbers, rng)
    if numbers == "another's":
        return f"{slip} {worked(stray)}", Answer(query(plan, column=stray.full_column, number=stray.threshold))
    if numbers == "miscounted" and plan.factor > 1:
        wrong = plan.threshold * rng.choice((2, 3)) if rng.random() < 0.5 else plan.threshold // 2
        text = worked(plan).replace(f"={plan.threshold}.", f"={wrong}.")
        return f"{slip} {text}", Answer(query(plan, number=wrong))
    return f"{slip} {worked(plan)}", Answer(query(plan))


def conversation(plan: Plan, stray: Plan, stage: Stage, rng: random.Random) -> list[Turn]:
    """One worked conversation on a plan."""
    row = row_of(plan, "warmup", rng)
    look = choose(LOOKS, rng)
    if look == "none":
        first = Answer(query(plan, column=plan.column, number=plan.count), NO_LOOK)
    else:
        first = answer(plan, row, HASTY if plan.factor > 1 else PLAIN, rng)
    turns = [asked(row["question"]), *course(plan, row, look, first)]
    if not first.slip:
        return turns
    followed = None
    if rng.random() >= NO_REFLECTION:
        text, followed = reflection(plan, stray, first.slip, stage, rng)
        turns += [asked(prompts.TINY_REFLECTION), said(text)]
    second = followed or answer(plan, row, HASTY_RETRY if plan.factor > 1 else PLAIN_RETRY, rng)
    again = "schema" if look == "none" or rng.random() < LOOKS_AGAIN else "none"
    return [*turns, asked(prompts.tiny_again(row)), *course(plan, row, again, second)]


def conversations(count: int, recipe: Recipe, seed: int = 0) -> Iterator[list[Turn]]:
    """`count` conversations in training order, those of similar length side by side."""
    rng = random.Random(f"warmup/{seed}")

    def each() -> Iterator[list[Turn]]:
        stray = draw_plan("warmup", recipe, rng)
        for index in range(count):
            plan = draw_plan("warmup", recipe, rng)
            yield conversation(plan, stray, EARLY if index < count * EARLY_PART else LATE, rng)
            stray = plan

    yield from in_batches_alike(each(), rng)


def in_batches_alike(made: Iterator[list[Turn]], rng: random.Random) -> Iterator[list[Turn]]:
    """The same conversations: each block sorted by length, cut into batches, and the batches shuffled."""
    while block := list(itertools.islice(made, BLOCK)):
        block.sort(key=lambda turns: sum(len(turn["content"]) for turn in turns))
        batches = [block[start : start + ALIKE] for start in range(0, len(block), ALIKE)]
        rng.shuffle(batches)
        yield from itertools.chain.from_iterable(batches)
