"""How each decider decides whether a first answer is retried (`rrr_core.evaluation.deciding` has their names)."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rrr_core.config.option import option
from rrr_core.conversation import conversation
from rrr_core.episode import Choice, Decision, Episode, Generation, total_length, was_judged
from rrr_core.errors import TooManyAbstentions
from rrr_core.evaluation.by_round import given_answer
from rrr_core.hookspecs import Message
from rrr_core.profiling.profile import Profile
from rrr_core.tasks import Task
from rrr_core.text import one_line
from rrr_core.verdicts import NO_ANSWER, WITHHELD, Verdict
from rrr_core.verification import Judge, VerifySettings

OPTION = "--decide"
QUESTION = "Is your answer right? Reply with one word, YES or NO."
"""What `model` asks after the first answer."""
UNREADABLE = "unreadable"
"""Why the model is undecided: its reply is neither YES nor NO."""
DETAIL = 200
"""Most characters that are kept of a reply."""
MINIMUM = 100
"""Verdicts of an overlay before its faults are limited, as those of a verifier are."""

Draw = Callable[[str, Sequence[Sequence[Message]]], list[Generation]]
"""Samples one text for each conversation; the stage's name is part of the seed."""
Answer = Callable[[str, Sequence[Episode]], list[Generation]]
"""Samples one answer for each prompt, in greedy mode too."""


class AskedRows:
    """The rows of a shard that deciders are asked about, with what has been sampled for deciding so far."""

    def __init__(self, task: Task, episodes: Sequence[Episode], draw: Draw, answer: Answer) -> None:
        """Each episode ends in the first answer or holds it; its verdict is known, and no decider sees it."""
        self.task, self.episodes, self.draw, self.answer = task, episodes, draw, answer
        self._samples: list[list[Generation]] = []

    def sampled(self, count: int) -> list[list[Generation]]:
        """For each row, `count` more first tries. Two deciders that want some share them."""
        if not self.episodes:
            return []
        while len(self._samples) < count:
            stage = f"decide, sample {len(self._samples) + 1}"
            prompts = [replace(each, segments=each.segments[:1]) for each in self.episodes]
            self._samples.append(self.answer(stage, prompts))
        return [list(row) for row in zip(*self._samples[:count], strict=True)]


class Decider(ABC):
    """Who decides whether a first answer is retried. Close it, since a judge may have processes of its own."""

    name: str
    """How it was asked for, its options included: its name in `figures.json` and in episodes."""
    texts: int = 0
    """Texts that the model writes for each row, apart from samples."""
    samples: int = 0
    """Further first tries that it needs of each row; deciders share them."""

    @abstractmethod
    def decide(self, rows: AskedRows) -> list[Decision]:
        """One decision for each row, in order."""

    def provenance(self) -> dict[str, Any]:
        """What an evaluation's manifest records of it."""
        return {"name": self.name}

    def recall(self, decisions: Sequence[Decision]) -> None:  # noqa: B027 - by default there is nothing to do
        """Count the decisions of an earlier call, so that limits hold for a resumed evaluation as a whole."""

    def finish(self) -> None:  # noqa: B027 - by default there is nothing to do
        """Check the limits at the end. Raises TooManyAbstentions."""

    def close(self) -> None:  # noqa: B027 - by default there is nothing to do
        """Stop its processes, if any."""


class AskTheModel(Decider):
    """The model itself is asked, after its first answer, whether it is right."""

    name, texts = "model", 1

    def decide(self, rows: AskedRows) -> list[Decision]:
        question = {"role": "user", "content": QUESTION}
        asked = [[*conversation(each.first_try), question] for each in rows.episodes]
        return [decided_by_reply(reply) for reply in rows.draw("decide, model", asked)]


def decided_by_reply(reply: Generation) -> Decision:
    """The decision in the model's reply to `QUESTION`: keep on YES, retry on NO, undecided on all else.

    Case, white space around it, and one full stop do not matter. A reply that was cut off says nothing.

    >>> decided_by_reply(Generation("No.")).choice, decided_by_reply(Generation("No, wait: YES")).choice
    ('retry', 'undecided')
    """
    tokens, said = reply.length, one_line(reply.text, DETAIL)
    if reply.missing:
        return Decision("undecided", tokens, NO_ANSWER, reply.missing)
    found = None if reply.is_cut_off or reply.is_thinking else re.fullmatch(r"(yes|no)\.?", reply.text.strip().lower())
    if found is None:
        return Decision("undecided", tokens, UNREADABLE, said)
    return Decision("keep" if found[1] == "yes" else "retry", tokens, detail=said)


@dataclass(frozen=True)
class AgreementOptions:
    """How many samples, and how many of them have to agree."""

    samples: int = option(4, "First tries sampled besides the first one.", minimum=1, maximum=64)
    need: float = option(
        0.5, "Share of them that must have its final answer, or it is retried.", minimum=0.001, maximum=1
    )


class Agreement(Decider):
    """More first tries are sampled; if too few have the same final answer as the first, it is retried."""

    def __init__(self, options: AgreementOptions) -> None:
        self.options, self.samples = options, options.samples
        self.name = f"agreement:samples={options.samples},need={options.need:g}"

    def decide(self, rows: AskedRows) -> list[Decision]:
        drawn = rows.sampled(self.options.samples)
        return [self._decided(rows.task, each, made) for each, made in zip(rows.episodes, drawn, strict=True)]

    def _decided(self, task: Task, episode: Episode, samples: Sequence[Generation]) -> Decision:
        tokens = total_length(samples)
        given = [each for each in samples if not each.missing]
        if not given:
            return Decision("undecided", tokens, NO_ANSWER, samples[0].missing)
        own = given_answer(task.final_answer, episode.row, episode.attempt.answer)
        same = (
            sum(given_answer(task.final_answer, episode.row, each.text) == own for each in given)
            if own is not None
            else 0
        )
        choice: Choice = "retry" if own is None or same / len(given) < self.options.need else "keep"
        return Decision(choice, tokens, detail=f"{same} of {len(given)} samples agree")


@dataclass(frozen=True, slots=True)
class Limits:
    """How an overlay's judge runs, and how often it may be at fault."""

    max_abstain: float
    verify: VerifySettings | None
    profile: Profile | None


class OverlayDecides(Decider):
    """An overlay stacked on the task judges the first answer: it is kept if it passes, and retried if it fails."""

    def __init__(self, name: str, task: Task, limits: Limits) -> None:
        self.name, self.task, self.max_abstain = name, task, limits.max_abstain
        # Its limit is not the verifier's: a verdict that it withholds is a figure, and only its faults are limited.
        self._judge = Judge(task, max_abstain=1.0, settings=limits.verify, profile=limits.profile)
        self._judged = 0
        self._faults: Counter[str] = Counter()

    def decide(self, rows: AskedRows) -> list[Decision]:
        verdicts = self._judge.judge([(each.row, each.attempt.answer) for each in rows.episodes])
        decisions = [decided_by_verdict(verdict) for verdict in verdicts]
        self.recall(decisions)
        if self._judged >= MINIMUM:
            self.finish()
        return decisions

    def provenance(self) -> dict[str, Any]:
        return {"name": self.name, "task": self.task.provenance()}

    def recall(self, decisions: Sequence[Decision]) -> None:
        judged = [each for each in decisions if not (each.retries and each.category)]
        self._judged += len(judged)
        self._faults.update(f"{each.category}: {each.detail}" for each in judged if each.category not in ("", WITHHELD))

    def finish(self) -> None:
        faults = self._faults.total()
        if faults <= self.max_abstain * self._judged:
            return
        ((commonest, times),) = self._faults.most_common(1)
        raise TooManyAbstentions(
            f"{OPTION} {self.name}: the overlay was at fault in {faults} of {self._judged} decisions, and"
            f" {self.max_abstain:.1%} are allowed; most often ({times}×) {commonest}."
            " Fix the overlay, or allow more with --max-abstain."
        )

    def close(self) -> None:
        self._judge.close()


def decided_by_verdict(verdict: Verdict) -> Decision:
    """A judge's verdict as a decision: it keeps what passed, retries what failed, and is undecided if it abstains."""
    if verdict.is_abstained:
        return Decision("undecided", 0, verdict.category, verdict.detail)
    return Decision("keep" if verdict.is_passed else "retry", 0, detail=verdict.detail)


def is_decidable(episode: Episode) -> bool:
    """Whether there is an answer to decide about: none if the token limit ended the text within its thought."""
    return was_judged(episode, episode.attempt.answer, episode.verdict)


def decisions_of(
    deciders: Sequence[Decider], task: Task, episodes: Sequence[Episode], draw: Draw, answer: Answer
) -> list[dict[str, Decision]]:
    """For each episode, whose first answer passed or failed, decider → decision.

    A first try without an answer is retried, and nobody is asked.
    """
    made: list[dict[str, Decision]] = [{} for _ in episodes]
    asked = [place for place, each in enumerate(episodes) if is_decidable(each)]
    for place in set(range(len(episodes))) - set(asked):
        made[place] = {decider.name: Decision("retry", 0, episodes[place].verdict.category) for decider in deciders}
    rows = AskedRows(task, [episodes[place] for place in asked], draw, answer)
    for decider in deciders:
        for place, decision in zip(asked, decider.decide(rows), strict=True):
            made[place][decider.name] = decision
    return made
